"""Why a take has to be painted, in words, found by comparing it with what the last render asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from renderer.inventory import Inventory
from renderer.manifest import Manifest, TakeEntry
from renderer.prompts import Part
from renderer.take_name import TakeName, shown_number

SETTINGS = ("guidance", "guidance_interval", "steps", "sampler", "cache_interval", "model", "precision")
_Files = Mapping[str, Mapping[str, Any]]

LORA_SETTINGS = ("strength", "alpha", "rank", "diffsynth_alpha")

ENGLISH = {
    "prompt": "prompt edited",
    "negative": "negative edited",
    "style": "style edited",
    "character": "character {0} edited",
    "character_negative": "character {0}'s negative edited",
    "size": "size {0} → {1}",
    "reproducible": "reproducible {0} → {1}",
    "lora_added": "LoRA {0} added",
    "lora_removed": "LoRA {0} removed",
    "lora_file": "LoRA {0}: file changed",
    "lora_order": "LoRAs in another order",
    "embedding_added": "embedding {0} added",
    "embedding_removed": "embedding {0} removed",
    "embedding_file": "embedding {0}: file changed",
    "hypernetwork_added": "hypernetwork {0} added",
    "hypernetwork_removed": "hypernetwork {0} removed",
    "hypernetwork_file": "hypernetwork {0}: file changed",
    "hypernetwork_strength": "hypernetwork {0}: strength {1} → {2}",
    "hypernetwork_order": "hypernetworks in another order",
    "settings": "settings edited",
    "new_scene": "new scene",
    "renamed": "renamed, was {0}",
    "pick": "new pick",
    "unpicked": "pick taken back",
    "seed": "new seed",
    "sweep": "sweep edited",
    "strength": "new strength {0}",
    "step": "new step {0}",
    "other_take": "another take shown",
    "takes_added": "takes added: {0}",
    "takes_removed": "takes removed: {0}",
    "first_picture": "painted for the first time",
    "gone": "picture is gone",
    **{name: f"{name.replace('_', ' ')} {{0}} → {{1}}" for name in SETTINGS},
    **{f"lora_{name}": f"LoRA {{0}}: {name} {{1}} → {{2}}" for name in LORA_SETTINGS},
}
"""How the commands say a reason; the sheet has the same in its own languages, as `changed_<word>` of words.yaml."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that is not as it was: a word, and the names and values that it speaks of (`default` for none)."""

    word: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ENGLISH[self.word].format(*self.values)


class LastRender:
    """The takes of a scene as it was rendered last, to compare those of now with."""

    def __init__(self, takes: Iterable[TakeEntry]) -> None:
        self._takes: dict[TakeName, TakeEntry] = {}
        self._values: dict[str, set[float]] = {}
        for take in takes:
            seed, strength, step = take.seed, take.strength, take.step
            # Also by less than its whole name: of what was swept then and isn't any more, the first value stands.
            for name in (take.name, TakeName(seed, strength), TakeName(seed, None, step), TakeName(seed)):
                self._takes.setdefault(name, take)
            for word, value in take.name.parts.items():
                self._values.setdefault(word, set()).add(value)

    def since(self, now: TakeEntry) -> Iterator[Reason]:
        """What is new about a take: its seed, strength or step; else what was edited since."""
        fresh = {word: value for word, value in now.name.parts.items() if value not in self._values.get(word, ())}
        if "seed" in fresh:
            yield Reason("seed")
        elif fresh:
            yield from (Reason(word, (shown_number(value),)) for word, value in fresh.items())
        elif now.name in self._takes:
            yield from differences(self._takes[now.name], now)


def why_painted(
    now: TakeEntry,
    key: str,
    previous: Manifest | None,
    scene: LastRender | None,
    inventory: Inventory,
    draft: str = "",
) -> str:
    """The reason in words, or '' where the picture is there.

    `key` is that of the picture: the take's own or, where drafts are painted, its draft's. `scene` is its scene as it
    was rendered last, `draft` the key of its draft, if the run folder knows of one.
    """
    if key in inventory.whole:
        return ""
    if key in inventory.damaged:
        return "picture was changed or damaged"
    if key in inventory.missing:
        return "picture is gone"
    if previous is not None and key in previous.failures:
        return f"failed last time: {previous.failures[key]}"
    if draft in inventory.whole:
        return "only a draft so far"
    if previous is None:
        return "not painted yet"
    if scene is None:
        return "new scene"
    return ", ".join(map(str, scene.since(now))) or "not painted yet"


def differences(before: TakeEntry, now: TakeEntry) -> Iterator[Reason]:
    """What was edited between two takes, apart from the seed; nothing where both ask for the same."""
    yield from _edited_parts("prompt", before.prompt, now.prompt)
    yield from _edited_parts("negative", before.negative, now.negative)
    old, new = before.record, now.record
    if (old["width"], old["height"]) != (new["width"], new["height"]):
        yield Reason("size", (f"{old['width']}x{old['height']}", f"{new['width']}x{new['height']}"))
    for name in SETTINGS:
        if old.get(name) != new.get(name):
            yield Reason(name, (_shown(old.get(name)), _shown(new.get(name))))
    if old.get("reproducible") != new.get("reproducible"):
        yield Reason("reproducible", (old.get("reproducible", "standard"), new.get("reproducible", "standard")))
    yield from _edited_loras(before, now)
    yield from _edited_embeddings(before, now)
    yield from _edited_hypernetworks(before, now)


def _edited_parts(field: str, before: tuple[Part, ...], now: tuple[Part, ...]) -> Iterator[Reason]:
    """`negative edited`, or what stands behind it where that is a style or a character that many scenes share."""
    if "".join(part.text for part in before) == "".join(part.text for part in now):
        return
    old, new = _by_origin(before), _by_origin(now)
    changed = [origin for origin in {**old, **new} if old.get(origin) != new.get(origin)]
    shared = []
    for origin, name in changed:
        if origin == "character":
            shared.append(Reason("character" if field == "prompt" else "character_negative", (name,)))
        elif origin == "style":
            shared.append(Reason("style"))
    others = any(origin not in ("character", "style") for origin, _ in changed)
    yield from shared if shared and not others else [Reason(field), *shared]


def _by_origin(parts: tuple[Part, ...]) -> dict[tuple[str, str], str]:
    texts: dict[tuple[str, str], str] = {}
    for part in parts:
        source = (part.origin, part.name if part.origin == "character" else "")
        texts[source] = texts.get(source, "") + part.text.strip("，, ")
    return texts


def _edited_loras(before: TakeEntry, now: TakeEntry) -> Iterator[Reason]:
    old = dict(zip(before.loras, before.record["loras"], strict=False))
    new = dict(zip(now.loras, now.record["loras"], strict=False))
    yield from _edited_files("lora", old, new, LORA_SETTINGS)
    if old == new and before.record["loras"] != now.record["loras"]:
        yield Reason("lora_order")


def _edited_hypernetworks(before: TakeEntry, now: TakeEntry) -> Iterator[Reason]:
    records = [take.record.get("hypernetworks", []) for take in (before, now)]
    old, new = (
        dict(zip(take.hypernetworks, record, strict=False)) for take, record in zip((before, now), records, strict=True)
    )
    yield from _edited_files("hypernetwork", old, new, ("strength",))
    if old == new and records[0] != records[1]:
        yield Reason("hypernetwork_order")


def _edited_embeddings(before: TakeEntry, now: TakeEntry) -> Iterator[Reason]:
    old, new = ({each["name"]: each for each in take.record.get("embeddings", [])} for take in (before, now))
    yield from _edited_files("embedding", old, new, ())


def _edited_files(kind: str, old: _Files, new: _Files, settings: Sequence[str]) -> Iterator[Reason]:
    """What is new about files by name: which came and went, and of the others whose content or settings changed."""
    yield from (Reason(f"{kind}_added", (name,)) for name in sorted(new.keys() - old.keys()))
    yield from (Reason(f"{kind}_removed", (name,)) for name in sorted(old.keys() - new.keys()))
    for name in sorted(old.keys() & new.keys()):
        before, now = old[name], new[name]
        if before["sha256"] != now["sha256"]:
            yield Reason(f"{kind}_file", (name,))
            continue
        for word in settings:
            if before.get(word) != now.get(word):
                yield Reason(f"{kind}_{word}", (name, _shown(before.get(word)), _shown(now.get(word))))


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "–".join(map(_shown, value))
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

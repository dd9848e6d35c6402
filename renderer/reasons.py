"""Why a take has to be painted, in words, found by comparing it with what the last render asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from renderer.inventory import Inventory
from renderer.manifest import Manifest, SceneEntry, TakeEntry
from renderer.prompts import Part

SETTINGS = ("guidance", "steps", "sampler", "model", "precision")
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
    "settings": "settings edited",
    "new_scene": "new scene",
    "renamed": "renamed, was {0}",
    "pick": "new pick",
    "unpicked": "pick taken back",
    "seed": "new seed",
    "other_take": "another take shown",
    "takes_added": "takes added: {0}",
    "takes_removed": "takes removed: {0}",
    "first_picture": "painted for the first time",
    "gone": "picture is gone",
    **{name: f"{name} {{0}} → {{1}}" for name in SETTINGS},
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


def why_painted(now: TakeEntry, previous: Manifest | None, scene: SceneEntry | None, inventory: Inventory) -> str:
    """The reason in words, or '' where the take's picture is there. `scene` is the scene as the last render saw it."""
    if now.key in inventory.whole:
        return ""
    if now.key in inventory.damaged:
        return "picture was changed or damaged"
    if now.key in inventory.missing:
        return "picture is gone"
    if previous is None:
        return "not painted yet"
    if now.key in previous.failures:
        return f"failed last time: {previous.failures[now.key]}"
    if scene is None:
        return "new scene"
    before = next((take for take in scene.takes if take.seed == now.seed), None)
    if before is None:
        return "new seed"
    return ", ".join(map(str, differences(before, now))) or "not painted yet"


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
    for name in sorted(new.keys() - old.keys()):
        yield Reason("lora_added", (name,))
    for name in sorted(old.keys() - new.keys()):
        yield Reason("lora_removed", (name,))
    for name in sorted(old.keys() & new.keys()):
        if old[name]["sha256"] != new[name]["sha256"]:
            yield Reason("lora_file", (name,))
        else:
            yield from _edited_lora(name, old[name], new[name])
    if old == new and before.record["loras"] != now.record["loras"]:
        yield Reason("lora_order")


def _edited_lora(lora: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Reason]:
    for name in LORA_SETTINGS:
        if old.get(name) != new.get(name):
            yield Reason(f"lora_{name}", (lora, _shown(old.get(name)), _shown(new.get(name))))


def _shown(value: object) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

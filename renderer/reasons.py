"""Why a take has to be painted, in words, found by comparing it with what the last render asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from renderer.inventory import Inventory
from renderer.manifest import Manifest, SceneEntry, TakeEntry
from renderer.prompts import Part

NAMES = {"guidance": "guidance", "steps": "steps", "sampler": "sampler", "model": "model", "precision": "precision"}


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
    return ", ".join(_differences(before, now)) or "not painted yet"


def _differences(before: TakeEntry, now: TakeEntry) -> Iterator[str]:
    yield from _edited_parts("prompt", before.prompt, now.prompt)
    yield from _edited_parts("negative", before.negative, now.negative)
    old, new = before.record, now.record
    if (old["width"], old["height"]) != (new["width"], new["height"]):
        yield f"size {old['width']}x{old['height']} → {new['width']}x{new['height']}"
    for name, word in NAMES.items():
        if old.get(name) != new.get(name):
            yield f"{word} {_shown(old.get(name))} → {_shown(new.get(name))}"
    if old.get("reproducible") != new.get("reproducible"):
        yield f"reproducible {old.get('reproducible', 'standard')} → {new.get('reproducible', 'standard')}"
    yield from _edited_loras(before, now)


def _edited_parts(field: str, before: tuple[Part, ...], now: tuple[Part, ...]) -> Iterator[str]:
    """`negative edited`, or what stands behind it where that is a style or a character that many scenes share."""
    if "".join(part.text for part in before) == "".join(part.text for part in now):
        return
    old, new = _by_origin(before), _by_origin(now)
    changed = [origin for origin in {**old, **new} if old.get(origin) != new.get(origin)]
    words = []
    for origin, name in changed:
        if origin == "character":
            words.append(f"character {name} edited" if field == "prompt" else f"character {name}'s negative edited")
        elif origin == "style":
            words.append("style edited")
    others = any(origin not in ("character", "style") for origin, _ in changed)
    yield from words if words and not others else [f"{field} edited", *words]


def _by_origin(parts: tuple[Part, ...]) -> dict[tuple[str, str], str]:
    texts: dict[tuple[str, str], str] = {}
    for part in parts:
        source = (part.origin, part.name if part.origin == "character" else "")
        texts[source] = texts.get(source, "") + part.text.strip("，, ")
    return texts


def _edited_loras(before: TakeEntry, now: TakeEntry) -> Iterator[str]:
    old = dict(zip(before.loras, before.record["loras"], strict=False))
    new = dict(zip(now.loras, now.record["loras"], strict=False))
    for name in sorted(new.keys() - old.keys()):
        yield f"LoRA {name} added"
    for name in sorted(old.keys() - new.keys()):
        yield f"LoRA {name} removed"
    for name in sorted(old.keys() & new.keys()):
        if old[name]["sha256"] != new[name]["sha256"]:
            yield f"LoRA {name}: file changed"
        elif old[name] != new[name]:
            yield f"LoRA {name}: {_lora_change(old[name], new[name])}"
    if old == new and before.record["loras"] != now.record["loras"]:
        yield "LoRAs in another order"


def _lora_change(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {_shown(old.get(name))} → {_shown(new.get(name))}"
        for name in ("strength", "alpha", "rank", "diffsynth_alpha")
        if old.get(name) != new.get(name)
    )


def _shown(value: object) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

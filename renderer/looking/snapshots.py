"""A snapshot of a sheet: what it showed of each scene, as values and as the content of a small file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from renderer.manifest import TakeEntry
from renderer.prompts import Origin, Part
from renderer.take import key_of
from renderer.take_name import TakeName

KIND = "storyboard-history"
START = f'{{"kind":"{KIND}"'.encode()
"""What the file of a snapshot begins with, and no other file."""

_IN_WORDS = ("prompt", "negative", "seed")
"""What of a take's record stands elsewhere in the file, so that scenes can share the rest."""

ShownTakes = tuple[tuple[str, TakeName], ...]
Asked = tuple[str | None, ShownTakes]


@dataclass(frozen=True)
class ShownScene:
    """A scene as a sheet showed it.

    `take` stood for the scene, with its `picture` (relative to the run folder, '' where it wasn't painted); `pick` is
    the key of the author's choice, `takes` are key and name of all.
    """

    take: TakeEntry
    picture: str
    pick: str | None
    takes: ShownTakes

    @property
    def asked(self) -> Asked:
        """What the author asked for: a scene that is the same in this differs at most in what was painted so far."""
        return self.pick, self.takes


@dataclass(frozen=True)
class Snapshot:
    """What a sheet showed, by scene id; `at` is when it first asked for this, ISO 8601 in UTC."""

    at: str
    scenes: dict[str, ShownScene]

    @cached_property
    def asked(self) -> dict[str, Asked]:
        """What the author asked for, by scene."""
        return {name: scene.asked for name, scene in self.scenes.items()}


class _Scene(BaseModel):
    """A scene as it is written: `shown` is an index into its takes, the others are into the tables of the file.

    A take is its key and its seed, and of a sweep its strength and its step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    picture: str
    pick: str | None
    takes: tuple[tuple[str, int] | tuple[str, int, float | None, int | None], ...]
    shown: int
    prompt: tuple[int, ...]
    negative: tuple[int, ...]
    settings: int
    loras: tuple[str, ...]
    hypernetworks: tuple[str, ...] = ()


class _File(BaseModel):
    """A snapshot as it is written: stretches of prompts, and settings, stand in tables, as many scenes share them."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: Literal["storyboard-history"]
    format: Literal[1]
    at: str
    parts: tuple[tuple[str, Origin, str], ...]
    settings: tuple[dict[str, Any], ...]
    scenes: tuple[_Scene, ...]


class _Table:
    """Values by the order in which they were first asked for."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, value: object) -> int:
        return self._numbers.setdefault(json.dumps(value, ensure_ascii=False), len(self._numbers))

    def values(self) -> list[Any]:
        return [json.loads(text) for text in self._numbers]


def packed(snapshot: Snapshot) -> bytes:
    """A snapshot as the content of its file."""
    parts, settings = _Table(), _Table()
    scenes = [_packed_scene(name, scene, parts, settings) for name, scene in snapshot.scenes.items()]
    tables = {"parts": parts.values(), "settings": settings.values()}
    content = {"kind": KIND, "format": 1, "at": snapshot.at, **tables, "scenes": scenes}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _packed_scene(name: str, scene: ShownScene, parts: _Table, settings: _Table) -> dict[str, Any]:
    take = scene.take
    return {
        "id": name,
        "picture": scene.picture,
        "pick": scene.pick,
        "takes": [_packed_take(key, name) for key, name in scene.takes],
        "shown": scene.takes.index((take.key, take.name)),
        "prompt": [parts.number((part.text, part.origin, part.name)) for part in take.prompt],
        "negative": [parts.number((part.text, part.origin, part.name)) for part in take.negative],
        "settings": settings.number({word: value for word, value in take.record.items() if word not in _IN_WORDS}),
        "loras": take.loras,
        "hypernetworks": take.hypernetworks,
    }


def _packed_take(key: str, name: TakeName) -> tuple[object, ...]:
    swept = (name.strength, name.step)
    return (key, name.seed) if swept == (None, None) else (key, name.seed, *swept)


@lru_cache(maxsize=2)
def unpacked(content: bytes) -> Snapshot:
    """The snapshot in a file's content. Raises ValueError, IndexError for what is not a whole one of this format."""
    file = _File.model_validate_json(content)
    parts = [Part(*part) for part in file.parts]
    return Snapshot(file.at, {scene.id: _unpacked_scene(scene, parts, file.settings) for scene in file.scenes})


def _unpacked_scene(scene: _Scene, parts: list[Part], settings: tuple[dict[str, Any], ...]) -> ShownScene:
    takes = tuple((key, TakeName(*name)) for key, *name in scene.takes)
    key, name = takes[scene.shown]
    prompt = tuple(parts[number] for number in scene.prompt)
    negative = tuple(parts[number] for number in scene.negative)
    texts = {name: "".join(part.text for part in found) for name, found in (("prompt", prompt), ("negative", negative))}
    record = {**settings[scene.settings], **texts, "seed": name.seed}
    if key_of(record) != key:
        raise ValueError(f"{scene.id}: the take is not the one that its key names")
    take = TakeEntry(
        key=key,
        seed=name.seed,
        strength=name.strength,
        step=name.step,
        prompt=prompt,
        negative=negative,
        record=record,
        loras=scene.loras,
        hypernetworks=scene.hypernetworks,
    )
    return ShownScene(take, scene.picture, scene.pick, takes)

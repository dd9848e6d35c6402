"""What a storyboard is made of: scenes, characters, and the LoRAs they are painted with, every default filled in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from renderer.kolors.card import Sampler
from renderer.reading.yaml_file import Where


@dataclass(frozen=True, slots=True)
class LoraUse:
    """A LoRA file and how it is applied; `where` is its entry in the storyboard.

    `strength` 1.0 is exactly as trained; `alpha` and `rank` complete a file that doesn't state them;
    `diffsynth_alpha` is DiffSynth 1.x's own `lora_alpha`.
    """

    name: str
    path: Path
    strength: float = 1.0
    alpha: float | None = None
    rank: int | None = None
    diffsynth_alpha: float | None = None
    where: Where = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Character:
    """What stands for `{name}` in a prompt, and what comes along with it."""

    name: str
    prompt: str
    negative: str = ""
    loras: tuple[LoraUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene with all its settings; `index` is its place in the story, from 0.

    `prompt` and `style` are as authored; `negative_text` is the scene's own, with `replaces_negative` instead of the
    board's. `characters` are those that may appear. A take is painted with `base_loras`, then those of the characters
    that do appear, then `own_loras`: `Storyboard.loras` puts them together.
    """

    index: int
    id: str
    prompt: str
    style: str
    negative_text: str
    replaces_negative: bool
    seeds: tuple[int, ...]
    width: int
    height: int
    steps: int
    guidance: float
    sampler: Sampler
    base_loras: tuple[LoraUse, ...] = ()
    own_loras: tuple[LoraUse, ...] = ()
    characters: tuple[str, ...] = ()
    pick: int | None = None
    shot: str = ""
    camera: str = ""
    action: str = ""
    dialogue: str = ""
    note: str = ""
    duration: float | None = None


def stack(layers: Iterable[Iterable[LoraUse]]) -> tuple[LoraUse, ...]:
    """One stack of LoRAs from several: a file that is named again keeps its place and takes the later strength."""
    stacked: dict[Path, LoraUse] = {}
    for layer in layers:
        for use in layer:
            stacked[use.path] = use
    return tuple(stacked.values())

"""What a storyboard is made of: scenes, characters, and what they are painted with, every default filled in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from renderer.kolors.card import WHOLE, Interval, Sampler
from renderer.reading.yaml_file import Where
from renderer.take_name import TakeName


@dataclass(frozen=True, slots=True)
class LoraUse:
    """A LoRA file and how it is applied; `where` is its entry in the storyboard.

    `strength` 1.0 is exactly as trained; `alpha` and `rank` complete a file that doesn't state them;
    `diffsynth_alpha` is DiffSynth 1.x's own `lora_alpha`. With a `step` it is not what `path` holds that is applied
    but `step_path`, what it was at that step of its training.
    """

    name: str
    path: Path
    strength: float = 1.0
    alpha: float | None = None
    rank: int | None = None
    diffsynth_alpha: float | None = None
    step: int | None = None
    step_path: Path | None = None
    where: Where = field(default=(), compare=False)

    @property
    def file(self) -> Path:
        """The file that is applied."""
        return self.step_path or self.path


@dataclass(frozen=True, slots=True)
class EmbeddingUse:
    """An embedding's file: where it is in scope, `<name>` in a text stands for it; `where` is its entry."""

    name: str
    path: Path
    where: Where = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class HypernetworkUse:
    """A hypernetwork's file and its strength, 1.0 as trained; `where` is its entry in the storyboard."""

    name: str
    path: Path
    strength: float = 1.0
    where: Where = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A LoRA that is tried out at `strengths` and at steps of its training, `files` by step; empty: not tried out."""

    lora: LoraUse
    strengths: tuple[float, ...]
    files: Mapping[int, Path]

    def __len__(self) -> int:
        """The number of takes that it makes of a seed."""
        return max(1, len(self.strengths)) * max(1, len(self.files))

    def names(self, seed: int) -> Iterator[TakeName]:
        """The takes of a seed, step by step, at each from strength to strength."""
        for step in self.files or (None,):
            for strength in self.strengths or (None,):
                yield TakeName(seed, strength, step)

    def uses(self) -> Iterator[LoraUse]:
        """The LoRA as each of its files has it."""
        stepped = [replace(self.lora, step=step, step_path=path) for step, path in self.files.items()]
        return iter(stepped or [self.lora])

    def applied(self, loras: Iterable[LoraUse], name: TakeName) -> tuple[LoraUse, ...]:
        """The LoRAs of a take, the swept one as its name says; where it isn't among them it comes last."""
        stacked = {use.path: use for use in loras}
        use = next((use for path, use in stacked.items() if _is_same(path, self.lora.path)), self.lora)
        if name.strength is not None:
            use = replace(use, strength=name.strength)
        if name.step is not None:
            use = replace(use, step=name.step, step_path=self.files[name.step])
        return tuple((stacked | {use.path: use}).values())


@dataclass(frozen=True, slots=True)
class Character:
    """What stands for `{name}` in a prompt, and what comes along with it."""

    name: str
    prompt: str
    negative: str = ""
    loras: tuple[LoraUse, ...] = ()
    embeddings: tuple[EmbeddingUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene with all its settings; `index` is its place in the story, from 0.

    `prompt` and `style` are as authored; `negative_text` is the scene's own, with `replaces_negative` instead of the
    board's. `characters` are those that may appear. A take is painted with `base_loras`, then those of the characters
    that do appear, then `own_loras`, and what a `sweep` makes of them: `Storyboard.resolved` puts them together, as
    `Storyboard.embeddings` does for embeddings. `pick` names the chosen take.
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
    guidance_interval: Interval = WHOLE
    cache_interval: int = 1
    base_loras: tuple[LoraUse, ...] = ()
    own_loras: tuple[LoraUse, ...] = ()
    characters: tuple[str, ...] = ()
    sweep: Sweep | None = None
    base_embeddings: tuple[EmbeddingUse, ...] = ()
    own_embeddings: tuple[EmbeddingUse, ...] = ()
    hypernetworks: tuple[HypernetworkUse, ...] = ()
    pick: TakeName | None = None
    shot: str = ""
    camera: str = ""
    action: str = ""
    dialogue: str = ""
    note: str = ""
    duration: float | None = None

    def takes(self, seeds: Iterable[int]) -> Iterator[TakeName]:
        """The takes of these seeds."""
        for seed in seeds:
            yield from self.sweep.names(seed) if self.sweep else (TakeName(seed),)


@cache
def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file: a list may name it, and a sweep say where it lies."""
    return path == other or path.resolve() == other.resolve()


Use = TypeVar("Use", LoraUse, HypernetworkUse)


def stack(layers: Iterable[Iterable[Use]]) -> tuple[Use, ...]:
    """One stack from several: a file that is named again keeps its place and takes the later strength."""
    stacked: dict[Path, Use] = {}
    for layer in layers:
        for use in layer:
            stacked[use.path] = use
    return tuple(stacked.values())

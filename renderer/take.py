"""One picture to paint: what the author asks for, the key that names it, and what comes back when it is painted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from renderer.kolors.card import WHOLE, Interval, Precision, Sampler
from renderer.take_name import TakeName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORD_VERSION = 1
"""Version of the canonical record. New optional fields don't change it: absent, they leave old keys as they were."""


@dataclass(frozen=True, slots=True)
class TakeLora:
    """A LoRA that a take is painted with.

    `strength` 1.0 is exactly as trained. `alpha` and `rank` complete a file that doesn't state them (DiffSynth 1.x
    `.ckpt`); `diffsynth_alpha` is DiffSynth 1.x's own `lora_alpha`, W += lora_alpha·BA. `path` is where the file lies
    on this machine (None: not here), `step` the step of its training that was asked for (None: the finished LoRA).
    These and `name` are not part of the key, the content's `sha256` is.
    """

    name: str
    sha256: str
    strength: float = 1.0
    alpha: float | None = None
    rank: int | None = None
    diffsynth_alpha: float | None = None
    path: Path | None = field(default=None, compare=False)
    step: int | None = field(default=None, compare=False)

    def record(self) -> dict[str, Any]:
        """The part of this LoRA that decides the picture; scale fields only where they are authored."""
        extra = {"alpha": self.alpha, "diffsynth_alpha": self.diffsynth_alpha, "rank": self.rank}
        return {"sha256": self.sha256, "strength": float(self.strength)} | {
            name: value for name, value in extra.items() if value is not None
        }


@dataclass(frozen=True, slots=True)
class TakeEmbedding:
    """An embedding that a take's texts use: `<name>` in its prompt or negative stands for the file's vectors.

    `name` is as the texts have it, so it is part of the key, as is the content's `sha256`. `path` is where the file
    lies on this machine (None: not here).
    """

    name: str
    sha256: str
    path: Path | None = field(default=None, compare=False)

    def record(self) -> dict[str, Any]:
        """The part of this embedding that decides the picture."""
        return {"name": self.name, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class TakeHypernetwork:
    """A hypernetwork that a take is painted with.

    `strength` multiplies what it adds to the keys and values of each attention: 1.0 is exactly as trained, 0.0 is not
    there at all. `path` is where the file lies on this machine (None: not here); it and `name` are not part of the key.
    """

    name: str
    sha256: str
    strength: float = 1.0
    path: Path | None = field(default=None, compare=False)

    def record(self) -> dict[str, Any]:
        """The part of this hypernetwork that decides the picture."""
        return {"sha256": self.sha256, "strength": float(self.strength)}


TrainedFile = TakeLora | TakeEmbedding | TakeHypernetwork


@dataclass(frozen=True)
class Take:
    """One picture to paint, fully resolved.

    `width` and `height` in pixels; `guidance` is the classifier-free guidance scale (1.0: no negative is used);
    `seed` 0 … 2^32-1; `model` is an edition such as `kolors-mini@2`; `precision` and `strict` only where authored.
    `guidance_interval` says in which part of the steps the negative is used, (0.2, 0.8) in the middle ones; with a
    `cache_interval` of N only each Nth step goes through the whole UNet, 1 being exact; `draft`: all this was chosen to
    be quick.
    `embeddings` are those that stand in its prompt or negative, in order of their names. `swept` is the strength and
    the step by which a sweep tells takes of one seed apart, (None, None) without one; it decides nothing.
    """

    scene: str
    seed: int
    prompt: str
    negative: str
    width: int
    height: int
    steps: int
    guidance: float
    sampler: Sampler
    model: str
    loras: tuple[TakeLora, ...] = ()
    precision: Precision | None = None
    strict: bool = False
    embeddings: tuple[TakeEmbedding, ...] = ()
    hypernetworks: tuple[TakeHypernetwork, ...] = ()
    guidance_interval: Interval = WHOLE
    cache_interval: int = 1
    draft: bool = False
    swept: tuple[float | None, int | None] = field(default=(None, None), compare=False)

    @property
    def name(self) -> TakeName:
        """What the take is called among those of its scene."""
        return TakeName(self.seed, *self.swept)

    @property
    def trained(self) -> tuple[TrainedFile, ...]:
        """All trained files that it is painted with."""
        return (*self.loras, *self.embeddings, *self.hypernetworks)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What the author asked for, as JSON values: the content of the key. Names of scenes and files stay out."""
        record: dict[str, Any] = {
            "guidance": float(self.guidance),
            "height": self.height,
            "loras": [lora.record() for lora in self.loras],
            "model": self.model,
            "negative": self.negative,
            "prompt": self.prompt,
            "record": RECORD_VERSION,
            "sampler": self.sampler,
            "seed": self.seed,
            "steps": self.steps,
            "width": self.width,
        }
        if self.embeddings:
            record["embeddings"] = [embedding.record() for embedding in self.embeddings]
        if self.hypernetworks:
            record["hypernetworks"] = [hypernetwork.record() for hypernetwork in self.hypernetworks]
        if self.guidance_interval != WHOLE:
            record["guidance_interval"] = [float(end) for end in self.guidance_interval]
        if self.cache_interval != 1:
            record["cache_interval"] = self.cache_interval
        if self.draft:
            record["draft"] = True
        if self.precision is not None:
            record["precision"] = self.precision
        if self.strict:
            record["reproducible"] = "strict"
        return record

    @cached_property
    def key(self) -> str:
        """sha256 (64 hex digits) of the canonical record."""
        return key_of(self.record)


def canonical_json(record: dict[str, Any]) -> str:
    """The one way to write a record: sorted keys, no spaces, UTF-8 text as it is, shortest floats, no NaN."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def key_of(record: dict[str, Any]) -> str:
    """sha256 (64 hex digits) of a canonical record."""
    return hashlib.sha256(canonical_json(record).encode("utf-8")).hexdigest()


@dataclass(frozen=True, slots=True)
class Provenance:
    """What happened to be so when a picture was painted; recorded, never part of the key.

    `seconds` is this picture's share of the time that its batch took, `batch` the number of takes painted together,
    `machine` a short digest that tells machines apart without naming them, `painted_at` ISO 8601 in UTC; `compiled`:
    its UNet ran as compiled or captured code.
    """

    device: str
    dtype: str
    batch: int
    seconds: float
    machine: str = ""
    painted_at: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class Painted:
    """A finished picture: `pixels` is uint8 [height, width, 3], RGB."""

    take: Take
    pixels: NDArray[np.uint8]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Failed:
    """A take that could not be painted, and why, in words for the author."""

    take: Take
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the painter is: `done` of `total` units of a stage (steps while denoising), for `takes` takes."""

    stage: Literal["loading", "encoding", "denoising", "decoding"]
    done: int
    total: int
    takes: int


class Painter(Protocol):
    """What `paint.py` sees of a pipeline."""

    def paint(self, takes: Sequence[Take], progress: Callable[[Progress], None]) -> Iterator[Painted | Failed]:
        """Each take's picture or failure, as soon as it is ready, in any order.

        Raises ModelError or LoraError before the first picture when weights or LoRA files can't be used.
        """
        ...

"""Many pictures painted in chunks that are kept on disk, so that a killed evaluation goes on where it was."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from renderer.miniature.training.sampling import Networks, load_networks, paint

logger = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Chunk:
    """Pictures painted in one go. `model` names the weights; `negatives` are as many as prompts, or None."""

    model: str
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    negatives: tuple[str, ...] | None
    size: tuple[int, int]
    steps: int
    guidance: float

    @property
    def key(self) -> str:
        """The same for the same pictures, and for no others."""
        return hashlib.sha256(repr(asdict(self)).encode()).hexdigest()[:24]


Painter = Callable[[Chunk], Bytes]
"""Gives [N, height, width, 3] bytes; where worker processes paint, it must be picklable."""


@dataclass(frozen=True)
class ModelPainter:
    """Paints with the networks of a model folder, which each process loads once."""

    folder: Path
    device: str = "cpu"

    def __call__(self, chunk: Chunk) -> Bytes:
        """The pictures of the chunk."""
        return paint(
            networks_on(self.folder, self.device),
            chunk.prompts,
            chunk.size,
            chunk.seeds,
            negatives=chunk.negatives,
            steps=chunk.steps,
            guidance=chunk.guidance,
        )


@dataclass(frozen=True)
class Studio:
    """Where pictures are painted: who paints, in which size and steps, and how many in one go.

    Without a pool the painter paints in this process: the choice for a GPU.
    """

    painter: Painter
    folder: Path
    model: str
    size: tuple[int, int]
    steps: int
    batch: int
    pool: Executor | None = None

    def chunks(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        guidance: float,
        negatives: Sequence[str] | None = None,
    ) -> list[Chunk]:
        """The prompts in chunks of the studio's size."""
        parts = [slice(i, i + self.batch) for i in range(0, len(prompts), self.batch)]
        return [
            Chunk(
                model=self.model,
                prompts=tuple(prompts[part]),
                seeds=tuple(seeds[part]),
                negatives=None if negatives is None else tuple(negatives[part]),
                size=self.size,
                steps=self.steps,
                guidance=guidance,
            )
            for part in parts
        ]

    def paint(self, chunks: Sequence[Chunk]) -> Bytes:
        """[N, height, width, 3] bytes of all chunks; what an earlier call painted is read from disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._paint_all([chunk for chunk in chunks if not self._file(chunk).exists()])
        return np.concatenate([self._load(chunk) for chunk in chunks])

    def _paint_all(self, chunks: Sequence[Chunk]) -> None:
        if self.pool is None:
            for chunk in chunks:
                _paint_into(self._file(chunk), chunk, self.painter)
            return
        painting = [self.pool.submit(_paint_into, self._file(chunk), chunk, self.painter) for chunk in chunks]
        for number, done in enumerate(as_completed(painting), start=1):
            done.result()
            if number % 10 == 0:
                logger.info("painted %d of %d chunks", number, len(chunks))

    def _file(self, chunk: Chunk) -> Path:
        return self.folder / f"{chunk.key}.png"

    def _load(self, chunk: Chunk) -> Bytes:
        width, height = self.size
        return np.asarray(Image.open(self._file(chunk)).convert("RGB")).reshape(-1, height, width, 3)


def painting_pool(processes: int) -> Executor:
    """Processes that paint with one core each: on a machine that does other work too, they never wait for others."""
    return ProcessPoolExecutor(processes, get_context("spawn"), torch.set_num_threads, (1,))


@lru_cache(maxsize=1)
def networks_on(folder: Path, device: str) -> Networks:
    """The networks of a model folder on that device."""
    networks = load_networks(folder)
    for module in (networks.unet, networks.text_encoder, networks.vae):
        module.to(device)
    return networks


def _paint_into(file: Path, chunk: Chunk, painter: Painter) -> None:
    """One PNG with the chunk's pictures below each other, written whole or not at all."""
    pictures = painter(chunk)
    partial = file.with_suffix(".partial")
    Image.fromarray(pictures.reshape(-1, *pictures.shape[2:])).save(partial, format="PNG", compress_level=3)
    partial.replace(file)

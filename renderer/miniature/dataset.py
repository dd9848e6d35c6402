"""The drawn pictures as one array on disk: nothing but seeds and drawing code."""

from __future__ import annotations

import hashlib
import logging
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from renderer.miniature.book import Picture, sample_picture
from renderer.miniature.drawing import draw_picture

logger = logging.getLogger(__name__)

_CHUNK = 500


def picture_of(seed: int) -> Picture:
    """The picture of that seed."""
    return sample_picture(random.Random(seed))


def load_pictures(folder: Path, count: int, size: int, processes: int) -> npt.NDArray[np.uint8]:
    """[count, size, size, 3] bytes of the seeds 0 … count-1, drawn on the first call and read from disk afterwards."""
    file = folder / f"pictures-{count}-{size}.npy"
    if not file.exists():
        _draw_all(file, count, size, processes)
    pictures: npt.NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return pictures


def digest_of(pictures: npt.NDArray[np.uint8]) -> str:
    """sha256 of the pictures' bytes."""
    return hashlib.sha256(np.ascontiguousarray(pictures).tobytes()).hexdigest()


def _draw_all(file: Path, count: int, size: int, processes: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial_file = file.with_suffix(".partial.npy")
    pictures = np.lib.format.open_memmap(partial_file, mode="w+", dtype=np.uint8, shape=(count, size, size, 3))
    starts = range(0, count, _CHUNK)
    with ProcessPoolExecutor(processes) as pool:
        for start, chunk in zip(starts, pool.map(partial(_draw_chunk, count=count, size=size), starts), strict=True):
            pictures[start : start + len(chunk)] = chunk
            logger.info("drawn %d of %d", start + len(chunk), count)
    pictures.flush()
    partial_file.rename(file)


def _draw_chunk(start: int, count: int, size: int) -> npt.NDArray[np.uint8]:
    return np.stack([draw_picture(picture_of(seed), size) for seed in range(start, min(start + _CHUNK, count))])

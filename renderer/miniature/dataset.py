"""The drawn pictures as arrays on disk: nothing but seeds and drawing code."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from renderer.files import write_atomically
from renderer.miniature.art.drawing import draw_picture, frame_size
from renderer.miniature.book import Frame, Picture, Style, sample_picture

logger = logging.getLogger(__name__)

HELD_OUT_START = 10_000_000
"""The first of the seeds that are never trained on."""

_CHUNK = 200
_PACKAGE = Path(__file__).parent
_IMPORT = re.compile(r"^from renderer\.miniature\.([\w.]+) import", re.MULTILINE)


@dataclass(frozen=True)
class PictureSet:
    """The training pictures of one frame: `pixels[i]` is the picture of `seeds[i]`."""

    seeds: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.uint8]


def picture_of(seed: int, style: Style | None = None) -> Picture:
    """The picture of that seed: of a style that is trained on, or of the given one (then it is another picture)."""
    return sample_picture(random.Random(seed), style)


def prepare(folder: Path, count: int, size: int, processes: int) -> dict[Frame, PictureSet]:
    """The pictures of the seeds 0 … count-1, by frame.

    Drawn by that many processes on the first call, and read from `folder` afterwards, as long as the drawing code stays
    the same. A call that was killed is gone on with.
    """
    if count > HELD_OUT_START:
        raise ValueError(f"{count} pictures would reach into the held-out seeds, which start at {HELD_OUT_START}")
    folder.mkdir(parents=True, exist_ok=True)
    frames = np.array([picture_of(seed).frame for seed in range(count)])
    sets = {}
    for frame in get_args(Frame):
        seeds = np.flatnonzero(frames == frame).astype(np.int64)
        sets[frame] = PictureSet(seeds, _pixels(folder / f"{frame}-{count}-{size}.npy", seeds, frame, size, processes))
    return sets


def digest_of(sets: Mapping[Frame, PictureSet]) -> str:
    """sha256 of all seeds and pixels."""
    digest = hashlib.sha256()
    for frame in sorted(sets):
        digest.update(sets[frame].seeds.tobytes())
        for start in range(0, len(sets[frame].pixels), _CHUNK):
            digest.update(sets[frame].pixels[start : start + _CHUNK].tobytes())
    return digest.hexdigest()


def code_digest() -> str:
    """sha256 of the source files that a picture's pixels depend on."""
    digest = hashlib.sha256()
    for name in sorted(_drawing_modules()):
        digest.update(f"{name}\n".encode() + _source(name))
    return digest.hexdigest()


def _drawing_modules() -> set[str]:
    """The modules of this package that drawing imports, however far off."""
    found: set[str] = set()
    ahead = ["art.drawing"]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += _IMPORT.findall(_source(name).decode())
    return found


def _source(name: str) -> bytes:
    return (_PACKAGE / f"{name.replace('.', '/')}.py").read_bytes()


def _pixels(file: Path, seeds: npt.NDArray[np.int64], frame: Frame, size: int, processes: int) -> npt.NDArray[np.uint8]:
    if not file.exists() or _progress(file)["code"] != code_digest():
        _draw_all(file, seeds, frame, size, processes)
    pixels: npt.NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return pixels


def _draw_all(file: Path, seeds: npt.NDArray[np.int64], frame: Frame, size: int, processes: int) -> None:
    """Draws under a partial name; beside it a JSON file says by which code, and how many are safe on disk."""
    file.unlink(missing_ok=True)
    partial_file = file.with_suffix(".partial.npy")
    code, before = code_digest(), _progress(file)
    drawn = int(before["drawn"]) if before["code"] == code and partial_file.exists() else 0
    pixels = _open(partial_file, (len(seeds), *reversed(frame_size(frame, size)), 3), fresh=not drawn)
    chunks = [seeds[start : start + _CHUNK] for start in range(drawn, len(seeds), _CHUNK)]
    _save_progress(file, code, drawn)
    with ProcessPoolExecutor(processes) as pool:
        for chunk in pool.map(partial(_draw_chunk, size=size), chunks):
            pixels[drawn : drawn + len(chunk)] = chunk
            pixels.flush()
            drawn += len(chunk)
            _save_progress(file, code, drawn)
            logger.info("%s: drawn %d of %d", frame, drawn, len(seeds))
    partial_file.rename(file)


def _open(file: Path, shape: tuple[int, ...], fresh: bool) -> np.memmap[Any, np.dtype[np.uint8]]:
    return np.lib.format.open_memmap(file, mode="w+" if fresh else "r+", dtype=np.uint8, shape=shape)


def _draw_chunk(seeds: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
    return np.stack([draw_picture(picture_of(int(seed)), size) for seed in seeds])


def _progress(file: Path) -> dict[str, Any]:
    sidecar = file.with_suffix(".json")
    if not sidecar.exists():
        return {"code": None, "drawn": 0}
    read: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
    return read


def _save_progress(file: Path, code: str, drawn: int) -> None:
    write_atomically(file.with_suffix(".json"), json.dumps({"code": code, "drawn": drawn}).encode())

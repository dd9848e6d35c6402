"""Pictures that a data set holds more than once: the same pixels, or nearly the same picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
"""An outline compares each of 16x16 fields of a picture with the next: 256 bits (dHash, hackerfactor.com, 2013)."""
ALIKE = 0.06
"""Two pictures are near duplicates when at most this share of the bits that either sets differs."""
LEAST = 16
"""Outlines with fewer bits set, of nearly blank pictures, are all alike and tell nothing."""
MOST = 30_000
"""Pictures up to which all pairs are compared: seconds. Beyond, only equal pixels are found."""
_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Pictures that are the same (`equal`: to the pixel; `near`: nearly), by name, in the order of the data set."""

    kind: Literal["equal", "near"]
    names: tuple[str, ...]


def outline_of(picture: Image.Image) -> bytes:
    """Where a picture gets brighter from left to right: 256 bits as 32 bytes. Hardly changes with size or quality."""
    grey = picture.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.LANCZOS)
    fields = np.asarray(grey, dtype=np.int16)
    # A step of 1 is rounding, not drawing.
    return np.packbits(fields[:, 1:] > fields[:, :-1] + 1).tobytes()


def find_duplicates(names: Sequence[str], pixels: Sequence[str], outlines: Sequence[bytes]) -> list[Duplicates]:
    """Groups of pictures that are the same: equal ones by their pixels' hash, then nearly equal ones by outline."""
    by_pixels: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(pixels):
        by_pixels[value].append(index)
    groups = [Duplicates("equal", _named(names, group)) for group in by_pixels.values() if len(group) > 1]
    firsts = [group[0] for group in by_pixels.values()]
    if len(firsts) <= MOST:
        near = _near([outlines[index] for index in firsts])
        groups += [Duplicates("near", _named(names, [firsts[index] for index in group])) for group in near]
    return groups


def _named(names: Sequence[str], indexes: Sequence[int]) -> tuple[str, ...]:
    return tuple(names[index] for index in indexes)


def _near(outlines: Sequence[bytes]) -> list[list[int]]:
    """Groups of indexes whose outlines are alike, each linked to at least one other of its group."""
    if len(outlines) < 2:
        return []
    packed = np.frombuffer(b"".join(outlines), np.uint8).reshape(len(outlines), -1)
    bits = np.unpackbits(packed, axis=1).astype(np.float32)
    leader = np.arange(len(outlines))
    for start in range(0, len(outlines), _CHUNK):
        for left, right in _pairs(bits, start):
            low, high = sorted((leader[left], leader[right]))
            leader[leader == high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for index, first in enumerate(leader.tolist()):
        groups[first].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _pairs(bits: NDArray[np.float32], start: int) -> list[tuple[int, int]]:
    """Pairs of alike rows, the first of which is one of a chunk of rows."""
    chunk = bits[start : start + _CHUNK]
    shared = chunk @ bits.T
    total = chunk.sum(1)[:, None] + bits.sum(1)[None, :]
    enough = np.minimum(chunk.sum(1)[:, None], bits.sum(1)[None, :]) >= LEAST
    alike = (total - 2 * shared <= ALIKE * total) & enough
    pairs = np.argwhere(alike)
    return [(start + row, column) for row, column in pairs.tolist() if start + row < column]

"""Painting again and comparing: does this machine still make the pictures that the run folder holds?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from renderer.plan import Plan, PlannedTake
from renderer.take import Failed, Painter, Progress, Take

CLOSE_DB = 30.0
"""PSNR from which two pictures count as the same to the eye: other devices and half precision stay above it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A take painted again: the largest difference of a channel (0 … 255) and the PSNR in dB (infinite: equal).

    `failure` says why it could not be painted.
    """

    take: Take
    largest: int = 0
    psnr: float = math.inf
    failure: str = ""

    @property
    def verdict(self) -> str:
        """`equal` to the bit, `close` (at least 30 dB), `different`, or `failed`."""
        if self.failure:
            return "failed"
        return "equal" if self.largest == 0 else "close" if self.psnr >= CLOSE_DB else "different"


def verify(
    plan: Plan, takes: Sequence[PlannedTake], painter: Painter, progress: Callable[[Progress], None]
) -> Iterator[Comparison]:
    """Each of `takes` that has a picture painted again and compared with it; nothing is written."""
    painted = [planned.take for planned in takes if planned.take.key in plan.inventory.whole]
    for result in painter.paint(painted, progress):
        if isinstance(result, Failed):
            yield Comparison(result.take, failure=result.reason)
            continue
        with Image.open(plan.folder / plan.inventory.whole[result.take.key].file) as image:
            before = np.asarray(image.convert("RGB"), dtype=np.int16)
        largest = int(np.abs(before - result.pixels.astype(np.int16)).max())
        yield Comparison(result.take, largest, psnr(before, result.pixels))


def psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    """10·log₁₀(255² / mean squared error) in dB of two pictures of numbers 0 … 255; infinite where they are equal."""
    error = float(np.mean(np.square(np.subtract(one, other, dtype=np.float64))))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)

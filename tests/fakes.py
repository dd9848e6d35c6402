"""A painter that needs no model: flat pictures whose colours follow from the take, as fast as one likes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from renderer.take import Failed, Painted, Progress, Provenance, Take

FAKE = Provenance(device="fake", dtype="fp32", batch=1, seconds=0.5, versions={"fake": "1"})


@dataclass
class FakePainter:
    """Paints in plan order; takes of the scenes in `failing` fail; `seconds` of sleep for each take.

    `shift` makes every channel that much lighter or darker than it should be.
    """

    failing: tuple[str, ...] = ()
    seconds: float = 0.0
    interrupt_after: int | None = None
    shift: int = 0
    asked: list[Take] = field(default_factory=list)

    def paint(self, takes: Sequence[Take], progress: Callable[[Progress], None]) -> Iterator[Painted | Failed]:
        for number, take in enumerate(takes):
            if number == self.interrupt_after:
                raise KeyboardInterrupt
            progress(Progress("denoising", 1, 2, 1))
            time.sleep(self.seconds)
            self.asked.append(take)
            if take.scene in self.failing:
                yield Failed(take, "the fake was told to fail")
            else:
                pixels = picture_of(take)
                yield Painted(take, np.where(pixels < 128, pixels + self.shift, pixels - self.shift), FAKE)


def picture_of(take: Take) -> np.ndarray:
    """A flat picture in a colour that follows from the take's key."""
    colour = hashlib.sha256(take.key.encode()).digest()[:3]
    return np.full((take.height, take.width, 3), list(colour), dtype=np.uint8)


def make_take(**changes: object) -> Take:
    """A small take with any field changed."""
    fields: dict[str, object] = {
        "scene": "sofa",
        "seed": 0,
        "prompt": "一个女孩",
        "negative": "模糊",
        "width": 64,
        "height": 64,
        "steps": 25,
        "guidance": 4.0,
        "sampler": "ddim",
        "model": "kolors-mini@1",
    }
    return Take(**(fields | changes))  # type: ignore[arg-type]

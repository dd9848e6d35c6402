"""The training pictures in the memory of the device that trains on them."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from renderer.miniature.book import Frame
from renderer.miniature.training.course import Draw

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Shelf(Generic[_Item]):
    """What is learned from, by frame, and how many pictures each frame has."""

    items: Mapping[Frame, _Item]
    counts: Mapping[Frame, int]
    seed: int

    def choose(self, draw: Draw) -> tuple[_Item, torch.Tensor]:
        """One frame's items for all shares of a step, frames as often as they have pictures, and the drawn indices."""
        rng = random.Random(f"{self.seed} {draw.step}")
        (frame,) = rng.choices(list(self.counts), list(self.counts.values()))
        generator = draw.generator
        indices = torch.randint(0, self.counts[frame], (draw.count,), generator=generator, device=generator.device)
        return self.items[frame], indices


def on_device(array: npt.NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """The array as a tensor: for the CPU where it is, on disk perhaps; for a GPU wholly in its memory."""
    with warnings.catch_warnings():
        # Nothing writes into the pictures, which torch cannot know.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)

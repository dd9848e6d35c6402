"""Chance as a function: every random number of a training follows from its seed, its purpose and its place.

So nothing depends on what was drawn before: a resumed training, another size of batch or a painted sample change none
of the numbers that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch


class Lot(NamedTuple):
    """A place in a training at which something is drawn: `number` counts what a `name` has drawn with this seed."""

    seed: int
    name: str
    number: int

    def chance(self, purpose: str) -> np.random.Generator:
        """Random numbers for one purpose; other purposes and other lots have others."""
        # Seeded by all the words at once, NumPy's SeedSequence keeps neighbouring numbers apart.
        words = (f"{self.name} {purpose}").encode()
        return np.random.default_rng([self.seed, self.number, *words])


@contextmanager
def seeded(lot: Lot, device: torch.device) -> Iterator[None]:
    """Within, torch's global generators, which dropout and initialisation use, follow from the lot; then as before."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(lot.chance("torch").integers(2**63)))
        yield

"""Whether compiling is worth its time: decided by the takes that are left and the seconds that one has taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Known:
    """`seconds` that compiling takes the first time, and the `saved` part of the time that denoising takes."""

    seconds: float
    saved: float


KNOWN = {"cpu": Known(60.0, 0.12), "cuda": Known(120.0, 0.15)}
"""On the CPU measured with the miniature, a batch of four, on one core of an EPYC (Zen 5): 48 to 62 s of processor time
the first time (6 to 9 s once the cache on disk has it), 68.2 ms for a call of the UNet without, 59.3 ms with. On a GPU
both are estimates, not measurements.
"""


class Compiling:
    """What to compile for, in one call of the painter: as asked for, or (None) where it pays.

    `kind` is all that the takes of a batch share of what decides shapes and time. Batches of other lengths than the
    usual one, the last of a kind or those that memory made smaller, are never worth a compilation of their own.
    """

    def __init__(self, asked: bool | None, device: torch.device) -> None:
        self._asked = asked
        self._known = KNOWN.get(device.type)
        self._left: Counter[Hashable] = Counter()
        self._usual: dict[Hashable, int] = {}
        self._each: dict[Hashable, float] = {}
        self._paying: set[Hashable] = set()

    def expect(self, kinds: Iterable[tuple[Hashable, int]]) -> None:
        """So many takes of each kind are to be painted from now on."""
        self._left.clear()
        for kind, count in kinds:
            self._left[kind] += count

    def wanted(self, kind: Hashable, batch: int) -> bool:
        """Whether a batch of so many takes is to be denoised by compiled code."""
        if self._known is None or self._asked is False or batch != self._usual.get(kind, batch):
            return False
        return bool(self._asked) or self._pays(kind, self._known)

    def painted(self, kind: Hashable, batch: int, seconds: float) -> None:
        """A batch of so many takes is denoised; it took so long without compiling."""
        self._usual.setdefault(kind, batch)
        self._each.setdefault(kind, seconds / batch)
        self._left[kind] -= batch

    def _pays(self, kind: Hashable, known: Known) -> bool:
        """Once it did, it goes on: what is left becomes less, but what was compiled stays."""
        if self._left[kind] * self._each.get(kind, 0.0) * known.saved > known.seconds:
            self._paying.add(kind)
        return kind in self._paying

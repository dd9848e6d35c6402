"""The order of the pictures: which come together in each batch, without an end.

Pictures of one size come together. Every picture comes as often as any other: within `len(sizes)` batches, each comes
as often as a batch has places; and of one size, none comes again before all others have come.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from renderer.trainer.learning.chance import Lot


class Order:
    """Batches of pictures whose sizes are known; a function of the seed, the name and a batch's number."""

    def __init__(self, sizes: Sequence[Hashable], batch: int, seed: int, name: str) -> None:
        numbers = {size: number for number, size in enumerate(dict.fromkeys(sizes))}
        self._turns = np.array([numbers[size] for size in sizes])
        self._members = [np.flatnonzero(self._turns == number) for number in numbers.values()]
        self._batch, self._seed, self._name = batch, seed, name

    def batch(self, number: int) -> tuple[int, ...]:
        """The pictures of a batch, by their places in `sizes`."""
        cycle, place = divmod(number, len(self._turns))
        turns = self._turns[_permutation(self._seed, f"{self._name} turns", cycle, len(self._turns))]
        size = int(turns[place])
        before = cycle * len(self._members[size]) + int(np.count_nonzero(turns[:place] == size))
        return tuple(self._picture(size, before * self._batch + offset) for offset in range(self._batch))

    def _picture(self, size: int, number: int) -> int:
        """Of the endless row of pictures of one size, pass after pass, the one at a place."""
        members = self._members[size]
        passed, place = divmod(number, len(members))
        return int(members[_permutation(self._seed, f"{self._name} size {size}", passed, len(members))[place]])


@lru_cache(maxsize=64)
def _permutation(seed: int, name: str, number: int, length: int) -> NDArray[np.int64]:
    return Lot(seed, name, number).chance("order").permutation(length)

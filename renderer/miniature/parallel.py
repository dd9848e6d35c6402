"""Gradients of one batch from several threads, a share of the batch each.

Every thread computes with one core and meets the others once a step. OpenMP's threads meet at every operation: on a
machine that does other work beside, that was measured at a sixth of the speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Team:
    """As many threads as shares of a batch."""

    def __init__(self, threads: int) -> None:
        # Each thread of the team is one core's work.
        torch.set_num_threads(1)
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def map(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """The work on every item, in their order."""
        return list(self._pool.map(work, items))

    def shares(self, batch: int) -> tuple[int, ...]:
        """A batch's sizes of share: one for each thread, and the last cut in two.

        A thread whose core also does other work falls behind; then another thread takes up the last half.
        """
        each = batch // self.threads
        return (*[each] * (self.threads - 1), each - each // 2, each // 2)

    def differentiate(
        self, parameters: Sequence[torch.nn.Parameter], batch: int, loss_of: Callable[[int, int], torch.Tensor]
    ) -> float:
        """Sets the gradients to those of the batch's mean loss, where `loss_of(share, size)` is a share's; gives it."""
        shares = self.shares(batch)

        def work(share: int) -> tuple[float, tuple[torch.Tensor | None, ...]]:
            loss = loss_of(share, shares[share]) * (shares[share] / sum(shares))
            return loss.item(), torch.autograd.grad(loss, list(parameters), allow_unused=True)

        results = self.map(work, range(len(shares)))
        for parameter, gradients in zip(parameters, zip(*(each for _, each in results), strict=True), strict=True):
            known = [gradient for gradient in gradients if gradient is not None]
            parameter.grad = sum(known[1:], known[0]) if known else None
        return sum(loss for loss, _ in results)


def generator_of(seed: int, step: int, share: int) -> torch.Generator:
    """The randomness of one share of one step, whatever came before: a resumed training repeats it exactly."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step * 64 + share)

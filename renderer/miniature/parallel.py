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

    def differentiate(self, parameters: Sequence[torch.nn.Parameter], loss_of: Callable[[int], torch.Tensor]) -> float:
        """Sets the parameters' gradients to the mean over all shares of `loss_of(share)`; gives the mean loss."""

        def work(share: int) -> tuple[float, tuple[torch.Tensor | None, ...]]:
            loss = loss_of(share)
            return loss.item(), torch.autograd.grad(loss, list(parameters), allow_unused=True)

        results = self.map(work, range(self.threads))
        for parameter, gradients in zip(parameters, zip(*(each for _, each in results), strict=True), strict=True):
            known = [gradient for gradient in gradients if gradient is not None]
            parameter.grad = sum(known[1:], known[0]) / self.threads if known else None
        return sum(loss for loss, _ in results) / self.threads


def generator_of(seed: int, step: int, share: int) -> torch.Generator:
    """The randomness of one share of one step, whatever came before: a resumed training repeats it exactly."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step * 64 + share)

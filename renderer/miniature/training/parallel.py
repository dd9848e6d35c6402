"""Gradients of one batch from several threads, share by share.

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

SHARES = 4
"""Every batch is cut into so many shares, whatever the number of threads: then the sums round alike on any machine.

More shares than threads also let a thread whose core does other work fall behind without holding up the rest.
"""


class Team:
    """Threads of one core each, which share out work."""

    def __init__(self, threads: int) -> None:
        # Each thread of the team is one core's work, the calling one's too: it alone does what is between the shares.
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def map(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """The work on every item, in their order."""
        return list(self._pool.map(work, items))

    def differentiate(
        self, parameters: Sequence[torch.nn.Parameter], batch: int, loss_of: Callable[[int, int], torch.Tensor]
    ) -> torch.Tensor:
        """Sets the gradients to those of the batch's mean loss, where `loss_of(share, size)` is a share's; gives it."""
        sizes = share_sizes(batch)

        def work(share: int) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
            loss = loss_of(share, sizes[share]) * (sizes[share] / batch)
            return loss.detach(), torch.autograd.grad(loss, list(parameters), allow_unused=True)

        results = self.map(work, range(len(sizes)))
        for parameter, gradients in zip(parameters, zip(*(each for _, each in results), strict=True), strict=True):
            parameter.grad = _sum([gradient for gradient in gradients if gradient is not None])
        return torch.stack([loss for loss, _ in results]).sum()


def share_sizes(batch: int) -> list[int]:
    """The sizes of a batch's shares, as equal as can be."""
    assert batch >= SHARES
    return [batch // SHARES + (share < batch % SHARES) for share in range(SHARES)]


def generator_of(seed: int, step: int, share: int, device: torch.device | None = None) -> torch.Generator:
    """The randomness of one share of one step, whatever came before: a resumed training repeats it exactly."""
    return torch.Generator(device or "cpu").manual_seed(seed * 1_000_003 + step * 64 + share)


def _sum(gradients: Sequence[torch.Tensor]) -> torch.Tensor | None:
    if not gradients:
        return None
    total = gradients[0].clone(memory_format=torch.contiguous_format)
    for gradient in gradients[1:]:
        total += gradient
    return total

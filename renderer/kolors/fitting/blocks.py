"""Weights in one block of memory, of which they are views: copied as one, and used wherever the block lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

ALIGNED = 512
"""Bytes between the beginnings of tensors in a block: as CUDA's own allocations lie, so that kernels choose alike."""

Setter = Callable[[Tensor], None]


class Part:
    """The weights of some modules in one block of the computer's memory, `pinned` if possible; they lie there at first.

    Tensors that share their memory, as queries, keys and values do that are multiplied together, share it there too.
    """

    def __init__(self, modules: Sequence[nn.Module], pinned: bool) -> None:
        found = list(tensors_of(modules))
        self._setters = [put for _, put in found]
        self._places, size = _packed([tensor for tensor, _ in found])
        self.block = _host_block(size, pinned)
        self.views = self.views_of(self.block)
        for (tensor, _), view in zip(found, self.views, strict=True):
            view.copy_(tensor)
        self.lie(self.views)

    def views_of(self, block: Tensor) -> list[Tensor]:
        """The part's tensors as they lie in a block."""
        return [place.of(block) for place in self._places]

    def lie(self, views: Iterable[Tensor]) -> None:
        """Has the modules use these tensors."""
        for put, view in zip(self._setters, views, strict=True):
            put(view)


def tensors_of(modules: Iterable[nn.Module]) -> Iterator[tuple[Tensor, Setter]]:
    """All tensors of the modules themselves, without their children's, each with what puts another in its place."""
    for module in modules:
        for parameter in module.parameters(recurse=False):
            yield parameter.data, partial(setattr, parameter, "data")
        for name, buffer in module.named_buffers(recurse=False):
            yield buffer, partial(setattr, module, name)
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                yield value, partial(setattr, module, name)


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies in its part's block, from byte `start` on: its type, shape and strides."""

    start: int
    dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]

    def of(self, block: Tensor) -> Tensor:
        """The tensor that lies there in a block."""
        size = _span(self.shape, self.stride) * self.dtype.itemsize
        return block[self.start : self.start + size].view(self.dtype).as_strided(self.shape, self.stride)


def _packed(tensors: Sequence[Tensor]) -> tuple[list[_Place], int]:
    """Where each lies in a block, and the block's bytes. What overlaps in memory now, overlaps there."""
    begins = [tensor.data_ptr() for tensor in tensors]
    ends = [begin + _span(it.shape, it.stride()) * it.itemsize for begin, it in zip(begins, tensors, strict=True)]
    moved: list[int] = [0] * len(tensors)
    size = first = last = 0
    for number in sorted(range(len(tensors)), key=lambda number: (begins[number], -ends[number])):
        if begins[number] >= last:
            size = -(-size // ALIGNED) * ALIGNED
            first = begins[number] - size
            last = begins[number]
        last = max(last, ends[number])
        moved[number] = begins[number] - first
        size = last - first
    places = [
        _Place(start, tensor.dtype, tensor.shape, tensor.stride()) for start, tensor in zip(moved, tensors, strict=True)
    ]
    return places, size


def _span(shape: torch.Size, stride: tuple[int, ...]) -> int:
    """How many numbers there are from the first to the last of a tensor, in memory."""
    return 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) if shape.numel() else 0


def _host_block(size: int, pinned: bool) -> Tensor:
    if pinned:
        with suppress(RuntimeError):  # the system allows no more of it
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)
    return torch.empty(size, dtype=torch.uint8)

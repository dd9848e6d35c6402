"""Counting what a computation takes of a GPU's memory, without a GPU: on the meta device, where no tensor has numbers.

What lives when is the same there, and so is the order in memory of what CUDA's kernels give once that is put right.
What they take besides is added where it is known: attention never holds the scores; a convolution whose weights lie
channels last copies an input that lies otherwise; a group norm copies one that lies channels last (not in every version
of torch: this is the most). cuDNN's workspaces are not in it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _FusedAttention(TorchFunctionMode):
    """Attention as CUDA's kernels for it do: tokens side by side in the result, and a number for each row."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is not scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query = args[0]
        batch, heads, tokens, width = query.shape
        query.new_empty(batch, heads, tokens, dtype=torch.float32)
        return query.new_empty(batch, tokens, heads, width).transpose(1, 2)


class _Living(TorchDispatchMode):
    """The bytes of all tensors that are made while it is on, and the most that there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        inputs = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        made = _laid_out(func, args, func(*args, **(kwargs or {})))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor) and id(leaf.untyped_storage()) not in inputs:
                self._count(leaf.untyped_storage())
        self.peak = max(self.peak, self.now + _besides(func, args))
        return made

    def _count(self, storage) -> None:
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = size
        self.now += size
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


def _laid_out(func, args, made):
    """The result in the order in memory that CUDA's kernel gives it."""
    if func is torch.ops.aten.convolution.default and args[1].is_contiguous(memory_format=torch.channels_last):
        return torch.empty_like(made, memory_format=torch.channels_last)
    return made


def _besides(func, args) -> int:
    """Bytes that CUDA's kernel takes beside what goes in and comes out."""
    last = torch.channels_last
    if func is torch.ops.aten.native_group_norm.default:
        return 0 if args[0].is_contiguous() else args[0].nbytes
    if func is not torch.ops.aten.convolution.default or not args[1].is_contiguous(memory_format=last):
        return 0
    return 0 if args[0].is_contiguous(memory_format=last) else args[0].nbytes


def peak_bytes(work: Callable[[], object]) -> int:
    """The most bytes that tensors made by `work` hold at once, its result included."""
    with torch.no_grad(), _FusedAttention(), _Living() as living:
        result = work()
        del result
    return living.peak

"""Attention on CUDA by the kernel that is quickest for its shape, found out by timing each of them once in a process.

Where flash attention, cuDNN's and the memory-efficient kernel can all compute a shape, which one wins depends on the
card, the number of tokens and the width of a head. All give the same numbers to rounding.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

log = logging.getLogger(__name__)

KERNELS = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)
TRIES, ROUNDS = 5, 2
"""Times that each kernel runs in a round, after one that doesn't count, and rounds, of which the quicker one counts:
some milliseconds for all three at 1024².
"""

Clock = Callable[[Callable[[], object]], float]
"""Seconds that something takes on the device."""


class Shape(NamedTuple):
    """All that decides which kernel is quickest."""

    batch: int
    heads: int
    tokens: int
    context: int
    width: int
    dtype: torch.dtype
    device: torch.device


_CHOSEN: dict[Shape, SDPBackend | None] = {}
"""None where PyTorch's own choice is as good: naming it costs 9 µs of the processor at each call."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """[batch, heads, tokens, width of a head] of each token's attention to all of `key`'s.

    Off CUDA there is nothing to choose. PyTorch chooses by a rule of its own in compiled code, while a CUDA graph is
    captured, and where strict reproducibility is asked for (`exact_kernels`): what a clock says may change.
    """
    if query.device.type != "cuda" or torch.compiler.is_compiling() or torch.backends.cudnn.deterministic:
        return scaled_dot_product_attention(query, key, value)
    shape = _shape(query, key)
    if shape not in _CHOSEN:
        if torch.cuda.is_current_stream_capturing():
            return scaled_dot_product_attention(query, key, value)
        with torch.cuda.device(query.device):
            _CHOSEN[shape] = _chosen(query, key, value)
        log.debug("attention of %s: %s", shape, _CHOSEN[shape])
    kernel = _CHOSEN[shape]
    if kernel is None:
        return scaled_dot_product_attention(query, key, value)
    with sdpa_kernel(kernel):
        return scaled_dot_product_attention(query, key, value)


@torch.no_grad()
def _chosen(query: Tensor, key: Tensor, value: Tensor) -> SDPBackend | None:
    """The quickest kernel, unless PyTorch would take it anyway. Keeps nothing of the trials for a backward pass."""
    its = query.detach(), key.detach(), value.detach()
    found = quickest(partial(scaled_dot_product_attention, *its), _timed_on_cuda)
    return None if found is None or found == SDPBackend(torch._fused_sdp_choice(*its)) else found


def quickest(work: Callable[[], object], clock: Clock) -> SDPBackend | None:
    """The kernel with which `work` takes the least time; None where none of them can do it."""
    seconds: dict[SDPBackend, float] = {}
    for kernel in KERNELS:
        try:
            with warnings.catch_warnings(), sdpa_kernel(kernel):
                warnings.simplefilter("ignore", UserWarning)  # why a kernel can't do it
                seconds[kernel] = clock(work)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # this kernel can't compute this shape or type, or isn't in this build
            continue
    return min(seconds, key=seconds.__getitem__, default=None)


def _shape(query: Tensor, key: Tensor) -> Shape:
    batch, heads, tokens, width = query.shape
    return Shape(batch, heads, tokens, key.shape[2], width, query.dtype, query.device)


def _timed_on_cuda(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        for _ in range(TRIES):
            work()
        end.record()
        end.synchronize()
        seconds.append(float(begin.elapsed_time(end)) / 1000 / TRIES)
    return min(seconds)

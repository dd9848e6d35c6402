"""How much memory there is, and what is done when it runs out."""

from __future__ import annotations

import ctypes
import gc
import logging
import platform
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import torch

from renderer.errors import ModelError
from renderer.kolors.fitting.machine import computer_memory
from renderer.kolors.fitting.placement import Room

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of settings in glibc's malloc.h."""
KEPT, MOST_KEPT = 512 * 1024**2, 32 * 1024**2
"""Bytes of freed memory that a process keeps on the CPU, and of the largest piece among it, which older versions of
glibc allow no more of.
"""

STRICT_WORDS = (
    "Out of memory with one picture at a time, which is what `reproducible: strict` paints. "
    "Choose a smaller size, or close other programs that use the device."
)
_WORDS = (
    *("can't allocate memory", "not enough memory", "MPS backend out of memory"),
    *("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
    "unable to find an engine to execute this computation",
)
"""How torch says it where it has no exception of its own: on the CPU (Linux, Windows), on Apple's GPUs, and of what
CUDA and its libraries take for themselves. The last is cuDNN's, each of whose algorithms ran out of working memory.
"""


def room_of(device: torch.device, ours: int) -> Room:
    """What this process could have of a device's memory, `ours` (bytes of weights that may go) included."""
    host = computer_memory()[1]
    if device.type != "cuda":
        return Room("mps" if device.type == "mps" else "cpu", host + ours, host)
    free, total = torch.cuda.mem_get_info(device)
    taken = torch.cuda.memory_allocated(device) - ours
    allowed = total
    if hasattr(torch.cuda, "get_per_process_memory_fraction"):  # not in every torch that will do
        allowed = int(total * torch.cuda.get_per_process_memory_fraction(device))
    return Room("cuda", max(0, min(free + torch.cuda.memory_reserved(device), allowed) - taken), host)


def in_batches(
    items: Sequence[Item],
    size: int,
    work: Callable[[Sequence[Item]], Iterator[Result]],
    unfit: Callable[[Item], Result] | None,
) -> Iterator[Result]:
    """What `work` yields for batches of at most `size` items; one that runs out of memory is halved and tried again.

    `work` must run out of memory before it yields anything of a batch. An item that doesn't fit alone becomes
    `unfit(item)`; without `unfit` (strict) nothing is halved, and ModelError is raised.
    """
    start = 0
    while start < len(items):
        batch = items[start : start + size]
        try:
            yield from work(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if unfit is None:
                raise ModelError(STRICT_WORDS) from error
        else:
            start += len(batch)
            continue
        release()  # here, where the exception and its frames no longer hold the batch's tensors
        if len(batch) == 1 and unfit is not None:
            yield unfit(batch[0])
            start += 1
        size = max(1, len(batch) // 2)
        log.warning("out of memory with %d pictures at once: going on with %d", len(batch), size)


def attempted(work: Callable[[], Result], device: torch.device) -> Result | None:
    """What `work` gives; None where memory ran out, which is then given back to the device."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    release(device)  # here, where the exception and its frames hold no tensors any more
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on whichever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def keep_freed_memory() -> None:
    """Has the C library keep freed memory for what is allocated next, until `release`; where that is glibc.

    It would give tensors of a megabyte back to the system at each operation, which clears their pages anew for the
    next: 4,000 pages for a batch of eight of the miniature, at each call of its UNet.
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(MMAP_THRESHOLD, MOST_KEPT)
        libc.mallopt(TRIM_THRESHOLD, KEPT)


@cache
def _glibc() -> Any:  # noqa: ANN401
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def release(device: torch.device | None = None) -> None:
    """Gives freed memory back to the device, and to the system."""
    gc.collect()
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)
    if torch.cuda.is_available() and (device is None or device.type == "cuda"):
        torch.cuda.empty_cache()
        if hasattr(torch._C, "_host_emptyCache"):  # pinned memory of the computer's; not in every torch that will do
            torch._C._host_emptyCache()
    if torch.backends.mps.is_available() and (device is None or device.type == "mps"):
        torch.mps.empty_cache()

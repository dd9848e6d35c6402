"""How many pictures fit into memory at once, and what is done when they don't."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from renderer.errors import ModelError

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

STRICT_BATCH = 1
"""Pictures at once where `reproducible: strict` is asked for.

Which kernel multiplies a matrix, and how it walks the rows, is chosen by the number of rows: in a batch of another size
a picture differs in its last bits, and whether its place in a batch matters is up to the kernel. Alone, it has no place
and no neighbours on any device, and memory can't change that.
"""
CPU_BATCH = 4
CPU_PIXELS = CPU_BATCH * 256 * 256
"""Pictures, and pixels, at once on the CPU. Measured with the miniature at 96x96 on two cores, one thread: 0.47 s for a
picture painted alone, 0.28 s in batches of four, no less in larger ones. Large pictures gain nothing from company."""
GPU_BATCH = 64
GPU_PIXELS = 8 * 1024 * 1024
"""Pictures, and pixels, at once on a GPU: beyond eight pictures of 1024² a batch only takes longer."""
BYTES_PER_PIXEL = 2500
"""Working memory of the UNet for a guided picture in half precision: an estimate (2.5 GB at 1024²), not a measurement.
Where it is too low, the batch is halved."""
RESERVE = 8 * 1024**3
"""Bytes left for decoding a picture of 1024² in fp32: an estimate, on the safe side."""

STRICT_WORDS = (
    "Out of memory with one picture at a time, which is what `reproducible: strict` paints. "
    "Choose a smaller size, or close other programs that use the device."
)
_WORDS = ("can't allocate memory", "not enough memory", "MPS backend out of memory")
"""How torch says it where it has no exception of its own: on the CPU (Linux, Windows) and on Apple's GPUs."""


def batch_size(device: torch.device, dtype: torch.dtype, width: int, height: int, strict: bool) -> int:
    """How many pictures of a size (pixels) to denoise at once on a device whose UNet is loaded: at least 1."""
    if strict:
        return STRICT_BATCH
    if device.type != "cuda":
        return max(1, min(CPU_BATCH, CPU_PIXELS // (width * height)))
    most = max(1, min(GPU_BATCH, GPU_PIXELS // (width * height)))
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    each = width * height * BYTES_PER_PIXEL * (2 if dtype == torch.float32 else 1)
    return max(1, min(most, (free - min(RESERVE, free // 2)) // each))


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


def release(device: torch.device | None = None) -> None:
    """Gives freed memory back to the device."""
    gc.collect()
    if torch.cuda.is_available() and (device is None or device.type == "cuda"):
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available() and (device is None or device.type == "mps"):
        torch.mps.empty_cache()

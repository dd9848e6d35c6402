"""Time and memory on a device, and the rate at which it multiplies matrices."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from renderer.kolors.device import synchronize
from renderer.kolors.kernels.multiplying import linear
from renderer.kolors.quick.float8 import FLOAT8, multiply_rounded, round_rows

Result = TypeVar("Result")

MEMORY = Path("/proc/meminfo")
GEMM_SIDE = {"cuda": 8192, "mps": 4096, "cpu": 1024}
"""Rows and columns of the matrices: so many that a larger side gains little, so few that they fit anywhere."""
BUSY = 0.5
"""Of the processor's cores: with so many at work on other things, a clock on the wall says little."""
GEMM_SECONDS, GEMM_TRIES = 0.1, 5
"""About how long a try takes, and how many there are: the best one is what the device can do when it is left alone."""


def timed(device: torch.device, work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds from an idle device until all of `work` is done on it, and what came of it."""
    synchronize(device)
    started = time.perf_counter()
    result = work()
    synchronize(device)
    return time.perf_counter() - started, result


def busy() -> str:
    """Says so where other programs keep the processor busy: best asked before measuring. '' where nothing tells."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load < BUSY * cores:
        return ""
    return f"other programs were busy when this began (load {load:.1f}, {cores} cores): seconds are too many, and rough"


@dataclass(slots=True)
class Peak:
    """The most memory (bytes) that was taken beyond what was taken before; None where it is not measured."""

    bytes: int | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measures the block on CUDA. On the CPU nothing tells it: freed memory stays with the process for the next run."""
    peak = Peak()
    if device.type != "cuda":
        yield peak
        return
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    yield peak
    peak.bytes = torch.cuda.max_memory_allocated(device) - before


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free for weights; None where nothing tells. On the CPU Linux alone does."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


class Gemm:
    """Square matrices to multiply on a device in a number format, by the kernels that painting multiplies with."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        """Multiplies once, as warm-up, and finds out how often that goes into one try."""
        self._device, self._side = device, GEMM_SIDE.get(device.type, GEMM_SIDE["cpu"])
        generator = torch.Generator(device).manual_seed(0)
        one, other = torch.randn(2, self._side, self._side, generator=generator, device=device) * 0.1
        if dtype == FLOAT8:
            self._multiply_once = partial(multiply_rounded, *round_rows(one), *round_rows(other))
        else:
            self._multiply_once = partial(linear, one.to(dtype), other.to(dtype))
        self._multiply(1)
        self._times = max(1, int(GEMM_SECONDS / timed(device, lambda: self._multiply(1))[0]))

    def tflops(self) -> float:
        """Measured now: 10^12 multiplications and additions in a second, in the best of a few tries."""
        seconds = min(timed(self._device, lambda: self._multiply(self._times))[0] for _ in range(GEMM_TRIES))
        return 2 * self._side**3 * self._times / seconds / 1e12

    @torch.inference_mode()
    def _multiply(self, times: int) -> None:
        for _ in range(times):
            self._multiply_once()

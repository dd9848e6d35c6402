"""The devices of this machine with their memory, found without torch: `plan` answers before torch is imported.

The same device that `choose_device` chooses comes first: NVIDIA's GPUs as their driver tells them (NVML), Apple's GPU,
which shares the computer's memory, or the CPU.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from renderer.kolors.card import Precision
from renderer.kolors.fitting.placement import Kind, Room, gigabytes

CONTEXT = 512 * 1024**2
"""Bytes that a process takes of a GPU before its first tensor: CUDA's own, and torch's kernels."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A device: what it calls itself, all of its memory and what is free of it, and what is free in the computer, all
    in bytes.
    """

    kind: Kind
    name: str
    total: int
    free: int
    host: int

    @property
    def room(self) -> Room:
        """What a process that has yet to start on it could have."""
        return Room(self.kind, self.free - CONTEXT if self.kind == "cuda" else self.free, self.host)

    @property
    def precision(self) -> Precision:
        """What is painted in where a story doesn't say (`choose_precision`)."""
        return "fp32" if self.kind == "cpu" else "fp16"

    def __str__(self) -> str:
        return f"{self.name}, {gigabytes(self.free)} free"


def this_machine() -> Machine:
    """The device that painting will use, if none is named."""
    return next(iter(machines()))


def machines() -> list[Machine]:
    """All GPUs that can be used, in CUDA's order; where there is none, Apple's GPU or the CPU. Raises nothing."""
    total, host = computer_memory()
    with suppress(Exception):  # no driver, one too old, a card that answers nothing: whatever it is, there is the CPU
        if found := [Machine("cuda", name, total, free, host) for name, total, free in _nvidia()]:
            return found
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return [Machine("mps", "Apple's GPU", total, host, host)]
    return [Machine("cpu", "CPU", total, host, host)]


def computer_memory() -> tuple[int, int]:
    """The computer's memory in bytes: all of it, and what programs can have of it now without swapping."""
    import psutil

    memory = psutil.virtual_memory()
    return memory.total, memory.available


def _nvidia() -> Iterator[tuple[str, int, int]]:
    """Name, memory and free memory of the GPUs that CUDA shows this process."""
    if not _torch_has_cuda():
        return
    import pynvml

    pynvml.nvmlInit()
    try:
        for handle in _handles(pynvml):
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            yield str(pynvml.nvmlDeviceGetName(handle)), int(memory.total), int(memory.free)
    finally:
        pynvml.nvmlShutdown()


def _handles(nvml: Any) -> Iterator[Any]:  # noqa: ANN401
    """Those of CUDA_VISIBLE_DEVICES (numbers or identifiers, up to the first that names none), or of all GPUs.

    NVML counts by place on the bus and CUDA the fastest first, unless CUDA_DEVICE_ORDER says otherwise: with several
    cards of different makes, the numbers may be of others.
    """
    count = nvml.nvmlDeviceGetCount()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(number) for number in range(count)] if chosen is None else chosen.split(",")
    for name in map(str.strip, names):
        if name.isdigit() and int(name) < count:
            yield nvml.nvmlDeviceGetHandleByIndex(int(name))
        elif name.startswith("MIG-"):
            yield nvml.nvmlDeviceGetHandleByUUID(name)
        elif name.startswith("GPU-"):  # CUDA takes the beginning of one, too
            handles = (nvml.nvmlDeviceGetHandleByIndex(number) for number in range(count))
            yield from (it for it in handles if str(nvml.nvmlDeviceGetUUID(it)).startswith(name))
        else:
            return


def _torch_has_cuda() -> bool:
    """Whether the torch that is installed was built for CUDA, as far as its version tells."""
    try:
        return "+cpu" not in version("torch")
    except PackageNotFoundError:
        return False

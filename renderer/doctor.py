"""What this machine can run, and what is missing: one finding a line, each with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from renderer.errors import StoryboardError
from renderer.kolors.card import KOLORS, edition_of, find_model
from renderer.kolors.fitting.choosing import place, unfit_words
from renderer.kolors.fitting.machine import Machine, computer_memory, machines
from renderer.kolors.fitting.placement import Job, gigabytes
from renderer.kolors.fitting.sizes import KOLORS_SIZES
from renderer.kolors.layout import missing_parts
from renderer.metadata import version

AT_ITS_BEST = Job(*KOLORS.size, "fp16")
"""A picture of Kolors' own size, guided."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is `good`, `poor` (works, but not as well as it could) or `missing`; `todo` says what to do."""

    state: Literal["good", "poor", "missing"]
    subject: str
    words: str
    todo: str = ""


def examine() -> Iterator[Finding]:
    """Every finding, cheap ones first. Imports torch."""
    yield Finding("good", "renderer", f"{version()}, Python {platform.python_version()}, {platform.platform()}")
    yield _disk()
    yield from _models()
    yield from _device()


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    words = f"{free / 1e9:.0f} GB free here"
    return Finding("good", "disk", words) if free > 1e9 else Finding("poor", "disk", words, "Free some space.")


def _models() -> Iterator[Finding]:
    for name in ("kolors-mini", "kolors"):
        folder = find_model(name)
        todo = f"storyboard models pull {name}" if name == "kolors" else "Install the package again."
        if folder is None:
            state: Literal["good", "poor", "missing"] = "poor" if name == "kolors" else "missing"
            yield Finding(state, name, "not on this machine", f"{todo} (only where a story says `model: kolors`)")
            continue
        problems = missing_parts(folder)
        if problems:
            yield Finding("missing", name, f"{folder}: incomplete: {problems[0]}", todo)
            continue
        try:
            yield Finding("good", name, f"{edition_of(folder)} in {folder}")
        except StoryboardError as error:
            yield Finding("missing", name, str(error), todo)


def _device() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("missing", "torch", f"can't be imported: {error}", "pip install --force-reinstall torch")
        return
    version_ = f"torch {torch.__version__}"
    found = [machine for machine in machines() if machine.kind == "cuda"]
    if torch.cuda.is_available() and not found:
        found = [_asked_of_torch(number) for number in range(torch.cuda.device_count())]
    if torch.cuda.is_available():
        yield from (_graphics_card(machine, version_) for machine in found)
    elif torch.backends.mps.is_available():
        yield Finding("poor", "GPU", f"Apple MPS, {version_}", "It is used, but was never tested.")
    else:
        yield Finding("poor", "GPU", f"none that {version_} can use", "kolors-mini paints on the CPU in seconds.")
    yield _processor()


def _graphics_card(machine: Machine, torch_version: str) -> Finding:
    """A GPU, and how it would paint Kolors."""
    words = f"{machine.name}, {_of_all(machine)}, {torch_version}"
    placement = place(KOLORS_SIZES, AT_ITS_BEST, machine.room)
    if placement is not None:
        return Finding(
            "good" if placement.unet == "whole" else "poor", "GPU", f"{words}; kolors at 1024x1024: {placement}"
        )
    return Finding("poor", "GPU", words, "kolors: " + unfit_words(KOLORS_SIZES, AT_ITS_BEST, machine.room, "it"))


def _processor() -> Finding:
    """The CPU, its memory, and how it would paint Kolors."""
    total, free = computer_memory()
    machine = Machine("cpu", "CPU", total, free, free)
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    words = f"{cores} cores, {_of_all(machine)}"
    job = replace(AT_ITS_BEST, precision=machine.precision)
    placement = place(KOLORS_SIZES, job, machine.room)
    if placement is not None:
        return Finding("good", "CPU", f"{words}; kolors at 1024x1024, slowly: {placement}")
    return Finding(
        "good", "CPU", f"{words}; too little for kolors: {unfit_words(KOLORS_SIZES, job, machine.room, 'it')}"
    )


def _of_all(machine: Machine) -> str:
    return f"{gigabytes(machine.free)} of {gigabytes(machine.total)} free"


def _asked_of_torch(number: int) -> Machine:
    """A GPU that the driver's own library doesn't tell of."""
    import torch

    free, total = torch.cuda.mem_get_info(number)
    return Machine("cuda", torch.cuda.get_device_name(number), total, free, computer_memory()[1])

"""What this machine can run, and what is missing: one finding a line, each with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from renderer.errors import StoryboardError
from renderer.kolors.card import edition_of, find_model
from renderer.kolors.layout import missing_parts
from renderer.metadata import version

KOLORS_GPU_GIB = 7
"""GPU memory for Kolors: its UNet's 2.58 billion weights take 5.2 GB in half precision, painting an estimated 1.5 more.
ChatGLM3 is read layer by layer, and takes less."""


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
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            gib = card.total_memory / 2**30
            words = f"{card.name}, {gib:.0f} GiB, torch {torch.__version__}"
            if gib >= KOLORS_GPU_GIB:
                yield Finding("good", "GPU", words)
            else:
                yield Finding("poor", "GPU", words, "Too small for kolors' UNet; kolors-mini runs.")
    elif torch.backends.mps.is_available():
        yield Finding("poor", "GPU", f"Apple MPS, torch {torch.__version__}", "It is used, but was never tested.")
    else:
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        words = f"none that torch {torch.__version__} can use; {cores} CPU cores"
        yield Finding("poor", "GPU", words, "kolors-mini paints here in seconds; kolors wants a GPU.")

"""What is in a file of trained tensors as people pass them on, in safetensors or as torch's pickle.

Importing this needs no torch; only the tensors themselves do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderer.errors import StoryboardError
from renderer.files import file_sha256
from renderer.kolors.files.header import DamagedFile, read_header
from renderer.kolors.files.pickled import Shape, pickled_content


@dataclass(frozen=True, slots=True)
class Outline:
    """What is in a file: its `content` by name, with a Shape in place of each tensor, and what it says in words.

    A safetensors file holds tensors alone, and metadata. A pickle may hold tensors, numbers, texts, and more of the
    kind inside each other; its outermost texts and numbers count as metadata.
    """

    content: dict[Any, Any]
    metadata: dict[str, str]


def outline(path: Path, error: type[StoryboardError]) -> Outline:
    """What is in a file, from its header alone and without running anything.

    Raises `error` where it is missing, damaged, or would run code when read.
    """
    with _explained(path, error):
        if path.suffix != ".safetensors":
            return _pickled(path, error)
        header = read_header(path)
    return Outline({name: Shape(tensor.shape) for name, tensor in header.tensors.items()}, header.metadata)


def load(path: Path, error: type[StoryboardError]) -> dict[Any, Any]:
    """The content of a file that `outline` has approved, with its tensors, on the CPU. Raises `error`."""
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return {**load_file(path)}
        return {**torch.load(path, map_location="cpu", weights_only=True)}
    except Exception as cause:  # a damaged pickle hands torch whatever it likes
        raise error(f"{path}: damaged: its tensors can't be read. Fetch the file again.") from cause


def require_planned(kind: str, name: str, sha256: str, path: Path | None, error: type[StoryboardError]) -> Path:
    """The file of that content which a take was planned with. Raises `error` where it is gone or has changed."""
    if path is None or not path.is_file():
        raise error(f'The {kind} "{name}" is not on this machine (sha256 {sha256[:12]}…).')
    with _explained(path, error):
        if file_sha256(path) != sha256:
            raise error(f"{path}: changed since the takes were planned. Render again.")
    return path


def _pickled(path: Path, error: type[StoryboardError]) -> Outline:
    content = pickled_content(path, error)
    if not isinstance(content, dict):
        raise error(f"{path}: it holds no tensors by name, as files of trained weights do")
    return Outline(content, {str(name): str(it) for name, it in content.items() if isinstance(it, str | int | float)})


@contextmanager
def _explained(path: Path, error: type[StoryboardError]) -> Iterator[None]:
    try:
        yield
    except DamagedFile as cause:
        raise error(f"{path}: damaged: {cause}. Fetch the file again.") from cause
    except OSError as cause:
        raise error(f"{path}: can't be read: {cause.strerror or cause}") from cause

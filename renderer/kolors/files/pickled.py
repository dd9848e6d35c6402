"""The names and shapes in a pickled file of weights (.ckpt, .pt, .bin), read without torch and without running it.

A pickle is a program that may call anything it can name. The reader here hands out names for the few functions that
rebuild a tensor, which note its shape, and refuses any other.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from operator import index
from pathlib import Path
from typing import Any

from renderer.errors import LoraError, StoryboardError

MAX_PICKLE = 64 * 1024 * 1024
"""Bytes; a LoRA's names and shapes take some hundred kilobytes."""
SAFE_ADVICE = "Take a .safetensors file instead, which can't."


class Shape(tuple[int, ...]):
    """A tensor, of which only the shape is kept."""


def pickled_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a LoRA by name. Raises LoraError, also where reading it would run code."""
    content = pickled_content(path, LoraError)
    if not isinstance(content, dict) or not all(isinstance(shape, Shape) for shape in content.values()):
        raise LoraError(f"{path}: not a LoRA: it holds more than tensors by name (a training checkpoint, perhaps)")
    return {str(name): tuple(shape) for name, shape in content.items()}


def pickled_content(path: Path, error: type[StoryboardError]) -> object:
    """What torch.save wrote, with each tensor's Shape in its place. Raises `error`, also where it would run code."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((it for it in archive.infolist() if it.filename.endswith("data.pkl")), None)
            if member is None or member.file_size > MAX_PICKLE:
                raise error(f"{path}: not a file of weights that torch wrote")
            content = archive.read(member)
        loaded: object = _Reader(io.BytesIO(content), path, error).load()
    except zipfile.BadZipFile as cause:
        raise error(f"{path}: {_no_archive(path)}") from cause
    except (StoryboardError, OSError):
        raise
    except Exception as cause:  # a damaged pickle does whatever its bytes say, to whatever it has
        raise error(f"{path}: damaged: its list of tensors can't be read") from cause
    if any(math.prod(shape) > path.stat().st_size for shape in _shapes(loaded)):
        raise error(f"{path}: damaged: a tensor in it has more numbers than the file has bytes")
    return loaded


def _shapes(content: object) -> Iterator[Shape]:
    """All shapes at any depth, each container once: a pickle can hold itself."""
    seen: set[int] = set()
    waiting = [content]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Shape):
            yield found
        elif isinstance(found, dict | list | tuple) and id(found) not in seen:
            seen.add(id(found))
            waiting.extend(found.values() if isinstance(found, dict) else found)


class _Reader(pickle._Unpickler):
    """Python's own unpickler in Python: the one in C sets memory aside for as many objects as eight bytes ask for."""

    def __init__(self, file: io.BytesIO, path: Path, error: type[StoryboardError]) -> None:
        super().__init__(file)
        self._path, self._error = path, error

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "torch" and (name.endswith("Storage") or name in _TYPES):
            return _nothing
        raise self._error(
            f"{self._path}: refused: a file that would run code when it is read (it calls {module}.{name}). "
            f"{SAFE_ADVICE}"
        )

    def persistent_load(self, pid: object) -> None:
        """Tensors' bytes lie elsewhere in the archive; they are not needed."""


def _tensor(storage: object, offset: int, size: tuple[int, ...], *rest: object) -> Shape:
    return Shape(map(index, size))


def _parameter(data: Shape, *rest: object) -> Shape:
    return data


def _nothing(*args: object) -> None:
    return None


_TYPES = {"float32", "float16", "bfloat16", "float64", "int64", "Size", "device"}
_KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch.serialization", "_get_layout"): _nothing,
}


def _no_archive(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] == b"\x80":
        return "a pickle in torch's format of before 2020, which is not read here. Save it again with a newer torch."
    return "cut short, or not a file of weights that torch wrote"

"""The names and shapes in a pickled LoRA file (.ckpt, .pt, .bin), read without torch and without running anything."""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from renderer.errors import LoraError

MAX_PICKLE = 64 * 1024 * 1024
"""Bytes; a LoRA's names and shapes take some hundred kilobytes."""
SAFE_ADVICE = "Take a .safetensors file instead, which can't."


def pickled_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by name, as torch.save wrote them. Raises LoraError, also where it would run code.

    A pickle is a program that may call anything it can name. This reader hands out names for the few functions that
    rebuild a tensor, which note its shape, and refuses any other.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = next((it for it in archive.infolist() if it.filename.endswith("data.pkl")), None)
            if member is None or member.file_size > MAX_PICKLE:
                raise LoraError(f"{path}: not a file of weights that torch wrote")
            content = archive.read(member)
        loaded = _Reader(io.BytesIO(content), path).load()
    except zipfile.BadZipFile as error:
        raise LoraError(f"{path}: {_no_archive(path)}") from error
    except _DAMAGE as error:
        raise LoraError(f"{path}: damaged: its list of tensors can't be read") from error
    if not isinstance(loaded, dict) or not all(isinstance(shape, _Shape) for shape in loaded.values()):
        raise LoraError(f"{path}: not a LoRA: it holds more than tensors by name (a training checkpoint, perhaps)")
    return {str(name): tuple(shape) for name, shape in loaded.items()}


_DAMAGE = (
    *(pickle.UnpicklingError, zlib.error, EOFError, MemoryError, ArithmeticError),
    *(LookupError, ValueError, TypeError, AttributeError, RuntimeError),
)
"""What reading a damaged archive or pickle raises."""


class _Shape(tuple[int, ...]):
    """A tensor, of which only the shape is kept."""


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module == "torch" and (name.endswith("Storage") or name in _TYPES):
            return _nothing
        raise LoraError(
            f"{self._path}: refused: a file that would run code when it is read (it calls {module}.{name}). "
            f"{SAFE_ADVICE}"
        )

    def persistent_load(self, pid: object) -> None:
        """Tensors' bytes lie elsewhere in the archive; they are not needed."""


def _tensor(storage: object, offset: int, size: tuple[int, ...], *rest: object) -> _Shape:
    return _Shape(size)


def _parameter(data: _Shape, *rest: object) -> _Shape:
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

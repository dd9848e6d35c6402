"""The tensors of weight files, each read from disk when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from renderer.errors import ModelError
from renderer.kolors.card import mending
from renderer.kolors.memory import is_out_of_memory


class WeightFiles:
    """Some weight files, opened: what is in them is known, nothing is read yet.

    safetensors files are mapped into memory: on the CPU, tensors that already have the type share the file's pages.
    Pickles are read with `weights_only=True`, which builds tensors and runs nothing.
    """

    def __init__(self, files: Iterable[Path], device: torch.device) -> None:
        """Tensors will be read to `device`. Raises ModelError where a file can't be read."""
        self._readers: dict[str, tuple[Path, Callable[[], Tensor]]] = {}
        for file in files:
            with _explained(file):
                readers = _safetensors if file.suffix == ".safetensors" else _pickle
                self._readers |= {name: (file, read) for name, read in readers(file, device)}

    @property
    def names(self) -> tuple[str, ...]:
        """Of all tensors."""
        return tuple(self._readers)

    def read(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """One tensor on the device; floating-point numbers as `dtype` (None: as in the file). Raises ModelError."""
        file, read = self._readers[name]
        with _explained(file):
            tensor = read()
            return tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor


def _safetensors(file: Path, device: torch.device) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    opened = safe_open(file, framework="pt", device=str(device))
    yield from ((name, partial(opened.get_tensor, name)) for name in opened.keys())  # type: ignore[no-untyped-call]


def _pickle(file: Path, device: torch.device) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{file}: holds no plain set of weights. {mending(file)}")
    yield from ((name, partial(tensor.to, device)) for name, tensor in state.items())


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turns what readers raise into ModelError; running out of memory stays what it is."""
    try:
        yield
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{file}: can't be read: {error}. {mending(file)}") from error

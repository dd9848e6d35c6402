"""A folder of tensors, each under the sha256 of all that decides it: computed once, by whichever training is first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from renderer.files import write_atomically
from renderer.kolors.layout import damage
from renderer.take import key_of


class Cache:
    """Tensors on disk by keys, which are JSON values. Files are whole or not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __contains__(self, key: Mapping[str, Any]) -> bool:
        """Whether there is a whole file for the key."""
        return not damage(self._file(key))

    def read(self, key: Mapping[str, Any]) -> dict[str, Tensor]:
        """The tensors of a key, on the CPU. Raises OSError."""
        tensors: dict[str, Tensor] = load_file(self._file(key))
        return tensors

    def write(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Keeps tensors under a key. Raises OSError."""
        file = self._file(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}))

    def _file(self, key: Mapping[str, Any]) -> Path:
        digest = key_of(dict(key))
        return self._folder / digest[:2] / f"{digest}.safetensors"

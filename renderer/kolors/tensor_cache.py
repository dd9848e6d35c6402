"""A folder of tensors, each under the sha256 of all that decides it: computed once, by whoever needs it first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
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

    def used(self, key: Mapping[str, Any]) -> None:
        """Notes that a key's tensors are of use, so that `shrink` takes others first."""
        with suppress(OSError):
            os.utime(self._file(key))

    def shrink(self, most: int) -> None:
        """Deletes what was longest of no use, until what is left takes at most so many bytes. Raises OSError."""
        files = [(file.stat(), file) for file in self._folder.glob("??/*.safetensors")]
        total = sum(found.st_size for found, _ in files)
        for found, file in sorted(files, key=lambda it: it[0].st_mtime_ns):
            if total <= most:
                return
            file.unlink(missing_ok=True)
            total -= found.st_size

    def _file(self, key: Mapping[str, Any]) -> Path:
        digest = key_of(dict(key))
        return self._folder / digest[:2] / f"{digest}.safetensors"

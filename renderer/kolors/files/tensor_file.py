"""safetensors files that are the same, byte for byte, for the same tensors and metadata.

The library's own writer lays tensors out in a fixed order (widest type first, then by name) but writes the metadata in
a random one (a hash map's), so the header is written here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from safetensors.torch import save
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PackedTensors:
    """Tensors as a safetensors file holds them: what its header says of them, and their bytes without gaps."""

    entries: dict[str, Any]
    data: memoryview

    @cached_property
    def sha256(self) -> str:
        """64 hex digits, of the tensors' bytes alone: metadata may change without changing it."""
        return hashlib.sha256(self.data).hexdigest()

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """The whole file, with its metadata sorted by name."""
        content = {"__metadata__": dict(sorted(metadata.items()))} | self.entries
        header = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        header += b" " * (-len(header) % 8)  # the format wants the bytes that follow aligned
        return b"".join((len(header).to_bytes(8, "little"), header, self.data))


def pack(tensors: Mapping[str, Tensor]) -> PackedTensors:
    """Tensors of any device and type, packed in the library's own order."""
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    start = 8 + int.from_bytes(content[:8], "little")
    return PackedTensors(json.loads(content[8:start]), memoryview(content)[start:])

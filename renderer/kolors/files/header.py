"""The header of a safetensors file: names, types, shapes and places of its tensors, read without torch.

Format: 8 bytes of little-endian header length, the header as JSON, then the tensors' bytes without gaps
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one element, by the format's type names; types narrower than a byte don't occur in these models."""

MAX_HEADER = 100_000_000
"""Bytes; the reference implementation's own limit."""


class DamagedFile(Exception):
    """The file is not a whole safetensors file; the message says in what way."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor: element type, shape, and the file offsets [begin, end) of its bytes."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a safetensors file says of itself."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """The header of a safetensors file, checked against the file's size. Raises DamagedFile, OSError."""
    size = path.stat().st_size
    if size == 0:
        raise DamagedFile("the file is empty")
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_HEADER + 1
        if start.startswith(b"version "):
            raise DamagedFile("a Git LFS pointer lies there in place of the file itself")
        if length > MAX_HEADER:
            raise DamagedFile("this is not a safetensors file")
        if 8 + length > size:
            raise DamagedFile(f"the file is cut short: {size:,} bytes, less than its own header")
        text = file.read(length)
    try:
        content = json.loads(text)
        metadata = content.pop("__metadata__", {})
        tensors = {name: _entry(raw, 8 + length) for name, raw in content.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedFile("its header is not readable: this is not a safetensors file, or a damaged one") from error
    _check_places(tensors, 8 + length, size)
    return Header(tensors, {str(key): str(value) for key, value in dict(metadata or {}).items()})


def _entry(raw: dict[str, Any], data: int) -> TensorEntry:
    begin, end = (data + int(offset) for offset in raw["data_offsets"])
    return TensorEntry(str(raw["dtype"]), tuple(int(side) for side in raw["shape"]), begin, end)


def _check_places(tensors: dict[str, TensorEntry], data: int, size: int) -> None:
    place = data
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        width = ITEM_BYTES.get(tensor.dtype)
        expected = None if width is None else width * math.prod(tensor.shape)
        if tensor.begin != place or min(tensor.shape, default=0) < 0 or tensor.end - tensor.begin != expected:
            raise DamagedFile(f'its header contradicts itself at "{name}"')
        place = tensor.end
    if place > size:
        raise DamagedFile(f"the file is cut short: {size:,} of {place:,} bytes")
    if place < size:
        raise DamagedFile(f"the file is {size - place:,} bytes longer than its header says")

"""Which pictures a run folder really holds: by key, whole, and unchanged since they were painted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderer.errors import PictureError
from renderer.files import file_sha256
from renderer.manifest import PictureRecord
from renderer.metadata import read_record
from renderer.take import Provenance, key_of

PICTURES = "pictures"
KEY_DIGITS = 12
"""Digits of the key in a picture's file name: enough to find it by; the whole key is in the picture's record."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Pictures that are there by key, and recorded ones that are not: gone, or changed by someone since."""

    whole: dict[str, PictureRecord]
    missing: frozenset[str] = frozenset()
    damaged: frozenset[str] = frozenset()


def take_inventory(folder: Path, recorded: Iterable[PictureRecord]) -> Inventory:
    """The pictures of a run folder, those recorded and those that a killed run left without a record.

    A recorded file of unchanged size and time counts as whole without being read; any other is compared by its hash.
    """
    whole: dict[str, PictureRecord] = {}
    missing: set[str] = set()
    damaged: set[str] = set()
    names: set[str] = set()
    for picture in recorded:
        names.add(picture.file)
        state = _state(folder, picture)
        if isinstance(state, PictureRecord):
            whole[picture.key] = state
        else:
            (missing if state == "missing" else damaged).add(picture.key)
    for found in _unrecorded(folder, names):
        whole.setdefault(found.key, found)
    return Inventory(whole, frozenset(missing - whole.keys()), frozenset(damaged - whole.keys()))


def _state(folder: Path, picture: PictureRecord) -> PictureRecord | str:
    path = os.path.join(folder, picture.file)  # a Path for each of thousands costs more than asking for its state
    try:
        status = os.stat(path)
        if (status.st_size, status.st_mtime_ns) == (picture.bytes, picture.mtime_ns):
            return picture
        if status.st_size != picture.bytes or file_sha256(Path(path)) != picture.sha256:
            return "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"
    return picture.model_copy(update={"mtime_ns": status.st_mtime_ns})


def _unrecorded(folder: Path, names: set[str]) -> Iterator[PictureRecord]:
    found: list[str] = []
    with suppress(OSError):
        found = [name for name in os.listdir(folder / PICTURES) if f"{PICTURES}/{name}" not in names]
    for path in (folder / PICTURES / name for name in sorted(found)):
        if path.suffix != ".png" or path.name.startswith("."):
            continue
        try:
            record = read_record(path)
        except PictureError:
            continue
        key = key_of(record)
        scene, _, rest = path.stem.rpartition("-")
        if rest == key[:KEY_DIGITS]:
            unknown = Provenance("unknown", "unknown", 0, 0.0)
            yield record_of(folder, path, path.read_bytes(), scene.rpartition("-")[0], record, unknown)


def record_of(
    folder: Path,
    path: Path,
    content: bytes,
    scene: str,
    record: dict[str, Any],
    provenance: Provenance,
    loras: tuple[str, ...] = (),
    hypernetworks: tuple[str, ...] = (),
) -> PictureRecord:
    """The record of a picture file of this content as it lies in the run folder now; `loras` and such are names."""
    status = path.stat()
    return PictureRecord(
        key=key_of(record),
        scene=scene,
        file=path.relative_to(folder).as_posix(),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        record=record,
        loras=loras,
        hypernetworks=hypernetworks,
        provenance=provenance,
    )

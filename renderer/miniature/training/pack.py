"""A work folder's progress in a few small files, for a machine that training goes on on."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from renderer.miniature.training.stretch import CHECKPOINTS, mean_file

PART_BYTES = 15 * 2**20
"""A part's size; what carries parts here takes files of up to 16 MiB."""

PACK_BYTES = 60 * 2**20
"""The size of all parts together up to which checkpoints are packed as they are."""

_ALWAYS = ("tokenizer", "vae")


def pack(work: Path, folder: Path, limit: int = PACK_BYTES) -> None:
    """Writes `part-00`, `part-01`, … into `folder`: all that training needs besides pictures, which are drawn anew.

    Checkpoints go along whole, and training goes on bit for bit, where they fit into the limit. Otherwise only their
    running means go, as halves: training goes on from there with a fresh optimizer and a short warm-up.
    """
    checkpoints = [work / name for name in CHECKPOINTS if (work / name).exists()]
    # A finished autoencoder's own checkpoint is of no more use.
    checkpoints = [file for file in checkpoints if not (file.stem == "vae" and (work / "vae").exists())]
    fixed = {name: work / name for name in _ALWAYS if (work / name).exists()}
    run = {"run.json": _run_of(work)} if (work / "run.json").exists() else {}
    content = _archive(fixed, run | {file.name: file.read_bytes() for file in checkpoints})
    if len(content) > limit:
        content = _archive(fixed, run | {mean_file(file).name: _mean_of(file) for file in checkpoints})
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob("part-*"):
        part.unlink()
    for number, start in enumerate(range(0, len(content), PART_BYTES)):
        (folder / f"part-{number:02d}").write_bytes(content[start : start + PART_BYTES])


def unpack(folder: Path, work: Path) -> None:
    """Puts what `pack` wrote into a work folder, in place of the checkpoints that are there."""
    parts = sorted(folder.glob("part-*"))
    if not parts:
        raise SystemExit(f"{folder} holds no part-00 that --pack has written.")
    work.mkdir(parents=True, exist_ok=True)
    for file in _checkpoint_files(work):
        file.unlink(missing_ok=True)
    with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as archive:
        archive.extractall(work, filter="data")


def _checkpoint_files(work: Path) -> Iterator[Path]:
    for name in CHECKPOINTS:
        yield work / name
        yield mean_file(work / name)


def _archive(files: dict[str, Path], contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in files.items():
            archive.add(path, name)
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _run_of(work: Path) -> bytes:
    """What the work was begun with, less the digest of the pixels: another machine may round one of them otherwise."""
    run = json.loads((work / "run.json").read_text(encoding="utf-8"))
    return json.dumps({name: value for name, value in run.items() if name != "pictures_sha256"}).encode()


def _mean_of(file: Path) -> bytes:
    """What a course can restart from."""
    checkpoint: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
    prefix = "mean."
    mean = {
        name.removeprefix(prefix): value.half() if value.is_floating_point() else value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    buffer = io.BytesIO()
    torch.save({"mean": mean, "progress": checkpoint["course"]}, buffer)
    return buffer.getvalue()

"""The layout of a model folder: which files of each component are used, what is missing, and the weights' digest."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from renderer.errors import ModelError
from renderer.files import file_sha256
from renderer.kolors.files.header import DamagedFile, read_header

Component = Literal["unet", "vae", "text_encoder"]
COMPONENTS: tuple[Component, ...] = ("unet", "vae", "text_encoder")
TOKENIZER = Path("tokenizer") / "tokenizer.model"

WEIGHT_NAMES = (
    "{stem}.safetensors.index.json",
    "{stem}.safetensors",
    "{stem}.safetensors.index.fp16.json",
    "{stem}.fp16.safetensors",
    "{stem}.bin.index.json",
    "{stem}.bin",
)
"""Where a component's weights may lie, best first: one order on every machine, so that one folder has one digest."""
STEMS: dict[Component, tuple[str, ...]] = {
    "unet": ("diffusion_pytorch_model",),
    "vae": ("diffusion_pytorch_model",),
    "text_encoder": ("model", "pytorch_model"),
}
"""As in Kwai-Kolors/Kolors-diffusers and Kwai-Kolors/Kolors (there the text encoder is `pytorch_model-….bin`)."""


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object of a model folder. Raises ModelError where the file is missing or not one."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: can't be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file}: not a JSON object")
    return content


def weight_files(folder: Path, component: Component) -> tuple[Path, ...]:
    """The files that hold a component's weights: the first whole set, else the first that is there; () for none."""
    sets = [files for files in _weight_sets(folder, component) if files]
    return next((files for files in sets if not any(map(damage, files))), sets[0] if sets else ())


def used_files(folder: Path) -> tuple[Path, ...]:
    """Every file that decides a picture: the tokenizer and the weights of all components."""
    return (folder / TOKENIZER, *(file for component in COMPONENTS for file in weight_files(folder, component)))


def missing_parts(folder: Path) -> list[str]:
    """What keeps a folder from being a whole model, in words, each with its file; [] when it is whole.

    Reads headers only, no weights: a folder of 20 GB takes milliseconds. Content is checked by `download.verify`.
    """
    if not folder.is_dir():
        return [f"{folder}: no such folder"]
    problems = [f"{TOKENIZER}: missing"] if not _filled(folder / TOKENIZER) else []
    for component in COMPONENTS:
        problems += _component_problems(folder, component)
    return problems


def damage(file: Path) -> str:
    """What is wrong with a weight file, by its size and header; '' for nothing."""
    if not file.is_file():
        return "missing"
    if file.suffix == ".safetensors":
        try:
            read_header(file)
        except (DamagedFile, OSError) as error:
            return str(error)
        return ""
    return "" if zipfile.is_zipfile(file) else "cut short, or not a file of weights that torch wrote"


def file_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every used file, by its name inside the folder (with /). Reads all weights: seconds per 10 GB."""
    return {file.relative_to(folder).as_posix(): file_sha256(file) for file in used_files(folder)}


def digest_of(hashes: dict[str, str]) -> str:
    """One sha256 (64 hex digits) for a whole model: over its sorted file names and their content's hashes."""
    lines = "".join(f"{name} {sha256}\n" for name, sha256 in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _component_problems(folder: Path, component: Component) -> list[str]:
    config = folder / component / "config.json"
    problems = []
    try:
        read_json(config)
    except ModelError:
        problems.append(f"{component}/config.json: missing or unreadable")
    files = weight_files(folder, component)
    if not files:
        problems.append(f"{component}/: no weights")
    faults = ((file.relative_to(folder).as_posix(), damage(file)) for file in files)
    return problems + [f"{name}: {fault}" for name, fault in faults if fault]


def _weight_sets(folder: Path, component: Component) -> Iterator[tuple[Path, ...]]:
    for name in WEIGHT_NAMES:
        for stem in STEMS[component]:
            file = folder / component / name.format(stem=stem)
            if file.is_file():
                yield _shards(file) if file.suffix == ".json" else (file,)


def _shards(index: Path) -> tuple[Path, ...]:
    """The shards that an index names; the index itself where it can't be read, so that it is reported."""
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except (ModelError, KeyError, AttributeError, TypeError):
        return (index,)
    inside = [name for name in names if isinstance(name, str) and Path(name).name == name]
    return tuple(index.parent / name for name in inside) if len(inside) == len(names) else (index,)


def _filled(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0

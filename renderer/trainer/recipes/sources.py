"""Where a recipe's pictures come from: one place, which is there as far as can be told without fetching anything."""

from __future__ import annotations

import os
import re
from pathlib import Path

from renderer.errors import closest
from renderer.reading.findings import Findings
from renderer.reading.yaml_file import Where
from renderer.trainer.recipes.recipe_file import DataEntry, RecipeFile

REMOTE_KEYS = ("subset", "split", "revision")
"""Keys of `data` that mean something for a data set on ModelScope only."""

_DATA_SET = re.compile(r"[\w.-]+/[\w.-]+")


def check_data(file: RecipeFile, findings: Findings) -> None:
    """The data come from one place, which is there as far as can be told without fetching anything."""
    data, where = file.data, ("data",)
    unsure = any(place[:1] == where for place in findings.lost)
    if data.folder is not None and data.modelscope is not None:
        tell_both(findings, (*where, "modelscope"), "folder")
    elif data.folder is None and data.modelscope is None and not unsure:
        todo = "Write folder: with a folder of pictures, or modelscope: with a data set's name."
        findings.tell(where, "nothing says where the pictures are.", todo)
    elif data.modelscope is not None and not _DATA_SET.fullmatch(data.modelscope):
        todo = "Write OWNER/NAME, such as AI-ModelScope/lowres_anime."
        findings.tell((*where, "modelscope"), f'"{data.modelscope}" is no data set on ModelScope.', todo)
    elif data.folder is not None:
        _check_folder(data, findings)
    if data.caption is not None and data.text is not None:
        tell_both(findings, (*where, "text"), "caption")
    _check_class_folder(file, findings)


def _check_folder(data: DataEntry, findings: Findings) -> None:
    where: Where = ("data",)
    for key in REMOTE_KEYS:
        if key in data.model_fields_set:
            at = findings.root.find(where).keys.get(key)
            findings.tell((*where, key), f'"{key}" is for data from ModelScope.', "Remove it.", at=at)
    node = findings.root.find((*where, "folder"))
    folder = node.source.file.parent / str(data.folder)
    if _is(folder, "folder"):
        return
    if _is(folder, "file"):
        what, todo = f'"{data.folder}" is a file.', "Name the folder that holds the pictures."
    else:
        what = f'there is no folder "{data.folder}".'
        todo = _beside(folder) or f"Paths are relative to {node.source.file.name}."
    findings.tell((*where, "folder"), what, todo)


def _check_class_folder(file: RecipeFile, findings: Findings) -> None:
    """Class pictures lie apart from those that are learned: they would be learned, too."""
    entry = file.dreambooth
    if entry is None or entry.class_folder is None:
        return
    where: Where = ("dreambooth", "class_folder")
    beside = findings.root.find(where).source.file.parent
    folder = beside / entry.class_folder
    if _is(folder, "file"):
        findings.tell(where, f'"{entry.class_folder}" is a file.', "Name a folder for the class pictures.")
    elif file.data.folder is not None and _overlap(folder, beside / file.data.folder):
        todo = "Name another folder: class pictures must not be among those that are learned."
        findings.tell(where, f'"{entry.class_folder}" and data.folder are one folder, or one in the other.', todo)
    elif not _is(folder, "folder"):
        what = f'there is no folder "{entry.class_folder}"; {entry.class_pictures} pictures will be painted instead.'
        findings.warn(where, what, _beside(folder))


def tell_both(findings: Findings, where: Where, other: str) -> None:
    """The problem of two keys that exclude each other, at the one that `where` names."""
    at = findings.root.find(where[:-1]).keys.get(str(where[-1]))
    findings.tell(where, f'both "{other}" and "{where[-1]}" are given.', "Keep one of them.", at=at)


def _is(path: Path, kind: str) -> bool:
    try:
        return path.is_dir() if kind == "folder" else path.is_file()
    except (OSError, ValueError):  # too long a name
        return False


def _overlap(one: Path, other: Path) -> bool:
    first, second = (Path(os.path.realpath(path)) for path in (one, other))
    return first.is_relative_to(second) or second.is_relative_to(first)


def _beside(folder: Path) -> str:
    """Which folder beside it may be meant."""
    try:
        return closest(folder.name, [path.name for path in folder.parent.iterdir() if path.is_dir()])
    except OSError:  # nor is there a folder to look in
        return ""

"""The pictures of a folder, in order, each with its caption: what there is before any picture is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from renderer.errors import DataError, did_you_mean
from renderer.trainer.data.captions import Row, Table, is_text, read_caption_file, read_table
from renderer.trainer.data.pictures import OTHER_SUFFIXES, PICTURE_SUFFIXES
from renderer.trainer.data.samples import Finding
from renderer.trainer.data.thumbs import THUMBS
from renderer.trainer.recipes.recipe_file import DataEntry


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture file and its caption, neither looked into.

    `name` is its path in the data folder, with /. Where `caption` is '', `lack` says why.
    """

    name: str
    path: Path
    caption: str
    lack: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures in order, and what was found about names that are none."""

    pictures: tuple[Listed, ...]
    findings: tuple[Finding, ...]


def list_pictures(folder: Path, entry: DataEntry) -> Listing:
    """What a data folder holds: its table's pictures in the table's order, then the others by name.

    Each has the recipe's one caption, else the table's, else that of NAME.txt beside it. Passed over are hidden files,
    folders behind links, and what trainings left there. Raises DataError where there is no picture at all.
    """
    _require_folder(folder)
    lister = _Lister(folder, entry.caption)
    table = read_table(folder, entry.image, entry.text) if entry.caption is None else None
    if table is not None:
        lister.take_table(table)
    lister.take_files()
    if not lister.pictures and not lister.findings:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise DataError(f"{folder}: there is no picture in this folder. Pictures end in {kinds}.")
    return Listing(tuple(lister.pictures[: entry.limit]), tuple(lister.findings))


@dataclass(slots=True)
class _Lister:
    folder: Path
    caption: str | None
    pictures: list[Listed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    table: str = ""

    def take_table(self, table: Table) -> None:
        self.findings += table.findings
        self.table = table.path.name
        for row in table.rows:
            self._take_row(row, table.folder)

    def take_files(self) -> None:
        for name in sorted(_files(self.folder), key=_natural):
            suffix = PurePosixPath(name).suffix.lower()
            if name in self.seen or suffix not in PICTURE_SUFFIXES | OTHER_SUFFIXES:
                continue
            if suffix in OTHER_SUFFIXES:
                todo = f"{suffix} is not read here: save it as PNG or JPEG."
                self._find(name, "other_format", todo)
            elif not is_text(name):
                self._find(_shown(name), "bad_name", "its name is not UTF-8 text: rename it.")
            else:
                self._take(name, self.caption or "")

    def _take_row(self, row: Row, base: Path) -> None:
        name = (base.relative_to(self.folder) / row.file).as_posix()
        if not row.file:
            self._find(row.place, "damaged_line", "this line names no file.")
        elif not _is_inside(row.file):
            self._find(row.file, "outside", f"{row.place} leads out of the data folder.")
        elif name in self.seen:
            self._find(name, "named_twice", f"{row.place} names it again; its first caption holds.", left_out=False)
        elif not _is_file(self.folder / name):
            self._find(name, "missing_file", f"{row.place} names it, but it is not in the folder.")
        elif is_text(name):  # one that isn't is told where the files are
            self._take(name, row.caption)
            self.seen.add(name)

    def _take(self, name: str, caption: str) -> None:
        path = self.folder / name
        lack = f"{f'{self.table} has no caption for it' if self.table else 'there is no table of captions'}, "
        lack += f"and there is no {path.stem}.txt beside it."
        try:
            caption = caption or read_caption_file(path.with_suffix(".txt"))
        except ValueError as error:
            lack = f"{error}."
        self.pictures.append(Listed(name, path, caption, "" if caption else lack))

    def _find(self, name: str, reason: str, detail: str, *, left_out: bool = True) -> None:
        self.findings.append(Finding(name, "listed", reason, detail, left_out))


def _shown(name: str) -> str:
    """A file's name as text that can be written anywhere: bytes that are no UTF-8 stand as \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _require_folder(folder: Path) -> None:
    if not is_text(str(folder)):
        raise DataError(f"{_shown(str(folder))}: its name is not UTF-8 text. Rename it.")
    if folder.is_dir():
        return
    if folder.is_file():
        raise DataError(f"{folder}: this is a file. Name a folder of pictures; unpack an archive first.")
    near = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
    raise DataError(f"{folder}: there is no such folder. {did_you_mean(folder.name, near)}".rstrip())


def _files(folder: Path) -> Iterator[str]:
    """Names of all files below a folder, relative to it."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and not _trains(here / name))
        results = {Path(name).stem for name in files if name.endswith(".safetensors")}
        shown = (name for name in files if not name.startswith(".") and Path(name).stem not in results)
        yield from ((here.relative_to(folder) / name).as_posix() for name in shown)


def _trains(folder: Path) -> bool:
    """Whether this is the run folder of a training, whose pictures are not to be learned."""
    return (folder / "data" / THUMBS).is_dir()


def _is_inside(name: str) -> bool:
    """Whether a path that a stranger wrote stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2.png before 10.png."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts]

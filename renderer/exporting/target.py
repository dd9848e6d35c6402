"""Where an export goes: whole under its name or not there, and never over something of the author's."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from renderer.errors import StoryboardError
from renderer.files import explained, file_sha256, write_atomically

EXPORTS = "exports"
RECORD = ".written.json"
"""What we wrote into `exports/`: name → hashes. Any other file in it is the author's."""

_DRAFT, _WORKPLACE = ".export-", "export-in-progress-"
_UNFINISHED = re.compile(rf"{re.escape(_DRAFT)}(\w+)\.(?:part|lock)|{_WORKPLACE}(\w+)")

NAME_BYTES = 150
"""The longest name without its ending; file systems allow 255 bytes, and a hanzi takes three."""


@dataclass(frozen=True, slots=True)
class Target:
    """A file to be written; `kept` says that its hash goes into the record of its folder."""

    path: Path
    kept: bool


def safe_name(text: str) -> str:
    """`text` as part of a file name that every system takes: no separators, colons or invisible characters."""
    clean = re.sub(r"[^\w.() -]", "_", text).strip(" .")
    short = clean.encode("utf-8", "ignore")[:NAME_BYTES].decode("utf-8", "ignore").strip(" .")
    return short or "story"


def choose_target(folder: Path, story: Path, ending: str, wanted: Path | None, force: bool) -> Target:
    """Where an export is to go: `wanted`, or `exports/<story><ending>` of the run folder.

    A file that is there is refused unless it is an earlier export of ours or `force`. Raises StoryboardError.
    """
    target = Target(wanted or folder / EXPORTS / (safe_name(story.stem) + ending), wanted is None)
    path = target.path
    if path.suffix.lower() != ending:
        raise StoryboardError(f"{path}: such an export's name ends in {ending}. Rename it, or choose another --to.")
    if path.is_dir():
        raise StoryboardError(f"{path}: is a folder. Name a file in it with --out-file.")
    if wanted is not None and not path.parent.is_dir():
        raise StoryboardError(f"{path.parent}: there is no such folder. Make it, or choose another --out-file.")
    if path.parent.resolve() == folder.resolve() and path.name == "index.html":
        raise StoryboardError(f"{path}: is the sheet itself. Choose another --out-file.")
    if os.path.lexists(path) and not force and not (target.kept and _is_ours(path)):
        whose = "someone else put it there, or changed it" if target.kept else "a file is never overwritten"
        raise StoryboardError(f"{path}: is there already, and {whose}. Choose another --out-file, or add --force.")
    return target


@contextmanager
def drafted(target: Target) -> Iterator[Path]:
    """An empty file beside the target to write to; at the end of the block it takes the target's place.

    After any failure or kill the target is what it was before. Raises RunFolderError for a full disk and the like.
    """
    folder = target.path.parent
    with refusals_explained(folder):
        if target.kept:
            folder.mkdir(parents=True, exist_ok=True)
        name = secrets.token_hex(4)
        draft, lock = folder / f"{_DRAFT}{name}.part", folder / f"{_DRAFT}{name}.lock"
        try:
            with FileLock(lock):  # which tells `abandoned` that we are alive
                try:
                    draft.touch(exist_ok=False)
                    yield draft
                    with draft.open("rb+") as file:
                        os.fsync(file.fileno())
                    if target.kept:
                        _note(target.path, file_sha256(draft))
                    os.replace(draft, target.path)
                finally:
                    draft.unlink(missing_ok=True)
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def workplace(beside: Path) -> Iterator[Path]:
    """A folder of its own beside a draft, gone at the end of the block.

    Not hidden and not in the system's temporary folder: browsers in a sandbox of their own (snap) see neither.
    """
    folder = beside.parent / f"{_WORKPLACE}{beside.stem.rpartition('-')[2]}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_of_export(path: Path) -> bool:
    """Whether an export, running or killed, made that file: `abandoned` tells which."""
    return path.name.startswith(_DRAFT) or any(part.startswith(_WORKPLACE) for part in path.parts)


def abandoned(folder: Path) -> Iterator[Path]:
    """What exports that were killed left in a folder and below it: drafts, their locks, and workplaces."""
    for path in folder.rglob("*export-*"):
        if (ours := _UNFINISHED.fullmatch(path.name)) and not path.is_symlink():
            if not _is_held(path.with_name(f"{_DRAFT}{ours[1] or ours[2]}.lock")):
                yield path


def refusals_explained(folder: Path) -> AbstractContextManager[None]:
    """Turns the machine's refusals while exporting into `folder` into RunFolderError."""
    elsewhere = "export elsewhere with --out-file"
    return explained(folder, f"the disk is full; nothing was exported. Free some space, or {elsewhere}.", elsewhere)


def _is_held(lock: Path) -> bool:
    """Whether a process that lives holds a lock; so too where that can't be told."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except (Timeout, OSError, RuntimeError):
        return True


def _is_ours(path: Path) -> bool:
    return path.is_file() and file_sha256(path) in _record(path.parent).get(path.name, ())


def _note(path: Path, sha256: str) -> None:
    """Notes the hash of what is about to stand under a path; the one before stays known in case of a kill meanwhile."""
    record = _record(path.parent)
    record[path.name] = [*record.get(path.name, [])[-1:], sha256]
    write_atomically(path.parent / RECORD, json.dumps(record, ensure_ascii=False, indent=1).encode())


def _record(folder: Path) -> dict[str, list[str]]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        content = json.loads((folder / RECORD).read_bytes())
        return {str(name): [str(sha256) for sha256 in hashes] for name, hashes in content.items()}
    return {}

"""Where an export goes: whole under its name or not there, and never over something of the author's."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from renderer.errors import RunFolderError, StoryboardError
from renderer.files import file_sha256, write_atomically

EXPORTS = "exports"
RECORD = ".written.json"
"""What we wrote into `exports/`: name → hashes. Any other file in it is the author's."""

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
        handle, name = tempfile.mkstemp(dir=folder, prefix=".export-", suffix=".part")
        os.close(handle)
        draft = Path(name)
        try:
            yield draft
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            _open_to_others(draft)
            if target.kept:
                _note(target.path, file_sha256(draft))
            os.replace(draft, target.path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def workplace(beside: Path) -> Iterator[Path]:
    """A folder of its own beside a file, gone at the end of the block.

    Not hidden and not in the system's temporary folder: browsers in a sandbox of their own (snap) see neither.
    """
    folder = Path(tempfile.mkdtemp(dir=beside.parent, prefix="export-in-progress-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def refusals_explained(folder: Path) -> Iterator[None]:
    """Turns the machine's refusals while exporting into `folder` into RunFolderError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            words = "the disk is full; nothing was exported. Free some space, or export elsewhere with --out-file."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            words = "it can't be written to. Mend its permissions, or export elsewhere with --out-file."
        else:
            words = f"{error.strerror or error}. Mend that, or export elsewhere with --out-file."
        raise RunFolderError(f"{folder}: {words}") from error


def _open_to_others(path: Path) -> None:
    """The permissions that a new file usually has; a temporary one is for its owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)


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

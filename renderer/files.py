"""Files that are whole or not there: written beside their place, synced (caches aren't), then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from renderer.errors import RunFolderError


def write_atomically(path: Path, content: bytes, mode: int | None = None) -> None:
    """`content` under `path`, or, after any failure or kill, whatever was there before. Raises OSError.

    `mode` are the file's permissions; without it those of any new file.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask() if mode is None else mode)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def write_cached(path: Path, content: bytes) -> None:
    """`content` under `path` whole or not at all, for what can be made again at any time. Raises OSError.

    A kill leaves no torn file, but nothing is synced, which takes longer than all else with a small file: a power cut
    may leave one that is empty or cut off. Whoever uses such a file looks whether it is whole.
    """
    part = path.with_name(f".{path.stem[:40]}-{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def file_sha256(path: Path) -> str:
    """sha256 (64 hex digits) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_FULL = "the disk is full. What was painted so far is safe; free some space and render again to go on."


@contextmanager
def explained(folder: Path, full: str = _FULL, elsewhere: str = "render elsewhere with --out DIR") -> Iterator[None]:
    """Turns the machine's refusals (full disk, no permission) while writing into `folder` into RunFolderError.

    `full` is what is said of a full disk, `elsewhere` what else one can do about other refusals.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            words = full
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            words = f"it can't be written to. Mend its permissions, or {elsewhere}."
        else:
            words = f"{error.strerror or error}. Mend that, or {elsewhere}."
        raise RunFolderError(f"{folder}: {words}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system lets folders be synced (Windows doesn't)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""`picks/`: the chosen pictures under numbered names, for use elsewhere."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from renderer.aside import set_aside
from renderer.files import explained, file_sha256, write_atomically
from renderer.manifest import Manifest, PictureRecord, SceneEntry

PICKS = "picks"
RECORD = ".written.json"
"""What we wrote into the folder: name → [sha256, bytes, mtime_ns]. A file that is otherwise is the user's."""

NAME_BYTES = 150
"""The longest name of a pick without its ending; file systems allow 255 bytes, and a hanzi takes three."""

log = logging.getLogger(__name__)

Written = dict[str, tuple[str, int, int]]


def picture_path(folder: Path, picture: PictureRecord | None) -> Path | None:
    """Where a recorded picture lies; None if it is gone, or if the record points out of the run folder."""
    if picture is None:
        return None
    file = picture.file
    if file.startswith("/") or ".." in file.split("/") or "\\" in file or "\0" in file:
        return None
    return folder / file if os.path.isfile(os.path.join(folder, file)) else None


def scene_number(manifest: Manifest, index: int) -> str:
    """The number of a scene in the story, counted from 1, with as many digits as all of them need (at least two)."""
    return str(index + 1).zfill(max(2, len(str(len(manifest.scenes)))))


def pick_name(manifest: Manifest, index: int) -> str:
    """The file name of a scene's pick: its number in the story and its id, without what file systems refuse."""
    clean = re.sub(r"[^\w-]", "_", manifest.scenes[index].id)
    stem = f"{scene_number(manifest, index)}-{clean}"
    return stem.encode("utf-8", "ignore")[:NAME_BYTES].decode("utf-8", "ignore") + ".png"


def write_picks(manifest: Manifest, folder: Path) -> list[Path]:
    """Copies each painted pick to `picks/01-sofa.png`, … and returns the paths, in story order.

    A file is written only where its content differs. Copies that no pick asks for any more are removed. A copy that
    the user changed stays as long as its picture is the pick; then it is set aside, as is any file of theirs where a
    pick belongs. Raises RunFolderError.
    """
    wanted = _wanted(manifest, folder)
    target = folder / PICKS
    if not wanted and not target.is_dir():
        return []
    with explained(folder):
        target.mkdir(exist_ok=True)
        painted = frozenset(picture.sha256 for picture in manifest.pictures.values())
        picks = _Picks(target, _read_record(target / RECORD), painted)
        kept = [name for name, source in wanted.items() if picks.copy(source, name)]
        for name in picks.written.keys() - wanted.keys():
            picks.remove(name)
        picks.keep_record(kept, wanted.keys() - set(kept))
    return [target / name for name in kept]


def _wanted(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """The name of each painted pick, and the picture that belongs there."""
    paths = [_picked(manifest, scene, folder) for scene in manifest.scenes]
    return {pick_name(manifest, index): path for index, path in enumerate(paths) if path is not None}


def _picked(manifest: Manifest, scene: SceneEntry, folder: Path) -> Path | None:
    return picture_path(folder, manifest.picture(scene.pick))


@dataclass(frozen=True, slots=True)
class _Picks:
    """The folder as it is: what we wrote there, and the hashes of the story's pictures."""

    folder: Path
    written: Written
    painted: frozenset[str]

    def copy(self, source: Path, name: str) -> bool:
        """Whether the content of `source` lies under `name` now; not so where the user changed its copy."""
        target = self.folder / name
        if target.exists() and not self._is_ours(name):
            if name in self.written and self.written[name][0] == file_sha256(source):
                return False
            kept = set_aside(self.folder.parent, target)
            log.warning("%s is another picture now; the file of yours that was there is kept: %s", target, kept)
        if not target.exists() or self._sha256(name) != file_sha256(source):
            write_atomically(target, source.read_bytes())
        return True

    def remove(self, name: str) -> None:
        """Removes a copy of ours that is as we wrote it."""
        if (self.folder / name).is_file() and self._is_ours(name):
            (self.folder / name).unlink()

    def keep_record(self, names: list[str], changed: Set[str]) -> None:
        """Notes which files are ours now, and of those that the user changed what was ours."""
        written: Written = {name: self.written[name] for name in sorted(changed)}
        for name in names:
            status = (self.folder / name).stat()
            written[name] = (self._sha256(name), status.st_size, status.st_mtime_ns)
        if written != self.written:
            text = json.dumps(written, ensure_ascii=False, indent=1)
            write_atomically(self.folder / RECORD, text.encode("utf-8"))

    def _is_ours(self, name: str) -> bool:
        """Whether the file is as we wrote it, or (after a kill before the record was kept) a copy of a picture."""
        sha256 = self._sha256(name)
        return sha256 in self.painted or (name in self.written and sha256 == self.written[name][0])

    def _sha256(self, name: str) -> str:
        """The hash of a file's content; '' for what is no file. A file of recorded size and time isn't read again."""
        path = self.folder / name
        if not path.is_file():
            return ""
        status = path.stat()
        sha256, size, mtime_ns = self.written.get(name, ("", -1, -1))
        return sha256 if (status.st_size, status.st_mtime_ns) == (size, mtime_ns) else file_sha256(path)


def _read_record(path: Path) -> Written:
    """What we wrote so far; nothing where the record is gone or damaged, and names that lead elsewhere are dropped."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return {
            str(name): (str(sha256), int(size), int(mtime_ns))
            for name, (sha256, size, mtime_ns) in json.loads(path.read_bytes()).items()
            if Path(name).name == name
        }
    return {}

"""`picks/`: the chosen pictures under numbered names, for use elsewhere."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from renderer.files import explained, file_sha256, write_atomically
from renderer.grid import picture_path, scene_number
from renderer.manifest import Manifest, SceneEntry

PICKS = "picks"
RECORD = ".written.json"
"""What we wrote into the folder: name → [sha256, bytes, mtime_ns]. Any other file in it is the user's."""

NAME_BYTES = 150
"""The longest name of a pick without its ending; file systems allow 255 bytes, and a hanzi takes three."""

log = logging.getLogger(__name__)

Written = dict[str, tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class _Picks:
    """The folder as it is: what we wrote there, and the hashes of the story's pictures."""

    folder: Path
    written: Written
    painted: frozenset[str]

    def is_ours(self, name: str) -> bool:
        """Whether the file is as we wrote it, or (after a kill before the record was kept) a copy of a picture."""
        sha256 = self.sha256(name)
        return sha256 in self.painted or (name in self.written and sha256 == self.written[name][0])

    def sha256(self, name: str) -> str:
        """The hash of a file's content; a file of recorded size and time isn't read again."""
        status = (self.folder / name).stat()
        sha256, size, mtime_ns = self.written.get(name, ("", -1, -1))
        if (status.st_size, status.st_mtime_ns) == (size, mtime_ns):
            return sha256
        return file_sha256(self.folder / name)


def write_picks(manifest: Manifest, folder: Path) -> list[Path]:
    """Copies each painted pick to `picks/01-sofa.png`, … and returns the paths, in story order.

    A file is written only where its content differs. Copies that no pick asks for any more are removed; a file that
    the user put there, or changed, is never touched. Raises RunFolderError.
    """
    wanted = _wanted(manifest, folder)
    target = folder / PICKS
    if not wanted and not target.is_dir():
        return []
    with explained(folder):
        target.mkdir(exist_ok=True)
        painted = frozenset(picture.sha256 for picture in manifest.pictures.values())
        picks = _Picks(target, _read_record(target / RECORD), painted)
        kept = {name: path for name, path in wanted.items() if _copy(path, name, picks)}
        for name in picks.written.keys() - wanted.keys():
            if (target / name).is_file() and picks.is_ours(name):
                (target / name).unlink()
        _write_record(picks, list(kept))
    return [target / name for name in kept]


def pick_name(manifest: Manifest, index: int) -> str:
    """The file name of a scene's pick: its number in the story and its id, without what file systems refuse."""
    clean = re.sub(r"[^\w-]", "_", manifest.scenes[index].id)
    stem = f"{scene_number(manifest, index)}-{clean}"
    return stem.encode("utf-8", "ignore")[:NAME_BYTES].decode("utf-8", "ignore") + ".png"


def _wanted(manifest: Manifest, folder: Path) -> dict[str, Path]:
    """The name of each painted pick, and the picture that belongs there."""
    paths = [_picked(manifest, scene, folder) for scene in manifest.scenes]
    return {pick_name(manifest, index): path for index, path in enumerate(paths) if path is not None}


def _picked(manifest: Manifest, scene: SceneEntry, folder: Path) -> Path | None:
    return picture_path(folder, manifest.pictures.get(scene.pick)) if scene.pick else None


def _copy(source: Path, name: str, picks: _Picks) -> bool:
    """Whether the content of `source` lies under `name` now; not so where the user has a file of that name."""
    content = None
    if (picks.folder / name).exists():
        if not picks.is_ours(name):
            log.warning("%s is left as it is: it was changed, or put there, by someone else.", picks.folder / name)
            return False
        if picks.sha256(name) == file_sha256(source):
            return True
    content = source.read_bytes()
    write_atomically(picks.folder / name, content)
    return True


def _read_record(path: Path) -> Written:
    """What we wrote so far; nothing where the record is gone or damaged, and names that lead elsewhere are dropped."""
    try:
        entries = json.loads(path.read_bytes())
        return {
            str(name): (str(sha256), int(size), int(mtime_ns))
            for name, (sha256, size, mtime_ns) in entries.items()
            if Path(name).name == name
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_record(picks: _Picks, names: list[str]) -> None:
    written: Written = {}
    for name in names:
        status = (picks.folder / name).stat()
        written[name] = (file_sha256(picks.folder / name), status.st_size, status.st_mtime_ns)
    if written != picks.written:
        text = json.dumps(written, ensure_ascii=False, indent=1)
        write_atomically(picks.folder / RECORD, text.encode("utf-8"))

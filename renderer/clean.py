"""What a run folder holds that its story no longer needs: superseded pictures, and what was made from them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from renderer.exporting.target import abandoned, is_of_export
from renderer.files import explained
from renderer.history import earlier_sheet
from renderer.inventory import KEY_DIGITS
from renderer.looking.comparing import changed_scenes, removed_scenes
from renderer.paint import Run
from renderer.reviewing.decisions import LOCK_FILE, LOCK_SECONDS


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Files and folders that may go (relative to the run folder) and their size in bytes together.

    `compared` is the number of scenes that the sheet compares with a picture among them: their before/after goes too.
    """

    files: tuple[Path, ...]
    bytes: int
    compared: int


def find_leftovers(run: Run) -> Leftovers:
    """Pictures that no take of the story asks for any more, their thumbnails, and files that a kill left half written.

    What was set aside, and whatever else a person put into the folder, is not ours and stays. What earlier sheets
    showed is small and stays too: the sheet still names what has changed.
    """
    wanted = {planned.take.key for planned in run.plan.takes} | set(run.plan.drafts.values())
    superseded = {key: Path(picture.file) for key, picture in run.pictures.items() if key not in wanted}
    short = {key[:KEY_DIGITS] for key in wanted}
    thumbs = [path for path in (run.folder / "thumbs").glob("*.webp") if path.stem not in short]
    parts = [path for path in run.folder.rglob(".*.part") if path.is_file() and not is_of_export(path)]
    files = [*superseded.values(), *(path.relative_to(run.folder) for path in (*thumbs, *parts))]
    there = [path for path in files if (run.folder / path).is_file()]
    there += [path.relative_to(run.folder) for path in abandoned(run.folder)]
    size = sum(_size(run.folder / path) for path in there)
    gone = {path.as_posix() for path in superseded.values()}
    return Leftovers(tuple(sorted(there)), size, sum(file in gone for file in _compared(run)))


def remove(run: Run, leftovers: Leftovers) -> None:
    """Delete what `find_leftovers` found and take it off the record. Raises RunFolderError where that isn't allowed."""
    gone = {path.as_posix() for path in leftovers.files}
    # Held, so that no decision is being written: a draft that still is there then was left by a kill.
    with explained(run.folder), FileLock(run.folder / LOCK_FILE, timeout=LOCK_SECONDS):
        run.pictures = {key: picture for key, picture in run.pictures.items() if picture.file not in gone}
        run.save()
        for path in leftovers.files:
            if (run.folder / path).is_dir():  # of an export
                shutil.rmtree(run.folder / path, ignore_errors=True)
            else:
                (run.folder / path).unlink(missing_ok=True)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.lstat().st_size for file in files if file.is_symlink() or not file.is_dir())


def _compared(run: Run) -> list[str]:
    """The files of the earlier pictures that the sheet shows beside those of now."""
    manifest = run.manifest()
    earlier = earlier_sheet(manifest, run.folder)
    if earlier is None:
        return []
    changed = (change.before for change in changed_scenes(manifest, earlier).values())
    return [scene.picture for scene in (*changed, *removed_scenes(manifest, earlier).values()) if scene]

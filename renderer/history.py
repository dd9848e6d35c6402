"""What earlier sheets showed: a small file for each, so that the next one can say what has changed since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from renderer.collector import collector_rests
from renderer.files import write_atomically
from renderer.looking.snapshots import START, ShownScene, Snapshot, packed, unpacked
from renderer.manifest import Manifest, SceneEntry

HISTORY = "history"
KEPT = 50
"""So many sheets are remembered; of older ones the pictures have mostly been cleaned away."""

LOOK_BACK = 5
"""So many sheets are searched for the last picture of a scene that had none: each is a file to be read."""

_NAME = re.compile(r"(\d{4,18})\.json")


@dataclass(frozen=True)
class Earlier:
    """The last sheet whose story was another one, and when the story became what it is now (`changed_at`)."""

    sheet: Snapshot
    changed_at: str


def snapshot_of(manifest: Manifest) -> Snapshot:
    """What the sheet of a run folder shows; not the order of scenes and their notes, on which no picture hangs."""
    return Snapshot(manifest.updated_at, {scene.id: _shown(manifest, scene) for scene in manifest.scenes})


@collector_rests()
def remember(manifest: Manifest, folder: Path) -> None:
    """Keeps what the sheet shows now in the run folder's `history/`, where that is something new. Raises OSError.

    A render that goes on with what an earlier one began (more of the same story is painted) takes that one's place:
    what has changed is told from one wording of the story to the next, however many renders it took to paint.
    """
    now = snapshot_of(manifest)
    number, last = next(_newest_first(folder), (0, None))
    if last is not None and last.scenes == now.scenes:
        return
    if last is not None and last.asked == now.asked:
        now = replace(now, at=last.at)
    else:
        number = max(_files(folder), default=0) + 1
    (folder / HISTORY).mkdir(exist_ok=True)
    write_atomically(folder / HISTORY / f"{number:04}.json", packed(now))
    _forget_oldest(folder)


def earlier_sheet(manifest: Manifest, folder: Path) -> Earlier | None:
    """The last sheet that asked for something else than the manifest; None where there was none."""
    asked, changed_at = snapshot_of(manifest).asked, manifest.updated_at
    sheets = (sheet for _, sheet in _newest_first(folder))
    for sheet in sheets:
        if sheet.asked != asked:
            return Earlier(_as_seen(sheet, islice(sheets, LOOK_BACK)), changed_at)
        changed_at = sheet.at
    return None


def _as_seen(sheet: Snapshot, older: Iterator[Snapshot]) -> Snapshot:
    """The sheet, and of scenes that it had no picture of (a render was stopped) what older ones showed last."""
    scenes = dict(sheet.scenes)
    blank = {name for name, scene in scenes.items() if not scene.picture}
    while blank and (before := next(older, None)):
        found = {name: before.scenes[name] for name in blank & before.scenes.keys() if before.scenes[name].picture}
        scenes |= found
        blank -= found.keys()
    return replace(sheet, scenes=scenes)


def _shown(manifest: Manifest, scene: SceneEntry) -> ShownScene:
    take = manifest.main_take(scene)
    picture = manifest.picture(take.key)
    takes = tuple((entry.key, entry.name) for entry in scene.takes)
    return ShownScene(take, picture.file if picture else "", scene.pick, takes)


def _files(folder: Path) -> dict[int, Path]:
    """The files that bear a snapshot's name, by number; what is in them may be anything."""
    found = {path: _NAME.fullmatch(path.name) for path in (folder / HISTORY).glob("*.json")}
    return {int(match[1]): path for path, match in found.items() if match and path.is_file()}


def _newest_first(folder: Path) -> Iterator[tuple[int, Snapshot]]:
    """The snapshots of a run folder, by number; damaged files and other people's are passed over."""
    for number, path in sorted(_files(folder).items(), reverse=True):
        try:
            yield number, unpacked(path.read_bytes())
        except (OSError, ValueError, IndexError, RecursionError):
            continue


def _forget_oldest(folder: Path) -> None:
    """Removes what is older than the newest 50; a file that isn't ours is left alone."""
    ours = [path for _, path in sorted(_files(folder).items(), reverse=True) if _is_ours(path)]
    for path in ours[KEPT:]:
        path.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(START)) == START

"""What has changed on the sheet since the last one that showed another story, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from renderer.history import earlier_sheet
from renderer.looking.comparing import changed_scenes, removed_scenes
from renderer.looking.picks import picture_path
from renderer.looking.snapshots import ShownScene
from renderer.looking.thumbs import thumbnail
from renderer.looking.urls import url_of
from renderer.manifest import Manifest, PictureRecord
from renderer.prompts import Part
from renderer.reasons import Reason


@dataclass(frozen=True)
class Before:
    """The take that stood for a scene on the earlier sheet, of `at`.

    `picture` and `thumb` are URLs relative to the sheet, both '' where the picture was cleaned away or is damaged:
    there is nothing to compare with then, but the prompts are known. `width` and `height` in pixels.
    """

    key: str
    seed: int
    picture: str
    thumb: str
    width: int
    height: int
    prompt: tuple[Part, ...]
    negative: tuple[Part, ...]
    at: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A scene that has changed, as the page shows it. `reasons` are said in the page's language by `told`."""

    reasons: tuple[Reason, ...]
    before: Before | None


@dataclass(frozen=True)
class Changes:
    """What a sheet says of the time since an earlier one: changed scenes by id, and scenes that are gone.

    `since` is when the earlier sheet was first shown, `at` when the story became what it is now, both ISO 8601 in UTC
    and '' where there was no earlier sheet. A decision made after `at` was made in sight of the change.
    """

    since: str
    at: str
    scenes: Mapping[str, ChangeView]
    removed: Mapping[str, Before]

    def of(self, scene: str) -> ChangeView | None:
        """What has changed in a scene; None where nothing has."""
        return self.scenes.get(scene)


def view_changes(manifest: Manifest, folder: Path) -> Changes:
    """The changes that the sheet of a run folder shows; thumbnails it needs are made. Raises OSError as they do."""
    earlier = earlier_sheet(manifest, folder)
    if earlier is None:
        return Changes("", "", {}, {})
    at = earlier.sheet.at
    files = {picture.file: picture for picture in manifest.pictures.values()}

    def before(scene: ShownScene) -> Before:
        return _view(manifest.pictures.get(scene.take.key) or files.get(scene.picture), folder, scene, at)

    scenes = {
        name: ChangeView(change.reasons, before(change.before) if change.before else None)
        for name, change in changed_scenes(manifest, earlier).items()
    }
    gone = removed_scenes(manifest, earlier)
    removed = {name: before(scene) for name, scene in gone.items()}
    return Changes(at, earlier.changed_at, scenes, removed)


def told(reason: Reason, words: Mapping[str, str]) -> str:
    """A reason in a language of the page: its `changed_<word>` in `words`, in which {0}, {1} stand for its values."""
    values = dict(enumerate(reason.values))
    return re.sub(r"\{(\d)\}", lambda place: values.get(int(place[1]), place[0]), words[f"changed_{reason.word}"])


def _view(shown: PictureRecord | None, folder: Path, scene: ShownScene, at: str) -> Before:
    take = scene.take
    path = picture_path(folder, shown)
    thumb = thumbnail(path, folder, shown.key) if shown and path else None
    return Before(
        key=take.key,
        seed=take.seed,
        picture=url_of(path, folder) if path and thumb else "",
        thumb=url_of(thumb, folder) if thumb else "",
        width=int(take.record.get("width", 1)),
        height=int(take.record.get("height", 1)),
        prompt=take.prompt,
        negative=take.negative,
        at=at,
    )

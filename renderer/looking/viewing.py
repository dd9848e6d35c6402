"""From a run folder to what its sheet shows: statuses, URLs, thumbnails, pages of the grid."""

from __future__ import annotations

import json
import shlex
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from renderer.looking.changes import Changes, view_changes
from renderer.looking.durations import starts_of
from renderer.looking.picks import picture_path, scene_number
from renderer.looking.thumbs import thumbnails
from renderer.looking.urls import url_of
from renderer.looking.views import Command, GridPage, PageView, SceneView, Status, TakeView, TrainedView
from renderer.manifest import LoraLineage, Manifest, SceneEntry, TakeEntry
from renderer.plan import RUNS

REVIEW = "review.json"

_Lineage = Mapping[str, LoraLineage]


def view_page(manifest: Manifest, folder: Path, painting: tuple[int, int] | None = None) -> PageView:
    """The sheet of a run folder; thumbnails that it needs are made. Raises OSError where they can't be written."""
    starts = starts_of(scene.duration for scene in manifest.scenes)
    changes, pictures = view_changes(manifest, folder), _pictures(manifest, folder)
    scenes = tuple(
        _view_scene(manifest, index, pictures, starts[index], changes) for index in range(len(manifest.scenes))
    )
    return PageView(
        story=folder.resolve().name,
        title=manifest.title,
        source=manifest.source,
        language=manifest.language,
        model=manifest.model,
        updated_at=manifest.updated_at,
        command=_command(manifest.source, folder.resolve()),
        scenes=scenes,
        grid=tuple(_grid_pages(folder)),
        painting=painting,
        decisions=_decisions(folder),
        changes=changes,
    )


def _command(source: str, folder: Path) -> Command:
    """The command that paints a story, seen from the run folder, into it.

    It names no place of this machine, as the sheet may go to another one. In the usual layout it is typed where the
    first one was: LoRAs that lie in that working folder are found from there only.
    """
    story = source.removeprefix("../../")
    if folder.parent.name != RUNS.name or story == source or story.startswith("../"):
        return Command(f"storyboard render {shlex.quote(source or 'STORY.yaml')} --out .", here=True)
    usual = PurePosixPath(story).stem == folder.name
    out = "" if usual else f" --out {shlex.quote(f'{RUNS.name}/{folder.name}')}"
    return Command(f"storyboard render {shlex.quote(story)}{out}", here=False)


def _decisions(folder: Path) -> dict[str, Any]:
    """What `review.json` has decided, by key; nothing where there is none, or none that can be read."""
    with suppress(OSError, ValueError, AttributeError):
        decisions = json.loads((folder / REVIEW).read_text(encoding="utf-8")).get("decisions")
        return decisions if isinstance(decisions, dict) else {}
    return {}


@dataclass(frozen=True, slots=True)
class _Picture:
    """The URLs of a picture and of its small copy."""

    url: str
    thumb: str


def _pictures(manifest: Manifest, folder: Path) -> dict[str, _Picture]:
    """The pictures of the story's takes that can be shown, by their own keys, with small copies of all of them."""
    found = (manifest.picture(take.key) for scene in manifest.scenes for take in scene.takes)
    pictures = {picture.key: picture_path(folder, picture) for picture in found if picture}
    paths = {key: path for key, path in pictures.items() if path is not None}
    thumbs = thumbnails(paths, folder)
    return {key: _Picture(url_of(paths[key], folder), url_of(thumb, folder)) for key, thumb in thumbs.items()}


def _view_scene(
    manifest: Manifest, index: int, pictures: Mapping[str, _Picture], start: float | None, changes: Changes
) -> SceneView:
    scene = manifest.scenes[index]
    takes = tuple(_view_take(manifest, scene, take, pictures) for take in scene.takes)
    shown = manifest.main_take(scene)
    main = next(view for view, take in zip(takes, scene.takes, strict=True) if take is shown)
    change = changes.of(scene.id)
    reasons, before = (change.reasons, change.before) if change else ((), None)
    return SceneView(scene_number(manifest, index), scene, main, takes, start, reasons, before)


def _view_take(manifest: Manifest, scene: SceneEntry, take: TakeEntry, pictures: Mapping[str, _Picture]) -> TakeView:
    record = manifest.picture(take.key)
    picture = pictures.get(record.key) if record else None
    reason = manifest.failure(take.key)
    embeddings = take.record.get("embeddings", ())
    status: Status = "painted" if picture else "missing" if record else "failed" if reason is not None else "unpainted"
    return TakeView(
        key=take.key,
        name=take.name,
        status=status,
        picked=take.key == scene.pick,
        picture=picture.url if picture else "",
        thumb=picture.thumb if picture else "",
        reason=reason or "",
        prompt=take.prompt,
        negative=take.negative,
        record=record.record if record and record.draft else take.record,
        loras=_view_trained(take.record.get("loras", ()), take.loras, manifest.lineage),
        embeddings=_view_trained(embeddings, (embedding["name"] for embedding in embeddings), manifest.lineage),
        hypernetworks=_view_trained(take.record.get("hypernetworks", ()), take.hypernetworks, manifest.lineage),
        provenance=record.provenance if record else None,
    )


def _view_trained(
    used: Iterable[Mapping[str, Any]], names: Iterable[str], lineage: _Lineage
) -> tuple[TrainedView, ...]:
    """Trained files of a take by name; those of which the record alone knows are named by their hash."""
    called = iter(names)
    return tuple(
        TrainedView(
            next(called, file["sha256"][:10]),
            float(file["strength"]) if "strength" in file else None,
            file["sha256"],
            lineage.get(file["sha256"], LoraLineage()),
        )
        for file in used
    )


def _grid_pages(folder: Path) -> Iterator[GridPage]:
    """The pages of the grid that lie in the folder, up to the first one that doesn't."""
    number = 1
    while (path := folder / ("grid.png" if number == 1 else f"grid-{number}.png")).is_file():
        size = _size_of(path)
        if size is None:
            return
        yield GridPage(url_of(path, folder), *size)
        number += 1


def _size_of(page: Path) -> tuple[int, int] | None:
    """Width and height of a picture, for a PNG from its first bytes; None for what is no picture."""
    with suppress(OSError), page.open("rb") as file:
        start = file.read(24)
        if start[:8] == b"\x89PNG\r\n\x1a\n" and start[12:16] == b"IHDR" and len(start) == 24:
            width, height = struct.unpack(">II", start[16:])
            return width, height
    from PIL import Image

    try:
        with Image.open(page) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None

"""From a run folder to what its sheet shows: statuses, URLs, thumbnails, pages of the grid."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from renderer.looking.picks import picture_path, scene_number
from renderer.looking.thumbs import thumbnail
from renderer.looking.views import GridPage, LoraView, PageView, SceneView, Status, TakeView
from renderer.manifest import Manifest, SceneEntry, TakeEntry


def view_page(manifest: Manifest, folder: Path, painting: tuple[int, int] | None = None) -> PageView:
    """The sheet of a run folder; thumbnails that it needs are made. Raises OSError where they can't be written."""
    scenes = tuple(_view_scene(manifest, index, folder) for index in range(len(manifest.scenes)))
    command = f"storyboard render {shlex.quote(manifest.source)}" if manifest.source else "storyboard render"
    return PageView(
        title=manifest.title,
        language=manifest.language,
        model=manifest.model,
        updated_at=manifest.updated_at,
        command=command,
        scenes=scenes,
        grid=tuple(_grid_pages(folder)),
        painting=painting,
    )


def _view_scene(manifest: Manifest, index: int, folder: Path) -> SceneView:
    scene = manifest.scenes[index]
    takes = tuple(_view_take(manifest, scene, take, folder) for take in scene.takes)
    shown = manifest.shown(scene) or next((take for take in scene.takes if take.key == scene.pick), scene.takes[0])
    main = next(view for view, take in zip(takes, scene.takes, strict=True) if take is shown)
    return SceneView(scene_number(manifest, index), scene, main, takes)


def _view_take(manifest: Manifest, scene: SceneEntry, take: TakeEntry, folder: Path) -> TakeView:
    record = manifest.pictures.get(take.key)
    path = picture_path(folder, record)
    thumb = thumbnail(path, folder, take.key) if path else None
    reason = manifest.failures.get(take.key)
    status: Status = "painted" if thumb else "missing" if record else "failed" if reason is not None else "unpainted"
    return TakeView(
        key=take.key,
        seed=take.seed,
        status=status,
        picked=take.key == scene.pick,
        picture=_url(path, folder) if path and thumb else "",
        thumb=_url(thumb, folder) if thumb else "",
        reason=reason or "",
        prompt=take.prompt,
        negative=take.negative,
        record=take.record,
        loras=_view_loras(take),
        provenance=record.provenance if record else None,
    )


def _view_loras(take: TakeEntry) -> tuple[LoraView, ...]:
    """The LoRAs of a take by name; those of which the record alone knows are named by their hash."""
    names = iter(take.loras)
    return tuple(
        LoraView(next(names, lora["sha256"][:10]), float(lora["strength"]), lora["sha256"])
        for lora in take.record.get("loras", ())
    )


def _grid_pages(folder: Path) -> Iterator[GridPage]:
    """The pages of the grid that lie in the folder, up to the first one that doesn't."""
    number = 1
    while (path := folder / ("grid.png" if number == 1 else f"grid-{number}.png")).is_file():
        try:
            with Image.open(path) as image:
                yield GridPage(_url(path, folder), image.width, image.height)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return
        number += 1


def _url(path: Path, folder: Path) -> str:
    """The URL of a file in the run folder, relative to the sheet, percent-encoded."""
    return quote(os.fsencode(path.relative_to(folder).as_posix()), safe="/")

"""The grid: one picture per scene, in story order, on pages of rows and columns."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

from renderer.files import explained, write_atomically
from renderer.looking.layout import PAGE_PIXELS, Layout, plan_layout, size_of, spoken, tried
from renderer.looking.parallel import cores, in_order
from renderer.looking.picks import scene_number, write_picks
from renderer.manifest import Manifest, SceneEntry

if TYPE_CHECKING:
    from renderer.looking.cells import Pixels

LOOK = 1
"""Version of how a grid looks; part of its digest, so that grids of an earlier look are composed anew."""


def compose_grid(manifest: Manifest, folder: Path, *, unchanged: bool = False) -> list[Path]:
    """Writes `grid.png`, `grid-2.png`, … and `picks/` of a story into its run folder; returns the pages' paths.

    A scene is shown by its pick, else by its first painted take, else by a tile that says why there is no picture.
    Pages that show already what they should are left as they are, those that an earlier, longer story left are
    removed. As many pages are in memory at once as one of the largest size would fill. `unchanged`: the grid's digest
    is that of the pages in the folder, which aren't looked at then if all are there. Raises RunFolderError.
    """
    layout = plan_layout(manifest)
    starts = range(0, len(manifest.scenes), layout.scenes)
    paths = [folder / ("grid.png" if page == 1 else f"grid-{page}.png") for page in range(1, len(starts) + 1)]
    write_picks(manifest, folder)
    if unchanged and all(path.is_file() for path in paths):
        return paths
    with explained(folder):
        _write_pages(manifest, folder, layout, dict(zip(starts, paths, strict=True)))
        _remove_stale(folder, len(paths))
    return paths


def _write_pages(manifest: Manifest, folder: Path, layout: Layout, paths: dict[int, Path]) -> None:
    """Composes the pages, by their first scenes, that aren't in the folder yet as they should be."""
    from renderer.looking.pages import DIGEST_TEXT, page_png, texts_of
    from renderer.looking.thumbs import keep_thumbnail

    def seen(pixels: Pixels, picture: Path, key: str) -> None:
        keep_thumbnail(pixels, picture, folder, key)  # which the sheet will want of the same pictures

    digests = {start: page_digest(manifest, layout, start) for start in paths}
    wanted = [start for start, path in paths.items() if texts_of(path).get(DIGEST_TEXT) != digests[start]]
    height, width = layout.page(layout.scenes)
    pages = in_order(
        lambda start: page_png(manifest, folder, layout, start, digests[start], seen),
        wanted,
        at_once=min(cores(), PAGE_PIXELS // (height * width)),
    )
    for start, content in zip(wanted, pages, strict=True):
        write_atomically(paths[start], content)


def grid_digest(manifest: Manifest) -> str:
    """sha256 (64 hex digits) of all that decides how the grid looks."""
    scenes = [_about(manifest, scene) for scene in manifest.scenes]
    return _digest([LOOK, manifest.grid.model_dump(), manifest.language, scenes])


def page_digest(manifest: Manifest, layout: Layout, start: int) -> str:
    """sha256 (64 hex digits) of all that decides how the page that begins with scene `start` (from 0) looks."""
    pages = -(-len(manifest.scenes) // layout.scenes)
    scenes = [
        [scene_number(manifest, start + place), *_about(manifest, scene)]
        for place, scene in enumerate(manifest.scenes[start : start + layout.scenes])
    ]
    return _digest([LOOK, pages, astuple(layout), manifest.language, scenes])


def _about(manifest: Manifest, scene: SceneEntry) -> list[object]:
    """What decides how a scene's cell looks."""
    take = manifest.shown(scene)
    picture = manifest.picture(take.key) if take else None
    shown = picture.sha256 if picture else ""
    failed = any(manifest.failure(entry.key) is not None for entry in scene.takes)
    about = [scene.id, spoken(scene), shown, failed, [size_of(entry) for entry in scene.takes]]
    return [*about, tried(manifest, scene)] if scene.swept else about


def _digest(content: list[object]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _remove_stale(folder: Path, pages: int) -> None:
    from renderer.looking.pages import PAGE_TEXT, texts_of

    for path in folder.glob("grid*.png"):
        found = re.fullmatch(r"grid(?:-([1-9]\d*))?\.png", path.name)
        if found and int(found[1] or 1) > pages and PAGE_TEXT in texts_of(path):
            path.unlink()

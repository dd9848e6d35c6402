"""The grid: one picture per scene, in story order, on pages of rows and columns."""

from __future__ import annotations

import hashlib
import io
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from renderer.files import explained, write_atomically
from renderer.looking.cells import PAPER, Cell, Pixels, draw_cell, fitted, spoken, tried
from renderer.looking.picks import picture_path, write_picks
from renderer.manifest import Manifest, TakeEntry
from renderer.metadata import XMP_TEXT

PAGE_PIXELS = 40_000_000
"""The most pixels of a page: 120 MB while it is composed, and every viewer still opens it."""
PAGE_SIDE = 16_000
"""The longest side of a page in pixels: about what browsers can still show of one picture."""

PAGE_TEXT = "storyboard-grid"
"""The PNG text that tells our pages from other people's pictures: `number/pages`."""

LOOK = 1
"""Version of how a grid looks; part of its digest, so that grids of an earlier look are composed anew."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a page is divided: cells in `columns` and at most `rows`, with a `gutter` of so many pixels around each."""

    columns: int
    rows: int
    gutter: int
    cell: Cell

    @property
    def scenes(self) -> int:
        """The number of scenes on a full page."""
        return self.columns * self.rows

    @property
    def step(self) -> tuple[int, int]:
        """Pixels from one row to the next, and from one column to the next."""
        return self.cell.height + self.cell.caption + self.gutter, self.cell.width + self.gutter

    def page(self, scenes: int) -> tuple[int, int]:
        """Height and width in pixels of a page with so many scenes."""
        rows = -(-scenes // self.columns)
        return self.gutter + rows * self.step[0], self.gutter + self.columns * self.step[1]


def compose_grid(manifest: Manifest, folder: Path, *, unchanged: bool = False) -> list[Path]:
    """Writes `grid.png`, `grid-2.png`, … and `picks/` of a story into its run folder; returns the pages' paths.

    A scene is shown by its pick, else by its first painted take, else by a tile that says why there is no picture.
    Pages that an earlier, longer story left are removed. One page at a time is held in memory. `unchanged`: the grid's
    digest is that of the pages in the folder, which are left as they are if all are there. Raises RunFolderError.
    """
    layout = plan_layout(manifest)
    starts = range(0, len(manifest.scenes), layout.scenes)
    paths = [folder / ("grid.png" if page == 1 else f"grid-{page}.png") for page in range(1, len(starts) + 1)]
    write_picks(manifest, folder)
    if unchanged and all(path.is_file() for path in paths):
        return paths
    with explained(folder):
        for path, start in zip(paths, starts, strict=True):
            write_atomically(path, page_png(manifest, folder, layout, start))
        _remove_stale(folder, len(paths))
    return paths


def grid_digest(manifest: Manifest) -> str:
    """sha256 (64 hex digits) of all that decides how the grid looks."""
    scenes = []
    for scene in manifest.scenes:
        take = manifest.shown(scene)
        shown = manifest.pictures[take.key].sha256 if take else ""
        failed = any(entry.key in manifest.failures for entry in scene.takes)
        about = [scene.id, spoken(scene), shown, failed, [_size(entry) for entry in scene.takes]]
        scenes.append([*about, tried(manifest, scene)] if scene.swept else about)
    content = [LOOK, manifest.grid.model_dump(), manifest.language, scenes]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def plan_layout(manifest: Manifest) -> Layout:
    """The layout that a story's style asks for, with fewer rows, then smaller cells, where pages would grow absurd.

    Cells are as wide and as high as the story's pictures need when their longer sides are `cell` pixels.
    """
    style = manifest.grid
    columns = max(1, min(style.columns, len(manifest.scenes)))
    lines = 1 + any(spoken(scene) for scene in manifest.scenes) if style.captions else 0
    sizes = {_size(take) for scene in manifest.scenes for take in scene.takes} or {(1, 1)}
    side = style.cell
    while True:
        boxes = [fitted(size, (side, side)) for size in sizes]
        width, height = max(box[0] for box in boxes), max(box[1] for box in boxes)
        layout = Layout(columns, 1, style.gutter, Cell(width, height, min(max(width // 24, 10), 32), lines))
        high, wide = layout.page(1)
        if side == 1 or (high * wide <= PAGE_PIXELS and max(high, wide) <= PAGE_SIDE):
            rows = min(style.rows, min(PAGE_PIXELS // wide, PAGE_SIDE) // layout.step[0])
            return Layout(columns, max(1, rows), style.gutter, layout.cell)
        side = max(1, side * 3 // 4)


def compose_page(manifest: Manifest, folder: Path, layout: Layout, start: int = 0) -> Pixels:
    """The page that begins with scene `start` (from 0): uint8 [height, width, 3], RGB."""
    indices = range(start, min(start + layout.scenes, len(manifest.scenes)))
    page = np.full((*layout.page(len(indices)), 3), PAPER, dtype=np.uint8)
    for place, index in enumerate(indices):
        row, column = divmod(place, layout.columns)
        top, left = layout.gutter + row * layout.step[0], layout.gutter + column * layout.step[1]
        drawn = draw_cell(manifest, index, folder, layout.cell)
        page[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return page


def page_png(manifest: Manifest, folder: Path, layout: Layout | None = None, start: int = 0) -> bytes:
    """A page as a PNG file's bytes, the first one by default; nothing is written."""
    layout = layout or plan_layout(manifest)
    texts = PngInfo()
    texts.add_text(PAGE_TEXT, f"{start // layout.scenes + 1}/{-(-len(manifest.scenes) // layout.scenes)}")
    if mark := _mark_of_origin(manifest, folder):
        texts.add_itxt(XMP_TEXT, mark)
    image = Image.fromarray(compose_page(manifest, folder, layout, start))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=texts, compress_level=4)
    return buffer.getvalue()


def _size(take: TakeEntry) -> tuple[int, int]:
    return max(1, int(take.record.get("width", 1))), max(1, int(take.record.get("height", 1)))


def _mark_of_origin(manifest: Manifest, folder: Path) -> str:
    """The mark of AI origin that the story's pictures carry: what is made of them carries it too."""
    for record in manifest.pictures.values():
        path = picture_path(folder, record)
        if path is not None:
            return str(_texts(path).get(XMP_TEXT, ""))
    return ""


def _remove_stale(folder: Path, pages: int) -> None:
    for path in folder.glob("grid*.png"):
        found = re.fullmatch(r"grid(?:-([1-9]\d*))?\.png", path.name)
        if found and int(found[1] or 1) > pages and PAGE_TEXT in _texts(path):
            path.unlink()


def _texts(path: Path) -> dict[str | tuple[int, int], object]:
    """The texts before a PNG's pixels; none for a file that is no picture."""
    with suppress(OSError, ValueError, SyntaxError), Image.open(path) as image:
        return dict(image.info)
    return {}

"""Pages of the grid: composed of their cells, and written as PNG files that say what they show."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from renderer.looking.cells import PAPER, Pixels, Seen, draw_cell, filled
from renderer.looking.layout import Layout, plan_layout
from renderer.looking.picks import picture_path
from renderer.manifest import Manifest
from renderer.metadata import XMP_TEXT

PAGE_TEXT = "storyboard-grid"
"""The PNG text that tells our pages from other people's pictures: `number/pages`."""
DIGEST_TEXT = "storyboard-grid-digest"
"""The PNG text that says what a page shows: the digest that it was composed for."""


def compose_page(manifest: Manifest, folder: Path, layout: Layout, start: int = 0, seen: Seen | None = None) -> Pixels:
    """The page that begins with scene `start` (from 0): uint8 [height, width, 3], RGB.

    `seen` is handed each picture that is opened for it.
    """
    indices = range(start, min(start + layout.scenes, len(manifest.scenes)))
    page = filled(*layout.page(len(indices)), PAPER)
    for place, index in enumerate(indices):
        row, column = divmod(place, layout.columns)
        top, left = layout.gutter + row * layout.step[0], layout.gutter + column * layout.step[1]
        drawn = draw_cell(manifest, index, folder, layout.cell, seen)
        page[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return page


def page_png(
    manifest: Manifest,
    folder: Path,
    layout: Layout | None = None,
    start: int = 0,
    digest: str = "",
    seen: Seen | None = None,
) -> bytes:
    """A page as a PNG file's bytes, the first one by default; nothing is written. `digest` is noted in it.

    `seen` is handed each picture that is opened for it.
    """
    layout = layout or plan_layout(manifest)
    texts = PngInfo()
    texts.add_text(PAGE_TEXT, f"{start // layout.scenes + 1}/{-(-len(manifest.scenes) // layout.scenes)}")
    if digest:
        texts.add_text(DIGEST_TEXT, digest)
    if mark := _mark_of_origin(manifest, folder):
        texts.add_itxt(XMP_TEXT, mark)
    image = Image.fromarray(compose_page(manifest, folder, layout, start, seen))
    buffer = io.BytesIO()
    # Runs and single bytes only, as zlib advises for PNG: half the time of level 4, and no larger for pictures.
    image.save(buffer, format="PNG", pnginfo=texts, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def _mark_of_origin(manifest: Manifest, folder: Path) -> str:
    """The mark of AI origin that the story's pictures carry: what is made of them carries it too."""
    for record in manifest.pictures.values():
        path = picture_path(folder, record)
        if path is not None:
            return str(texts_of(path).get(XMP_TEXT, ""))
    return ""


def texts_of(path: Path) -> dict[str | tuple[int, int], object]:
    """The texts before a PNG's pixels; none for a file that is no picture."""
    with suppress(OSError, ValueError, SyntaxError), Image.open(path) as image:
        return dict(image.info)
    return {}

"""What stands in a cell of the grid: a scene's picture or the words in its place, and the caption below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from renderer.looking.captions import Color, draw_line, line_width
from renderer.looking.layout import Cell, fitted, spoken, tried
from renderer.looking.picks import picture_path, scene_number
from renderer.manifest import Manifest, SceneEntry

Pixels = NDArray[np.uint8]
Seen = Callable[[Pixels, Path, str], None]
"""What is done with a picture's pixels (RGB), its path and its key while it is open, so that nobody opens it again."""

PAPER: Color = (250, 248, 244)
"""The page, below its captions too."""
MAT: Color = (232, 228, 220)
"""A cell around a picture that doesn't fill it."""
INK: Color = (38, 36, 33)
PALE: Color = (106, 100, 91)
ACCENT: Color = (160, 72, 36)
ALARM: Color = (160, 40, 30)

Word = Literal["unpainted", "failed", "lost"]
WORDS: dict[Literal["zh", "en"], dict[Word, str]] = {
    "en": {"unpainted": "not painted yet", "failed": "failed", "lost": "picture missing"},
    "zh": {"unpainted": "尚未绘制", "failed": "绘制失败", "lost": "图片缺失"},
}


def draw_cell(manifest: Manifest, index: int, folder: Path, cell: Cell, seen: Seen | None = None) -> Pixels:
    """A scene's picture centred on the mat, or why there is none, with its caption: uint8 [height, width, 3].

    The picture is as large as its place allows, its shape kept. `index` counts scenes from 0; `seen` is handed the
    picture.
    """
    drawn = np.empty((cell.height + cell.caption, cell.width, 3), dtype=np.uint8)
    scene = manifest.scenes[index]
    picture = _picture(manifest, scene, folder, cell, seen)
    if isinstance(picture, str):
        drawn[: cell.height] = _worded(
            WORDS[manifest.language][picture], PALE if picture == "unpainted" else ALARM, cell
        )
    else:
        drawn[: cell.height] = _matted(picture, cell)
    if cell.lines:
        drawn[cell.height :] = _caption(scene_number(manifest, index), scene, tried(manifest, scene), cell)
    return drawn


def filled(height: int, width: int, color: Color) -> Pixels:
    """A plain surface: uint8 [height, width, 3]. Copying rows takes a tenth of what filling in each pixel does."""
    row = np.tile(np.array(color, dtype=np.uint8), width).reshape(1, width, 3)
    return np.repeat(row, height, axis=0)


def _picture(manifest: Manifest, scene: SceneEntry, folder: Path, cell: Cell, seen: Seen | None) -> Pixels | Word:
    """The pixels that stand for a scene at the size in which they fill the cell, or what there is to say instead."""
    take = manifest.shown(scene)
    if take is None:
        return "failed" if any(manifest.failure(entry.key) is not None for entry in scene.takes) else "unpainted"
    record = manifest.picture(take.key)
    path = picture_path(folder, record)
    if record is None or path is None:
        return "lost"
    try:
        with Image.open(path) as image:
            whole = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for damaged files
        return "lost"
    if seen is not None:
        seen(np.asarray(whole), path, record.key)
    return np.asarray(whole.resize(fitted(whole.size, (cell.width, cell.height)), Image.Resampling.LANCZOS))


def _matted(picture: Pixels, cell: Cell) -> Pixels:
    height, width = picture.shape[:2]
    if (height, width) == (cell.height, cell.width):
        return picture
    mat = filled(cell.height, cell.width, MAT)
    top, left = (cell.height - height) // 2, (cell.width - width) // 2
    mat[top : top + height, left : left + width] = picture
    return mat


def _worded(words: str, color: Color, cell: Cell) -> Pixels:
    image = Image.new("RGB", (cell.width, cell.height), MAT)
    width = min(line_width(words, cell.letters), cell.width)
    left = (cell.width - width) // 2
    draw_line(image, (left, 0, left + width, cell.height), words, cell.letters, color)
    return np.asarray(image)


def _caption(number: str, scene: SceneEntry, tried: str, cell: Cell) -> Pixels:
    image = Image.new("RGB", (cell.width, cell.caption), PAPER)
    end = draw_line(image, (0, 0, cell.width, cell.line), number, cell.letters, ACCENT)
    small = round(cell.letters * 0.85)
    # A long id gives way: what one looks at a sweep for has to be read.
    beside = cell.width - (line_width(tried, small) + cell.letters if tried else 0)
    end = draw_line(image, (end + cell.letters // 2, 0, max(end, beside), cell.line), scene.id, cell.letters, INK)
    draw_line(image, (end + cell.letters, 0, cell.width, cell.line), tried, small, PALE)
    if cell.lines > 1:
        below = (0, cell.line, cell.width, cell.caption)
        draw_line(image, below, spoken(scene), small, PALE)
    return np.asarray(image)

"""How a grid is laid out: the cells of a page, and the words below their pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from renderer.manifest import Manifest, SceneEntry, TakeEntry
from renderer.take_name import shown_number

PAGE_PIXELS = 40_000_000
"""The most pixels of a page: 120 MB while it is composed, and every viewer still opens it."""
PAGE_SIDE = 16_000
"""The longest side of a page in pixels: about what browsers can still show of one picture."""

SWEPT: dict[Literal["zh", "en"], dict[str, str]] = {
    "en": {"strength": "strength", "step": "step"},
    "zh": {"strength": "强度", "step": "训练步"},
}
DRAFT: dict[Literal["zh", "en"], str] = {"en": "draft", "zh": "草稿"}


@dataclass(frozen=True, slots=True)
class Cell:
    """The measures of a cell in pixels: its picture's place, the size of its letters, and its `lines` of caption."""

    width: int
    height: int
    letters: int
    lines: int

    @property
    def line(self) -> int:
        """The height of a line of caption."""
        return round(self.letters * 1.6)

    @property
    def caption(self) -> int:
        """The height of the whole caption."""
        return self.line * self.lines


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


def plan_layout(manifest: Manifest) -> Layout:
    """The layout that a story's style asks for, with fewer rows, then smaller cells, where pages would grow absurd.

    Cells are as wide and as high as the story's pictures need when their longer sides are `cell` pixels.
    """
    style = manifest.grid
    columns = max(1, min(style.columns, len(manifest.scenes)))
    lines = 1 + any(spoken(scene) for scene in manifest.scenes) if style.captions else 0
    sizes = {size_of(take) for scene in manifest.scenes for take in scene.takes} or {(1, 1)}
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


def size_of(take: TakeEntry) -> tuple[int, int]:
    """Width and height in pixels that were asked for."""
    return max(1, int(take.record.get("width", 1))), max(1, int(take.record.get("height", 1)))


def fitted(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """The largest width and height of a picture's shape within a box, all in pixels; at least 1 by 1."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return max(1, min(box[0], round(size[0] * scale))), max(1, min(box[1], round(size[1] * scale)))


def spoken(scene: SceneEntry) -> str:
    """The second line of a caption: what is said, else how it is shot, else ''."""
    return scene.dialogue.strip() or scene.shot.strip()


def tried(manifest: Manifest, scene: SceneEntry) -> str:
    """Strength and step of a swept LoRA in the picture that stands for a scene, and whether it is a draft, in words."""
    words, take = SWEPT[manifest.language], manifest.shown(scene)
    picture = manifest.picture(take.key) if take else None
    said = [
        f"{words[word]} {shown_number(value)}"
        for word, value in (take.name.parts if take else {}).items()
        if word in words
    ]
    return " · ".join([*said, DRAFT[manifest.language]] if picture and picture.draft else said)

"""A page of painted pictures, each beside the book's own drawing of what its prompt says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import get_args

from PIL import Image, ImageDraw, ImageFont

from renderer.looking.captions import OWN_FONT
from renderer.miniature.book import Picture, Place, Style
from renderer.miniature.evaluation.asking import LANGUAGES, Asked, Bytes, ask_all_of, held_out

COLUMNS = 4
_STYLES: dict[Place, Style] = {"kitchen": "warm_paper", "stage": "night_blue", "forest": "warm_paper"}
_SIDE = 208
_GAP, _PAD, _EDGE, _HEAD = 6, 14, 26, 66
_TEXT, _LINE, _LINES = 14, 21, 3
_PAPER, _SHEET, _INK = (247, 241, 231), (255, 253, 249), (59, 47, 66)
_HEADING = "Left: drawn by the picture book.   Right: painted by the model from the prompt alone."
_NEVER_FIRST = "，。、！,. "


def showcase_prompts() -> list[Asked]:
    """The first held-out picture of each place, told whole, Chinese and English by turns; most in the plain style."""
    first: dict[tuple[Place, Style], Picture] = {}
    shown = (picture for picture in held_out() if picture.figures or picture.things)
    for picture in islice(shown, 2000):
        first.setdefault((picture.place, picture.style), picture)
    chosen = [first[place, _STYLES.get(place, "plain")] for place in get_args(Place)]
    return [ask_all_of(picture, LANGUAGES[number % 2], seed=number) for number, picture in enumerate(chosen)]


def showcase_page(asked: Sequence[Asked], drawn: Bytes, painted: Bytes) -> Image.Image:
    """Cells of a drawing, the painting beside it, and below them the prompt."""
    width, height = 2 * _SIDE + _GAP + 2 * _PAD, _SIDE + 2 * _PAD + _LINE * _LINES + 4
    rows = -(-len(asked) // COLUMNS)
    across, down = COLUMNS * (width + _PAD) - _PAD, rows * (height + _PAD) - _PAD
    page = Image.new("RGB", (across + 2 * _EDGE, _HEAD + down + _EDGE), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_EDGE + 2, _HEAD / 2), _HEADING, _INK, _font(22), anchor="lm")
    for index, (each, left, right) in enumerate(zip(asked, drawn, painted, strict=True)):
        row, column = divmod(index, COLUMNS)
        x, y = _EDGE + column * (width + _PAD), _HEAD + row * (height + _PAD)
        draw.rounded_rectangle((x, y, x + width, y + height), 14, _SHEET)
        _draw_cell(page, (x + _PAD, y + _PAD), each.prompt, (left, right))
    return page


def wrap(text: str, width: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """Lines of at most `width` pixels: English is parted at spaces, Chinese anywhere but before its punctuation.

    A word that is too long, and punctuation that ends a full line, go beyond the width.
    """
    lines = [""]
    for piece in _pieces(text):
        if lines[-1] and font.getlength(lines[-1] + piece.rstrip(_NEVER_FIRST)) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _draw_cell(page: Image.Image, corner: tuple[int, int], prompt: str, pair: tuple[Bytes, Bytes]) -> None:
    x, y = corner
    for index, pixels in enumerate(pair):
        picture = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        page.paste(picture, (x + index * (_SIDE + _GAP), y), _rounded(_SIDE))
    lines = wrap(prompt, 2 * _SIDE + _GAP, _font(_TEXT))
    shown = lines if len(lines) <= _LINES else [*lines[: _LINES - 1], lines[_LINES - 1] + " …"]
    for number, line in enumerate(shown):
        ImageDraw.Draw(page).text((x, y + _SIDE + 8 + number * _LINE), line, _INK, _font(_TEXT))


def _pieces(text: str) -> list[str]:
    """What a line may begin with: each a word or a Chinese character, with the spaces and punctuation after it."""
    pieces: list[str] = []
    before = " "
    for char in text:
        inside = not (before == " " or _is_wide(before) or _is_wide(char))
        if pieces and (inside or char in _NEVER_FIRST):
            pieces[-1] += char
        else:
            pieces.append(char)
        before = char
    return pieces


def _is_wide(char: str) -> bool:
    return ord(char) > 0x2E7F


def _rounded(side: int) -> Image.Image:
    mask = Image.new("L", (4 * side, 4 * side), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4 * side - 1, 4 * side - 1), 40, 255)
    return mask.resize((side, side), Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(OWN_FONT), size)

"""Words drawn into pictures: never as boxes, never wider than their place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

OWN_FONT = Path(__file__).parent / "fonts" / "NotoSansCJKsc-captions.otf"
"""Ships with the package, so that Chinese, Japanese, Korean and European text looks the same everywhere."""

SYSTEM_FONTS = (
    *("NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf", "NotoSans-Regular.ttf"),  # Linux
    *("Arial Unicode.ttf", "GeezaPro.ttc", "Thonburi.ttc", "Kohinoor.ttc"),  # macOS
    *("segoeui.ttf", "msyh.ttc", "Nirmala.ttf", "LeelawUI.ttf"),  # Windows
)
"""Tried in this order, by file name, for text that our own font can't show whole."""

LONGEST = 400
"""Characters of a text that are looked at; more never fit a caption, and measuring 100 kB takes seconds."""


def draw_line(image: Image.Image, box: tuple[int, int, int, int], text: str, size: int, color: Color) -> int:
    """Draws `text` in one line from the left of `box` (left, top, right, bottom, in pixels), centred in its height.

    `size` is the font's in pixels. Returns the x where the text ends. Characters that no font at hand can show are
    left out, and a text that is too long ends in `…`.
    """
    left, top, right, bottom = box
    font, line = _fitted(text, size, right - left)
    if line:
        ImageDraw.Draw(image).text((left, (top + bottom) / 2), line, fill=color, font=font, anchor="lm")
    return left + ceil(font.getlength(line))


def line_width(text: str, size: int) -> int:
    """The width in pixels of what `draw_line` would draw of `text` with all the room it likes."""
    font, line = _fitted(text, size, 1 << 20)
    return ceil(font.getlength(line))


def _fitted(text: str, size: int, width: int) -> tuple[ImageFont.FreeTypeFont, str]:
    name, line = best_font(plain(text[:LONGEST]))
    font = _font(name, size)
    return font, shorten(line, font, width)


def plain(text: str) -> str:
    """`text` on one line, composed (NFC), without control and formatting characters and lone surrogates."""
    spaced = " ".join(text.split())
    return unicodedata.normalize("NFC", "".join(char for char in spaced if unicodedata.category(char)[0] != "C"))


@lru_cache(maxsize=4096)
def best_font(line: str) -> tuple[str, str]:
    """The font that shows most of `line`, ours if it shows all, and what of `line` it can show."""
    best = (str(OWN_FONT), "")
    for name in _font_names():
        shown = " ".join("".join(char for char in line if char == " " or _has(name, char)).split())
        if shown == line:
            return name, shown
        if len(shown) > len(best[1]):
            best = (name, shown)
    return best


def shorten(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """`line` if it is at most `width` pixels wide, else as much of its beginning as fits, and `…`; '' if not even that.

    A letter is never parted from its accents.
    """
    if font.getlength(line) <= width:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(line[:middle] + "…") <= width else (low, middle - 1)
    while low and unicodedata.combining(line[low]):
        low -= 1
    return line[:low].rstrip() + "…" if low else ""


def _font_names() -> Iterator[str]:
    yield str(OWN_FONT)
    yield from (name for name in SYSTEM_FONTS if _exists(name))


@lru_cache(maxsize=64)
def _exists(name: str) -> bool:
    """Whether Pillow finds a font of this file name in the system's font folders."""
    try:
        ImageFont.truetype(name, 12)
    except OSError:
        return False
    return True


@lru_cache(maxsize=256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size)


@lru_cache(maxsize=16384)
def _has(name: str, char: str) -> bool:
    """Whether a font has its own picture for a character, other than the box for unknown ones."""
    return _look(name, char) != _look(name, "\U0010fffe")


def _look(name: str, char: str) -> tuple[tuple[int, int], bytes]:
    font = _probe(name)
    mask, offset = font.getmask2(char, mode="L")
    return (offset[0], offset[1]), bytes(mask)


@lru_cache(maxsize=64)
def _probe(name: str) -> ImageFont.FreeTypeFont:
    """A font without shaping, which would join or replace characters while we ask about one."""
    return ImageFont.truetype(name, 24, layout_engine=ImageFont.Layout.BASIC)

"""What is seen on a film: each panel fitted into one size, with its number and what is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from math import ceil

from PIL import Image

from renderer.exporting.panels import Panel, Reel, say
from renderer.exporting.subtitles import caption_pages
from renderer.looking.captions import draw_line, line_width
from renderer.looking.cells import MAT, PALE
from renderer.looking.layout import fitted

BLACK = (0, 0, 0)
WHITE = (255, 255, 255)
Box = tuple[int, int, int, int]


def film(reel: Reel, size: tuple[int, int], fps: int) -> Iterator[tuple[Image.Image, int]]:
    """Each picture of the film, RGB of that width and height, with the frames for which it stays.

    A long dialogue makes several pictures of a panel.
    """
    letters = letter_size(size)
    for panel, span in zip(reel.panels, reel.spans(fps), strict=True):
        below = _numbered(panel, reel, size, letters)
        pages = caption_pages(panel.scene.dialogue, size[0] - 4 * letters, letters, span.frames / fps)[: span.frames]
        for number, lines in enumerate(pages):
            first, last = (span.frames * each // len(pages) for each in (number, number + 1))
            yield _captioned(below, lines, letters), last - first


def letter_size(size: tuple[int, int]) -> int:
    """The height of a film's letters in pixels: a twentieth of its shorter side."""
    return max(8, min(size) // 20)


def _numbered(panel: Panel, reel: Reel, size: tuple[int, int], letters: int) -> Image.Image:
    image = _letterboxed(panel, size) or _worded(say(panel, reel.manifest.language), size, letters)
    small = max(8, letters * 3 // 4)
    text = panel.number if panel.main else f"{panel.number} · {panel.take.name.short}"
    width = line_width(text, small)
    _darken(image, (0, 0, width + small, ceil(small * 1.6)))
    draw_line(image, (small // 2, 0, small // 2 + width, ceil(small * 1.6)), text, small, WHITE)
    return image


def _letterboxed(panel: Panel, size: tuple[int, int]) -> Image.Image | None:
    """The panel's picture, as large as the frame allows, on black; None where there is none to be read."""
    if panel.picture is None:
        return None
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), Image.open(panel.picture) as image:
        inside = fitted(image.size, size)
        frame = Image.new("RGB", size, BLACK)
        scaled = image.convert("RGB").resize(inside, Image.Resampling.LANCZOS)
        frame.paste(scaled, ((size[0] - inside[0]) // 2, (size[1] - inside[1]) // 2))
        return frame
    return None


def _worded(words: str, size: tuple[int, int], letters: int) -> Image.Image:
    image = Image.new("RGB", size, MAT)
    _centred(image, words, letters, (0, size[1]), PALE)
    return image


def _captioned(below: Image.Image, lines: list[str], letters: int) -> Image.Image:
    """A copy with the lines at its foot, each on a darkened strip."""
    image = below.copy()
    height = ceil(letters * 1.5)
    top = image.height - letters - height * len(lines)
    for number, line in enumerate(lines):
        y = top + number * height
        half = line_width(line, letters) // 2 + letters // 2
        _darken(image, (image.width // 2 - half, y, image.width // 2 + half, y + height))
        _centred(image, line, letters, (y, y + height), WHITE)
    return image


def _centred(image: Image.Image, words: str, letters: int, rows: tuple[int, int], color: tuple[int, int, int]) -> None:
    width = min(line_width(words, letters), image.width)
    left = (image.width - width) // 2
    draw_line(image, (left, rows[0], left + width, rows[1]), words, letters, color)


def _darken(image: Image.Image, box: Box) -> None:
    """Makes a place dark enough for white letters on any picture."""
    left, top, right, bottom = box
    inside = max(0, left), max(0, top), min(image.width, right), min(image.height, bottom)
    image.paste(image.crop(inside).point(lambda value: value // 4), inside)

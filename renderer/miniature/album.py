"""A folder of captioned pictures of the book, as a data set to train on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from PIL import Image

from renderer.files import write_atomically
from renderer.miniature.art.drawing import draw_picture
from renderer.miniature.book import Picture, Style
from renderer.miniature.captions.words import Language
from renderer.miniature.dataset import HELD_OUT_START, picture_of

Page = tuple[Picture, str]
"""A picture and its caption."""

FIRST_SEED = 2 * HELD_OUT_START
"""Albums take their seeds from here on: neither trained on nor held out for the evaluation."""


def squares(style: Style, seed: int = 0) -> Iterator[Picture]:
    """Square pictures in one style, without an end; another seed gives others."""
    drawn = (picture_of(number, style) for number in count(FIRST_SEED + seed * 100_000))
    return (picture for picture in drawn if picture.frame == "square")


def language_of(number: int) -> Language:
    """The language of the caption of the picture with this number, from 1: in turn."""
    return "zh" if number % 2 else "en"


def write_album(folder: Path, pages: Iterable[Page], size: int) -> None:
    """Draws 0001.webp …, `size` pixels high and lossless, and `metadata.csv` with their captions. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [("file_name", "text")]
    for number, (picture, caption) in enumerate(pages, 1):
        rows.append((f"{number:04d}.webp", caption))
        write_atomically(folder / rows[-1][0], _webp(picture, size))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_atomically(folder / "metadata.csv", table.getvalue().encode("utf-8"))


def _webp(picture: Picture, size: int) -> bytes:
    written = io.BytesIO()
    Image.fromarray(draw_picture(picture, size)).save(written, "WEBP", lossless=True, method=6)
    return written.getvalue()

"""Draws a folder of captioned pictures in one style, as a data set to train a LoRA on.

    python -m renderer.miniature.album FOLDER --style pencil --count 64 --size 256

The folder then holds 0001.png … and `metadata.csv`; the same arguments give the same files.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import get_args

from PIL import Image

from renderer.files import write_atomically
from renderer.miniature.art.drawing import draw_picture
from renderer.miniature.book import Picture, Style
from renderer.miniature.captions.words import Language
from renderer.miniature.captions.writing import write_caption
from renderer.miniature.dataset import HELD_OUT_START, picture_of

FIRST_SEED = 2 * HELD_OUT_START
"""Albums take their seeds from here on: neither trained on nor held out for the evaluation."""


def write_album(folder: Path, style: Style, pictures: int, size: int, seed: int = 0) -> None:
    """Draws square pictures, `size` pixels a side, captioned in turn in Chinese and in English. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [("file_name", "text")]
    for number, picture in enumerate(_squares(style, pictures, seed), 1):
        language: Language = "zh" if number % 2 else "en"
        caption = write_caption(picture, language, random.Random(f"{seed} {number}")).text
        rows.append((f"{number:04d}.png", caption))
        write_atomically(folder / rows[-1][0], _png(picture, size))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_atomically(folder / "metadata.csv", table.getvalue().encode("utf-8"))


def _squares(style: Style, pictures: int, seed: int) -> Iterator[Picture]:
    drawn = (picture_of(number, style) for number in count(FIRST_SEED + seed * 100_000))
    return islice((picture for picture in drawn if picture.frame == "square"), pictures)


def _png(picture: Picture, size: int) -> bytes:
    written = io.BytesIO()
    Image.fromarray(draw_picture(picture, size)).save(written, "PNG", optimize=True)
    return written.getvalue()


def main() -> None:
    """Reads the command line and draws."""
    parser = argparse.ArgumentParser(prog="python -m renderer.miniature.album", description="Draws a data set.")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--style", choices=get_args(Style), default="pencil", help="how they are drawn")
    parser.add_argument("--count", type=int, default=64, help="how many pictures")
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other pictures")
    options = parser.parse_args()
    write_album(options.folder, options.style, options.count, options.size, options.seed)


if __name__ == "__main__":
    main()

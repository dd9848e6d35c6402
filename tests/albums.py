"""Folders of pictures for tests of the trainer's data: good ones, and ten that each have something wrong."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from renderer.trainer.dataset import Dataset, prepare_dataset
from renderer.trainer.recipe import Recipe, load_recipe

ORIENTATION = 0x0112
"""EXIF's tag; 6: the camera was turned."""


def draw(seed: int, width: int = 96, height: int = 80) -> Image.Image:
    """A picture unlike those of other seeds: coloured fields, sharp and smooth ones."""
    random = np.random.default_rng(seed)
    fields = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return fields.resize((width, height), Image.Resampling.BICUBIC)


def save(folder: Path, name: str, picture: Image.Image | None = None, caption: str | None = None, **options) -> Path:
    """A picture as a file, with its caption beside it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or draw(sum(name.encode()))).save(path, **options)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return path


def album(folder: Path, count: int = 4, suffix: str = ".png") -> Path:
    """A folder of good pictures, 01 and on, with captions beside them."""
    for number in range(1, count + 1):
        save(folder, f"{number:02d}{suffix}", draw(number), f"picture {number}, 一个女孩")
    return folder


def write_table(folder: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("file_name", "text")) -> Path:
    """metadata.csv of these rows."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metadata.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def bomb() -> bytes:
    """A PNG of a few hundred kilobytes that would unpack to 100 megapixels."""
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    return buffer.getvalue()


def plant_faults(folder: Path) -> dict[str, str]:
    """Ten faults in a folder: the reason for which each is reported, by the picture's name."""
    whole = save(folder, "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    (folder / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "page.jpg").write_text("<!doctype html>", encoding="utf-8")
    (folder / "misnamed.png").write_bytes(whole)
    save(folder, "animated.gif", save_all=True, append_images=[draw(99)])
    save(folder, "print.jpg", draw(98).convert("CMYK"))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    save(folder, "turned.jpg", exif=exif)
    save(folder, "tiny.png", draw(97, 20, 20))
    faults = {
        "corrupt.png": "damaged",
        "truncated.jpg": "truncated",
        "bomb.png": "bomb",
        "page.jpg": "no_picture",
        "misnamed.png": "wrong_extension",
        "animated.gif": "animated",
        "print.jpg": "colours",
        "turned.jpg": "turned",
        "tiny.png": "too_small",
    }
    for name in faults:
        (folder / name).with_suffix(".txt").write_text("a caption", encoding="utf-8")
    save(folder, "silent.png")
    return {**faults, "silent.png": "no_caption"}


def recipe_of(folder: Path, text: str = "", data: str = "folder: pictures") -> Recipe:
    """A recipe for pictures of at least 64x64 in `pictures/`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pencil.yaml"
    path.write_text(f"name: pencil\ndata: {{{data}}}\nimage: {{size: 64}}\n{text}", encoding="utf-8")
    return load_recipe(path)


def prepare(folder: Path, text: str = "", data: str = "folder: pictures", heard: list | None = None) -> Dataset:
    """The data set of that recipe, prepared in `folder`/run/data."""
    said = [] if heard is None else heard
    return prepare_dataset(recipe_of(folder, text, data), folder / "run" / "data", lambda *told: said.append(told))


def reasons(dataset: Dataset) -> dict[str, str]:
    """Why what was found, by name."""
    return {finding.name: finding.reason for finding in dataset.findings}

"""The drawings that the judge learns from: each number one picture, and none of the book's own data sets."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import get_args

import numpy as np
import numpy.typing as npt

from renderer.miniature import book
from renderer.miniature.art.drawing import draw_picture
from renderer.miniature.book import Figure, Picture, Things, choose, sample_picture, shown_actions
from renderer.miniature.evaluation.attributes import labels

_CHUNK = 50

_UNWORN: dict[book.Kind, tuple[book.Outfit, ...]] = {
    "girl": (),
    "boy": ("dress",),
    "woman": ("uniform",),
    "man": ("dress", "uniform"),
}
"""What the book never puts on them."""

_STYLES: tuple[book.Style, ...] = ("plain", "plain", "plain", "plain", "plain", *get_args(book.Style)[1:])


@dataclass(frozen=True)
class Lesson:
    """Drawn pictures [N, size, size, 3] and their labels [N, attributes]."""

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def lesson_picture(seed: int, number: int) -> Picture:
    """A square picture in any style, the one left out too.

    Half of the lone figures are drawn by lot alone, and have things beside them more often than the book's: so nothing
    gives anything else away, and what is rare in the book is learned as well.
    """
    rng = random.Random(f"judge {seed} {number}")
    picture = replace(sample_picture(rng, choose(rng, _STYLES)), frame="square")
    if len(picture.figures) != 1 or rng.random() < 0.5:
        return picture
    mixed = replace(picture, figures=(_mixed(picture.figures[0], picture.framing, rng),))
    if picture.framing in ("close", "half") or rng.random() < 0.4:
        return mixed
    return replace(mixed, figures=(replace(mixed.figures[0], posture="standing"),), things=_any_things(rng))


def draw_lesson(seed: int, count: int, size: int, processes: int) -> Lesson:
    """The pictures of the numbers 0 … count-1; with no processes they are drawn in this one."""
    numbers = [range(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
    pixels = np.empty((count, size, size, 3), np.uint8)
    draw = partial(_draw, seed, size)
    if processes == 0:
        parts = map(draw, numbers)
        for chosen, part in zip(numbers, parts, strict=True):
            pixels[chosen.start : chosen.stop] = part
    else:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            for chosen, part in zip(numbers, pool.map(draw, numbers), strict=True):
                pixels[chosen.start : chosen.stop] = part
    return Lesson(pixels, labels([lesson_picture(seed, number) for number in range(count)]))


def _draw(seed: int, size: int, numbers: range) -> npt.NDArray[np.uint8]:
    return np.stack([draw_picture(lesson_picture(seed, number), size) for number in numbers])


def _mixed(figure: Figure, framing: book.Framing, rng: random.Random) -> Figure:
    female = figure.kind in ("girl", "woman")
    accessories, styles, outfits = (get_args(it) for it in (book.Accessory, book.HairStyle, book.Outfit))
    return replace(
        figure,
        hair_style=choose(rng, styles) if female else "short",
        outfit=choose(rng, tuple(it for it in outfits if it not in _UNWORN[figure.kind])),
        accessory=choose(rng, tuple(it for it in accessories if female or it != "bow")),
        expression=choose(rng, get_args(book.Expression)),
        action=choose(rng, shown_actions(framing)),
    )


def _any_things(rng: random.Random) -> Things:
    kind = choose(rng, get_args(book.ThingKind))
    return Things(kind, choose(rng, book.THING_COLORS[kind]), 1 if kind == "bicycle" else rng.randrange(1, 4))

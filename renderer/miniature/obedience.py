"""Which attributes of its prompt a painted picture obeys: every alternative is drawn, and the nearest one counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from renderer.miniature import book
from renderer.miniature.book import Picture
from renderer.miniature.drawing import draw_picture

_OF_FIGURE: dict[str, tuple[str, ...]] = {
    "subject": get_args(book.Subject),
    "hair_color": get_args(book.HairColor),
    "outfit_color": get_args(book.OutfitColor),
    "expression": get_args(book.Expression),
    "action": get_args(book.Action),
}
_OF_PICTURE: dict[str, tuple[str, ...]] = {
    "place": get_args(book.Place),
    "framing": get_args(book.Framing),
}

ATTRIBUTES = ("place", "time", "framing", *_OF_FIGURE)

# What captions never name hangs on the variant: these four are mirrored or not, with a red sofa or a blue one.
_VARIANTS = (0, 1, 4, 5)
_SHIFTS = (-2, 0, 2)


def obeyed_shares(pictures: Sequence[Picture], painted: Sequence[npt.NDArray[np.uint8]]) -> dict[str, float]:
    """For each attribute the share of painted pictures that show the value asked for; pictures of one figure only."""
    hits: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for picture, pixels in zip(pictures, painted, strict=True):
        for attribute in ATTRIBUTES:
            alternatives = dict(_alternatives(picture, attribute))
            if len(alternatives) > 1:
                distances = {value: _distance(pixels, drawn) for value, drawn in alternatives.items()}
                hits[attribute] += min(distances, key=distances.__getitem__) == _value(picture, attribute)
                asked[attribute] += 1
    return {attribute: round(hits[attribute] / asked[attribute], 3) for attribute in ATTRIBUTES if asked[attribute]}


def _value(picture: Picture, attribute: str) -> str:
    owner = picture.figures[0] if attribute in _OF_FIGURE else picture
    value: str = getattr(owner, attribute)
    return value


def _alternatives(picture: Picture, attribute: str) -> Iterator[tuple[str, Picture]]:
    """The same picture with every value that the attribute may have in it."""
    figure = picture.figures[0]
    if attribute == "time":
        yield from ((time, replace(picture, time=time)) for time in book.TIMES[picture.place])
    elif attribute == "place":
        for place in _OF_PICTURE["place"]:
            time = picture.time if picture.time in book.TIMES[place] else book.TIMES[place][0]  # type: ignore[index]
            yield place, _replace(picture, place=place, time=time)
    elif attribute in _OF_PICTURE:
        yield from ((value, _replace(picture, **{attribute: value})) for value in _OF_PICTURE[attribute])
    elif not (picture.framing == "close" and attribute in ("outfit_color", "action")):
        for value in _OF_FIGURE[attribute]:
            changes: dict[str, Any] = {attribute: value}
            if value == "boy":
                changes |= {"hair_length": "short", "outfit": "shirt" if figure.outfit == "dress" else figure.outfit}
            yield value, replace(picture, figures=(replace(figure, **changes),))


def _replace(picture: Picture, **changes: Any) -> Picture:  # noqa: ANN401
    return replace(picture, **changes)


def _distance(pixels: npt.NDArray[np.uint8], picture: Picture) -> float:
    """The smallest mean squared difference to the picture's variants, moved a little to the sides."""
    size = pixels.shape[0]
    inner = pixels[:, 2:-2].astype(np.float32)
    return min(
        float(np.square(inner - drawn[:, 2 + shift : size - 2 + shift]).mean())
        for drawn in (draw_picture(replace(picture, variant=variant), size).astype(np.float32) for variant in _VARIANTS)
        for shift in _SHIFTS
    )

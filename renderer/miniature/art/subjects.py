"""Where a picture's people and things are."""

from __future__ import annotations

from collections.abc import Iterator

from renderer.miniature.art.figures.figure import HEAD_RADIUS, feet
from renderer.miniature.art.layout import CANVAS, MARGIN, figure_spots, thing_spots
from renderer.miniature.art.things import thing_size
from renderer.miniature.book import Picture

Circle = tuple[float, float, float]
Box = tuple[float, float, float, float]

_CHIN, _ELBOW = 85.0, 100.0


def face_circles(picture: Picture) -> list[Circle]:
    """Each face's middle (x, y) and radius, from the left top corner, as shares of the picture's height."""
    margin = MARGIN[picture.frame]
    return [
        ((spot.x + margin) / CANVAS, (spot.y + 14 * spot.scale) / CANVAS, HEAD_RADIUS * spot.scale / CANVAS)
        for spot in figure_spots(picture)
    ]


def subject_boxes(picture: Picture) -> list[Box]:
    """Left, top, right and bottom of each body below its head and of each thing, in the same measure."""
    margin = MARGIN[picture.frame]
    boxes = [*_bodies(picture), *_things(picture)]
    return [
        ((left + margin) / CANVAS, top / CANVAS, (right + margin) / CANVAS, bottom / CANVAS)
        for left, top, right, bottom in boxes
    ]


def _bodies(picture: Picture) -> Iterator[Box]:
    for figure, spot in zip(picture.figures, figure_spots(picture), strict=True):
        reach = _ELBOW * spot.scale
        yield spot.x - reach, spot.y + _CHIN * spot.scale, spot.x + reach, spot.y + feet(figure) * spot.scale


def _things(picture: Picture) -> Iterator[Box]:
    if picture.things is None:
        return
    width, height = thing_size(picture.things.kind)
    for spot in thing_spots(picture):
        yield spot.x - width * spot.scale / 2, spot.y - height * spot.scale, spot.x + width * spot.scale / 2, spot.y

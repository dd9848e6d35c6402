"""Where figures and things stand on the canvas."""

from __future__ import annotations

import random
from dataclasses import dataclass

from renderer.miniature.art.figures.figure import crown, feet
from renderer.miniature.art.things import thing_size
from renderer.miniature.book import Figure, Frame, Framing, Picture

CANVAS = 512.0
"""The height of every canvas, and the width of a square one."""

MARGIN: dict[Frame, float] = {"square": 0.0, "landscape": CANVAS / 3}
"""How much of the place shows beyond the square, on either side."""


@dataclass(frozen=True)
class Spot:
    """Where something's origin is on the canvas, and how much larger than drawn."""

    x: float
    y: float
    scale: float
    mirrored: bool = False


_ALONE: dict[Framing, float] = {"close": 2.05, "half": 1.55, "full": 1.26, "wide": 0.78}
_PAIR: dict[Framing, float] = {"close": 1.2, "half": 1.2, "full": 1.04, "wide": 0.74}
_BESIDE: dict[Framing, float] = {"close": 1.2, "half": 1.2, "full": 1.04, "wide": 0.76}
_FLOOR: dict[Framing, float] = {"full": 498.0, "wide": 480.0}
_TOP = 10.0
_SHOULDERS = 125.0
_HIPS = 0.68
_ELBOW, _HAIR = 80.0, 118.0
_APART = 0.92
_LIFT = 44.0
"""How much higher the middle one of three balloons floats."""


def figure_spots(picture: Picture) -> list[Spot]:
    """Where each head is; all stand on one floor, equally enlarged, and none leaves the picture."""
    figures, framing = picture.figures, picture.framing
    if not figures:
        return []
    hidden = min(_hidden(figure, framing) for figure in figures)
    floor = _FLOOR.get(framing, CANVAS)
    room = [(floor - _TOP) / (feet(figure) - hidden - crown(figure)) for figure in figures]
    scale = min(_scales(picture)[framing], *room)
    return [
        Spot(x, floor - (feet(figure) - hidden) * scale, scale, mirrored)
        for figure, (x, mirrored) in zip(figures, _columns(picture), strict=True)
    ]


def thing_spots(picture: Picture) -> list[Spot]:
    """Where each thing's foot is, from left to right: beside the figure, or large in the middle where there is none."""
    assert picture.things is not None
    width, height = thing_size(picture.things.kind)
    lift = _LIFT if picture.things.kind == "balloon" else 0.0
    count = picture.things.count
    left, right = _thing_room(picture)
    # Tails and ears may touch when there is little room.
    scale = min(_largest(picture), (right - left) / width / (1 + _APART * (count - 1)), (CANVAS - 60) / (height + lift))
    step = min(1.05 * width * scale, (right - left - width * scale) / max(count - 1, 1))
    middle, floor = (left + right) / 2, _FLOOR.get(picture.framing, CANVAS)
    return [Spot(middle + (k - (count - 1) / 2) * step, floor - lift * scale * (k % 2), scale) for k in range(count)]


def _hidden(figure: Figure, framing: Framing) -> float:
    """How much of the figure's height the picture's lower edge cuts off."""
    if framing in _FLOOR:
        return 0.0
    return feet(figure) - (_SHOULDERS if framing == "close" else feet(figure) * _HIPS)


def _scales(picture: Picture) -> dict[Framing, float]:
    if len(picture.figures) == 2:
        return _PAIR
    return _BESIDE if picture.things else _ALONE


def _columns(picture: Picture) -> list[tuple[float, bool]]:
    """Each figure's x, and whether it is mirrored so that its busy hand is on the outer side."""
    shift = _variation(picture).uniform(-12, 12)
    wide = picture.frame == "landscape"
    if len(picture.figures) == 2:
        apart = 158 if wide else 126
        return [(256 - apart + shift, True), (256 + apart + shift, False)]
    if picture.things:
        away = (140 if wide else 104) * (1 if _things_left(picture) else -1)
        return [(256 + away + shift / 2, not _things_left(picture))]
    return [(256 + shift + _third(picture), False)]


def _third(picture: Picture) -> float:
    """A landscape's lone figure is often to one side, unless it sits on the seat in the middle."""
    if picture.frame == "square" or picture.figures[0].posture == "sitting":
        return 0.0
    return _variation(picture).choice((-142.0, 0.0, 142.0))


def _things_left(picture: Picture) -> bool:
    return picture.variant % 2 == 0


def _thing_room(picture: Picture) -> tuple[float, float]:
    """From where to where things may stand: beside the figure's feet, or in the middle."""
    wide = picture.frame == "landscape"
    if not picture.figures:
        return (-60.0, 572.0) if wide else (14.0, 498.0)
    (spot,) = figure_spots(picture)
    edge = 580.0 if wide else 506.0
    reach = (_HAIR if picture.things and picture.things.kind == "balloon" else _ELBOW) * spot.scale
    return (CANVAS - edge, spot.x - reach) if _things_left(picture) else (spot.x + reach, edge)


def _largest(picture: Picture) -> float:
    """How much larger than drawn a thing may be."""
    if picture.things and not picture.figures:
        return 1.7 - 0.17 * picture.things.count
    return 1.0 if picture.framing == "full" else 0.85


def _variation(picture: Picture) -> random.Random:
    return random.Random(picture.variant + 1)

"""Pictures drawn from their attributes."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from renderer.miniature.book import Framing, Picture
from renderer.miniature.figures import CROWN, FEET, HEAD_RADIUS, draw_figure
from renderer.miniature.places import draw_place
from renderer.miniature.shapes import ellipse, group, mirror

CANVAS = 512.0


@dataclass(frozen=True)
class Spot:
    """Where a head is on the canvas of 512 x 512, and how much larger than drawn."""

    x: float
    y: float
    scale: float


_SCALE: dict[Framing, float] = {"close": 2.05, "half": 1.55, "full": 1.26}
_PAIR_SCALE: dict[Framing, float] = {"close": 1.14, "half": 1.14, "full": 0.98}


def draw_svg(picture: Picture, size: int) -> str:
    """The picture as an SVG document of size x size pixels."""
    drawn = [draw_figure(figure) for figure in picture.figures]
    if len(drawn) == 2:
        # The left one of two waves with the outer hand too.
        drawn[0] = mirror(drawn[0], width=0)
    people = "".join(_stand(shapes, spot) for shapes, spot in zip(drawn, spots(picture), strict=True))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512" width="{size}" height="{size}">'
    return f"{head}{draw_place(picture)}{people}</svg>"


def draw_picture(picture: Picture, size: int) -> npt.NDArray[np.uint8]:
    """The picture as [size, size, 3] bytes."""
    import resvg_py  # only drawing needs it, and only training draws

    png = resvg_py.svg_to_bytes(svg_string=draw_svg(picture, size), skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB"))


def spots(picture: Picture) -> list[Spot]:
    """Where each figure's head is, with a little of the variant's own shift."""
    rng = random.Random(picture.variant + 1)
    shift = rng.uniform(-10, 10)
    if len(picture.figures) == 1:
        scale = _SCALE[picture.framing]
        return [Spot(256 + shift, _head_y(picture.framing, scale), scale)]
    scale = _PAIR_SCALE[picture.framing]
    return [Spot(x + shift, _head_y(picture.framing, scale), scale) for x in (130, 382)]


def face_box(spot: Spot) -> tuple[float, float, float]:
    """The face's middle and radius, as shares of the picture's width."""
    return spot.x / CANVAS, (spot.y + 20 * spot.scale) / CANVAS, HEAD_RADIUS * 0.85 * spot.scale / CANVAS


def _head_y(framing: Framing, scale: float) -> float:
    if framing == "full":
        return CANVAS - 14 - FEET * scale
    top = {"close": 24.0, "half": 80.0}[framing]
    return top - CROWN * scale


def _stand(shapes: str, spot: Spot) -> str:
    shadow = ellipse(0, 236, 80, 12, "#00000033")
    return group(shadow + shapes, f"translate({spot.x:.1f},{spot.y:.1f}) scale({spot.scale})")

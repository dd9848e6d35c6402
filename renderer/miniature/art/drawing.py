"""Pictures drawn from their attributes."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from renderer.miniature.art.figures.figure import draw_figure, feet
from renderer.miniature.art.layout import CANVAS, MARGIN, Spot, figure_spots, thing_spots
from renderer.miniature.art.places.place import draw_front, draw_place
from renderer.miniature.art.shapes import ellipse, group, mirror
from renderer.miniature.art.styles import restyle
from renderer.miniature.art.things import draw_thing, thing_size
from renderer.miniature.book import Frame, Picture, Things


def frame_size(frame: Frame, size: int) -> tuple[int, int]:
    """Width and height in pixels; both frames show about as many pixels as a square of that size."""
    return (size, size) if frame == "square" else (size * 5 // 4, size * 3 // 4)


def draw_svg(picture: Picture, size: int) -> str:
    """The picture as an SVG document."""
    width, height = frame_size(picture.frame, size)
    margin = MARGIN[picture.frame]
    box = f'viewBox="{-margin:.2f} 0 {CANVAS + 2 * margin:.2f} {CANVAS:.0f}" width="{width}" height="{height}"'
    shapes = draw_place(picture) + _figures(picture) + _things(picture) + draw_front(picture)
    return restyle(f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{shapes}</svg>', picture.style)


def draw_picture(picture: Picture, size: int) -> npt.NDArray[np.uint8]:
    """The picture as [height, width, 3] bytes."""
    import resvg_py  # only drawing needs it, and only training draws

    png = resvg_py.svg_to_bytes(svg_string=draw_svg(picture, size), skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB"))


def _figures(picture: Picture) -> str:
    drawn = ""
    for figure, spot in zip(picture.figures, figure_spots(picture), strict=True):
        shapes = draw_figure(figure)
        drawn += _place(_shadow(feet(figure), 84) + (mirror(shapes, width=0) if spot.mirrored else shapes), spot)
    return drawn


def _things(picture: Picture) -> str:
    if picture.things is None:
        return ""
    return "".join(_place(_thing(picture.things), spot) for spot in thing_spots(picture))


def _thing(things: Things) -> str:
    shapes = draw_thing(things.kind, things.color)
    width, _ = thing_size(things.kind)
    return shapes if things.kind == "balloon" else _shadow(-3, width * 0.46) + shapes


def _shadow(y: float, radius: float) -> str:
    """Two ellipses of one fading shade: soft enough, and without a gradient."""
    return ellipse(0, y, radius, radius * 0.17, "#2b1c3a2e") + ellipse(0, y, radius * 0.72, radius * 0.11, "#2b1c3a2e")


def _place(shapes: str, spot: Spot) -> str:
    return group(shapes, f"translate({spot.x:.1f},{spot.y:.1f}) scale({spot.scale:.3f})")

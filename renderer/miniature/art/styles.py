"""Drawing styles: every colour of a finished SVG document mapped to another."""

from __future__ import annotations

import colorsys
import re
from functools import cache

from renderer.miniature.art.shapes import OUTLINE
from renderer.miniature.book import Style

Color = tuple[float, float, float]

_COLOR = re.compile(r"#([0-9a-fA-F]{6})")
_LINE = re.compile(rf'stroke="{OUTLINE}" stroke-width="([\d.]+)"')

_NIGHT: tuple[Color, ...] = ((0.03, 0.04, 0.18), (0.13, 0.23, 0.56), (0.40, 0.58, 0.88), (0.86, 0.94, 1.0))
_LIGHT: Color = (1.0, 0.87, 0.45)
_BROWN: Color = (0.17, 0.11, 0.09)
_CREAM: Color = (1.0, 0.945, 0.83)


def restyle(svg: str, style: Style) -> str:
    """The same drawing in that style."""
    if style == "plain":
        return svg
    if style == "pencil":
        svg = _LINE.sub(_thin, svg)
    return _COLOR.sub(lambda found: _recolored(found[1].lower(), style), svg)


def _thin(line: re.Match[str]) -> str:
    # A limb's outline is a broad line under a narrower coloured one, so that it may lose little.
    width = float(line[1])
    return f'stroke="{OUTLINE}" stroke-width="{width - min(0.35 * width, 3.5):.1f}"'


@cache
def _recolored(digits: str, style: Style) -> str:
    mapping = {"night_blue": _night_blue, "warm_paper": _warm_paper, "pencil": _pencil}[style]
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in mapping(_channels(digits)))


def _channels(digits: str) -> Color:
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def _night_blue(color: Color) -> Color:
    """From navy to pale blue by lightness; the yellow of lamps, of lit windows, of sun and moon stays warm.

    Hair, clothes and animals are of a yellow that is not so bright or not so pale.
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*color)
    if 0.125 < hue < 0.18 and 0.3 < saturation < 0.7 and value == 1:
        return _LIGHT
    # The ramp's dark end is left to the outlines, so that they are seen in a dark place too.
    lightness = 0.0 if color == _INK else 0.1 + 0.9 * _lightness(color)
    place = lightness * (len(_NIGHT) - 1)
    step = min(int(place), len(_NIGHT) - 2)
    return _mixed(_NIGHT[step], _NIGHT[step + 1], place - step)


def _warm_paper(color: Color) -> Color:
    """A third of its colour washed out, from brown ink to cream paper."""
    red, green, blue = _mixed((_lightness(color),) * 3, color, 0.68)
    inks = zip(_BROWN, _CREAM, (red, green, blue), strict=True)
    red, green, blue = (dark + (light - dark) * amount for dark, light, amount in inks)
    return red, green, blue


def _pencil(color: Color) -> Color:
    """The outlines' ink as a pencil's grey, all else as a light wash."""
    if color == _INK:
        return 0.27, 0.27, 0.3
    grey = 0.68 + 0.31 * _lightness(color) ** 0.8
    return grey, grey, min(1.0, grey + 0.008)


def _mixed(one: Color, other: Color, share: float) -> Color:
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def _lightness(color: Color) -> float:
    """Rec. 709's weights on the encoded channels."""
    red, green, blue = color
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_INK = _channels(OUTLINE[1:])

"""What all backdrops share: their edges, and colors in the light of a time of day."""

from __future__ import annotations

from collections.abc import Sequence

from renderer.miniature.art.shapes import ellipse, path, rect
from renderer.miniature.book import Time

LEFT, WIDTH = -190.0, 892.0
"""Where backdrops begin, and how wide they are: a little more than the landscape frame."""

LIGHT = "#ffe27a"
"""Whatever shines: the moon, lamps, lit windows."""

INK = 5.0
"""The outline's width of things near by."""

_SUNLIGHT = (240, 138, 75)
_MOONLIGHT = (0.46, 0.53, 0.84)
_LAMPLIGHT = (0.66, 0.60, 0.80)


def lit(color: str, time: Time, indoors: bool = False) -> str:
    """The color as it looks at that time: warmer at sunset, darker and bluer at night, but less so indoors."""
    channels = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
    if time == "sunset":
        share = 0.28 if indoors else 0.36
        channels = [round(c + (sun - c) * share) for c, sun in zip(channels, _SUNLIGHT, strict=True)]
    if time == "night":
        light = _LAMPLIGHT if indoors else _MOONLIGHT
        channels = [round(c * share) for c, share in zip(channels, light, strict=True)]
    return "#" + "".join(f"{c:02x}" for c in channels)


def band(y: float, height: float, color: str) -> str:
    """A level band across the widest frame."""
    return rect(LEFT, y, WIDTH, height, color)


def hills(y: float, rise: float, color: str) -> str:
    """Ground from `y` to the bottom, with a softly waving edge."""
    return path(f"M-190,{y} q150,{-2 * rise} 300,{-rise / 2} t300,0 t300,0 V512 H-190 Z", color)


def cluster(circles: Sequence[tuple[float, float, float]], color: str) -> str:
    """Circles (x, y, radius) grown together, with one outline around them all."""
    rims = "".join(ellipse(x, y, r, r, color, INK * 2) for x, y, r in circles)
    return rims + "".join(ellipse(x, y, r, r, color) for x, y, r in circles)

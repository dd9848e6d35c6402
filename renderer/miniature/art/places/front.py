"""What lies before the figures: rain, snowflakes, an audience, leaves; never in the middle, where faces are."""

from __future__ import annotations

import random

from renderer.miniature.art.places.scenery import lit
from renderer.miniature.art.shapes import curve, ellipse, path, rect
from renderer.miniature.book import Picture

_FALLING = [(x, y) for y, shift in ((18, 0), (452, 40), (496, 0)) for x in range(-170 + shift, 700, 92)]
"""Where rain and snow fall before the figures: above the faces and below them."""


def rain_front(picture: Picture, rng: random.Random) -> str:
    """Streaks of rain."""
    color = "#b9c6f0" if picture.time == "night" else "#ffffff"
    return "".join(curve(f"M{x + rng.uniform(-10, 10):.0f},{y - 20} l-10,38", 5, color) for x, y in _FALLING)


def snow_front(picture: Picture, rng: random.Random) -> str:
    """Large flakes."""
    del picture
    return "".join(ellipse(x + rng.uniform(-20, 20), y, 11, 11, "#ffffff") for x, y in _FALLING[::2])


def stage_front(picture: Picture, rng: random.Random) -> str:
    """The heads of the audience at both sides, and their light sticks."""
    del picture
    colors = rng.sample(("#ff7ac0", "#6fe0ff", "#ffe27a", "#a8f08a"), 3)
    spots = (-150, -96, -40, 14, 70, 126, 386, 442, 498, 554, 610, 664)
    return "".join(_fan(x, 512 + k % 2 * 10, colors[k % 3]) for k, x in enumerate(spots))


def forest_front(picture: Picture, rng: random.Random) -> str:
    """Ferns at the edges of the square."""
    del rng
    green = lit("#3f8f4b", picture.time)
    return "".join(
        path(f"M{x},520 q{side * 10},-70 {side * 60},-92 q{side * -10},50 {side * -10},92 Z", green, 4)
        for x, side in ((-40, 1), (-8, 1), (552, -1), (520, -1))
    )


def _fan(x: float, y: float, color: str) -> str:
    stick = rect(x + 16, y - 72, 12, 58, color, 0, 6) + rect(x + 10, y - 78, 24, 62, color + "44", 0, 12)
    return stick + ellipse(x, y, 27, 30, "#1a1238") + rect(x + 12, y - 18, 20, 18, "#1a1238", 0, 8)

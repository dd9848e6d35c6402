"""The sky at each time of day, and colors in its light."""

from __future__ import annotations

import random

from renderer.miniature.art.places.scenery import LIGHT, band, hills
from renderer.miniature.art.shapes import Point, curve, ellipse, path, rect, star
from renderer.miniature.book import Time

_CLOUDS = ((-110, 72), (64, 62), (196, 46), (320, 60), (452, 62), (600, 86))


def draw_sky(time: Time, rng: random.Random, high: Point = (446, 70), low: Point = (430, 200)) -> str:
    """The whole sky, with the sun or the moon at `high`, at sunset the sun at `low`."""
    if time == "sunset":
        return _sunset(rng, low)
    return _day(rng, high) if time == "day" else _night(rng, high)


def cloud(x: float, y: float, size: float, color: str) -> str:
    """A cloud about (x, y), `size` units high."""
    puffs = ((-0.8, 0.1, 0.5), (-0.1, -0.2, 0.7), (0.7, 0.1, 0.55))
    flat = rect(x - 1.3 * size, y + 0.1 * size, 2.5 * size, 0.5 * size, color, radius=0.25 * size)
    return flat + "".join(ellipse(x + dx * size, y + dy * size, r * size, r * size, color) for dx, dy, r in puffs)


def moon(x: float, y: float, r: float) -> str:
    """A crescent moon."""
    horns = f"{x + 0.35 * r:.1f},{y - 0.94 * r:.1f}", f"{x + 0.94 * r:.1f},{y + 0.35 * r:.1f}"
    return path(f"M{horns[0]} A{r},{r} 0 1 0 {horns[1]} A{0.8 * r:.1f},{0.8 * r:.1f} 0 0 1 {horns[0]} Z", LIGHT)


def stars(rng: random.Random, size: float = 12) -> str:
    """A sky's worth of stars, each a little off its spot."""
    spots = ((-150, 70), (-80, 170), (-40, 40), (28, 160), (84, 44), (150, 110), (214, 30), (300, 70))
    more = ((372, 34), (410, 170), (488, 190), (540, 60), (600, 150), (650, 40), (20, 260), (494, 280))
    return "".join(
        star(x + rng.uniform(-12, 12), y + rng.uniform(-12, 12), size * (1 + k % 3 * 0.3), "#fff4c2")
        for k, (x, y) in enumerate(spots + more)
    )


def shooting_star(x: float, y: float, size: float) -> str:
    """A bright star at (x, y) with a tail that rises to the right."""
    tail = path(
        f"M{x},{y - 0.5 * size} L{x + 6 * size},{y - 2.6 * size} L{x},{y + 0.5 * size} Z", "#fff4c2", opacity=0.6
    )
    core = curve(f"M{x},{y} L{x + 3.6 * size},{y - 1.5 * size}", size * 0.28, "#fffbe6")
    return tail + core + star(x, y, size, LIGHT) + ellipse(x, y, size * 0.36, size * 0.36, "#fffbe6")


def _day(rng: random.Random, sun: Point) -> str:
    sky = band(0, 512, "#84cdf8") + hills(210, 20, "#b9e6fd")
    disc = ellipse(*sun, 64, 64, "#fff3b477") + ellipse(*sun, 44, 44, "#ffe45c")
    return sky + disc + _clouds(rng, sun, 40, "#ffffff")


def _sunset(rng: random.Random, sun: Point) -> str:
    sky = band(0, 512, "#c46a94") + hills(96, 14, "#ee7d6c") + hills(176, 14, "#fb9f5c") + hills(250, 10, "#ffc570")
    disc = ellipse(*sun, 94, 94, "#ffe9a077") + ellipse(*sun, 68, 68, "#fff0a0")
    return sky + disc + _clouds(rng, sun, 34, "#ffc9a6")


def _night(rng: random.Random, sun: Point) -> str:
    sky = band(0, 512, "#161d54") + hills(210, 20, "#242f78") + stars(rng)
    return sky + ellipse(*sun, 70, 70, "#1f2a72") + moon(*sun, 48)


def _clouds(rng: random.Random, sun: Point, size: float, color: str) -> str:
    """Clouds that leave the sun free."""
    spots = [(x, y) for x, y in _CLOUDS if abs(x - sun[0]) > 110]
    return "".join(cloud(x + rng.uniform(-24, 24), y + rng.uniform(-12, 12), size, color) for x, y in spots)

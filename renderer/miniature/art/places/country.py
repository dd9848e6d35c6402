"""The places far from town: forest, seaside, snow, starry sky."""

from __future__ import annotations

import random

from renderer.miniature.art.places.outdoors import fir, mushroom
from renderer.miniature.art.places.scenery import INK, LIGHT, band, cluster, hills, lit
from renderer.miniature.art.places.sky import moon, shooting_star, stars
from renderer.miniature.art.shapes import OUTLINE, curve, ellipse, path, rect
from renderer.miniature.book import Picture, Time


def forest(picture: Picture, rng: random.Random) -> str:
    """Tall trunks under a dense canopy, light between them, and mushrooms."""
    time = picture.time
    air = band(0, 512, "#d9efa0" if time == "day" else "#23406e") + ellipse(
        256, 230, 330, 260, "#f4f9c8" if time == "day" else "#2f5a86"
    )
    far = "".join(
        rect(x + rng.uniform(-8, 8), 0, 30, 420, lit("#9cbf7a", time))
        for x in (-150, -60, 120, 190, 300, 360, 560, 650)
    )
    shafts = (
        "".join(path(f"M{x},0 h54 l-110,430 h-84 Z", "#fffbd0", opacity=0.5) for x in (190, 340, 620))
        if time == "day"
        else moon(132, 158, 40)
    )
    trunks = "".join(_trunk(x, w, time) for x, w in ((-110, 60), (36, 74), (476, 74), (620, 60)))
    ground = hills(400, 8, lit("#6aa84f", time)) + hills(462, 6, lit("#548f42", time))
    canopy = "".join(cluster(_leaves(y, rng), lit(leaf, time)) for y, leaf in ((40, "#3f8f4b"), (-6, "#2f7540")))
    spots = ((104, 456, 34), (58, 490, 24), (420, 474, 30), (-70, 480, 34), (580, 480, 34))
    return (
        air
        + far
        + shafts
        + ground
        + trunks
        + canopy
        + "".join(mushroom(x, y, s, time) for x, y, s in spots)
        + _fireflies(time)
    )


def snow(picture: Picture, rng: random.Random) -> str:
    """A white slope with a snow-laden fir and a snowman."""
    night = picture.time == "night"
    sky = band(0, 512, "#27336e") + moon(392, 70, 42) if night else band(0, 512, "#bcd9ee")
    white, shade, leaf = ("#dbe4f8", "#b3c2e8", "#2f6a66") if night else ("#ffffff", "#dcebf7", "#3f9470")
    land = hills(280, 40, shade) + hills(378, 16, white)
    firs = "".join(
        fir(x, y, size, leaf, white)
        for x, y, size in ((180, 326, 110), (262, 334, 140), (-120, 400, 300), (70, 430, 370), (640, 420, 330))
    )
    scarf = rng.choice(("#dc4a45", "#3f8fd0"))
    return sky + land + firs + _snowman(450, 350, scarf, white) + _flakes(rng)


def starry_sky(picture: Picture, rng: random.Random) -> str:
    """A hill under the Milky Way, and a shooting star."""
    del picture
    sky = band(0, 512, "#10154a") + path("M-190,430 Q240,330 702,-90 V170 Q300,440 -190,640 Z", "#2a2a7c")
    core = path("M-190,480 Q260,360 702,-10 V90 Q300,400 -190,560 Z", "#5148a8", opacity=0.8)
    dust = "".join(ellipse(rng.uniform(-180, 690), rng.uniform(10, 380), 4, 4, "#fff4c2") for _ in range(26))
    land = hills(418, 24, "#1d4a5c") + hills(466, 10, "#123547")
    pines = "".join(
        fir(x, y, size, "#1b4054")
        for x, y, size in ((-120, 450, 150), (24, 446, 190), (84, 444, 120), (492, 446, 160), (600, 450, 190))
    )
    return sky + core + dust + stars(rng, 15) + shooting_star(56, 132 + rng.uniform(-10, 20), 40) + pines + land


def _trunk(x: float, w: float, time: Time) -> str:
    left = f"M{x - w / 2},-10 Q{x - w * 0.36},250 {x - w * 0.8},450"
    right = f"Q{x},430 {x + w * 0.8},450 Q{x + w * 0.36},250 {x + w / 2},-10 Z"
    hole = ellipse(x - 4, 250, w * 0.17, w * 0.24, lit("#5f3b26", time))
    grain = curve(f"M{x + w * 0.2},300 v70 M{x - w * 0.2},120 v60", 5, lit("#6f4730", time))
    return path(f"{left} {right}", lit("#8a5a3a", time), INK) + hole + grain


def _leaves(y: float, rng: random.Random) -> list[tuple[float, float, float]]:
    return [(x, y + 26 * (abs(x - 256) / 446) + rng.uniform(-8, 8), 62) for x in range(-180, 720, 80)]


def _fireflies(time: Time) -> str:
    if time == "day":
        return ""
    spots = ((20, 300), (110, 220), (140, 380), (400, 250), (440, 370), (500, 200), (-80, 260), (570, 300), (650, 210))
    return "".join(ellipse(x, y, 20, 20, "#ffe27a55") + ellipse(x, y, 8, 8, LIGHT) for x, y in spots)


def _snowman(x: float, y: float, scarf: str, white: str) -> str:
    body = ellipse(x, y + 62, 66, 64, white, INK) + ellipse(x, y - 32, 46, 46, white, INK)
    eyes = ellipse(x - 16, y - 40, 6, 7, OUTLINE) + ellipse(x + 16, y - 40, 6, 7, OUTLINE)
    nose = path(f"M{x - 2},{y - 34} l-30,10 l30,6 Z", "#f28a3a", 3)
    hat = rect(x - 30, y - 118, 60, 50, "#4b4a6c", INK, 6) + rect(x - 46, y - 76, 92, 15, "#4b4a6c", INK, 7)
    buttons = "".join(ellipse(x, y + dy, 6, 6, OUTLINE) for dy in (44, 70))
    arms = curve(f"M{x - 58},{y + 36} l-34,-30 M{x + 58},{y + 36} l34,-30", 7, "#7a5238")
    return (
        arms
        + body
        + eyes
        + nose
        + hat
        + buttons
        + rect(x - 44, y, 88, 20, scarf, 4, 9)
        + rect(x + 16, y + 10, 22, 48, scarf, 4, 6)
    )


def _flakes(rng: random.Random) -> str:
    spots = [(x, y) for row, y in enumerate(range(30, 360, 76)) for x in range(-170 + row % 2 * 60, 700, 120)]
    return "".join(ellipse(x + rng.uniform(-22, 22), y + rng.uniform(-18, 18), 9, 9, "#ffffff") for x, y in spots)

"""The places out of doors in town: street, park, rain."""

from __future__ import annotations

import random

from renderer.miniature.art.places.outdoors import bush, flower, house, street_lamp, tree
from renderer.miniature.art.places.scenery import INK, LIGHT, band, hills, lit
from renderer.miniature.art.places.seats import park_bench
from renderer.miniature.art.places.sky import cloud, draw_sky
from renderer.miniature.art.shapes import curve, ellipse, path, rect
from renderer.miniature.book import Picture, Time

_WALLS = ("#f6d9a8", "#e9b5a0", "#cfdcc4", "#c9c4e6", "#f3c6c6")
_ROOFS = ("#c9524a", "#3f7f86", "#a8663c", "#5f6aa8")


def street(picture: Picture, rng: random.Random) -> str:
    """Houses and a shop along a road, a street lamp."""
    time = picture.time
    walls, roofs = rng.sample(_WALLS, 5), rng.sample(_ROOFS, 4)
    spots = ((-196, 96, 128), (-60, 40, 110), (58, 62, 104), (540, 76, 140))
    houses = "".join(house(x, y, w, 410, (walls[k], roofs[k]), time) for k, (x, y, w) in enumerate(spots))
    far = "".join(
        rect(x, y, 66, 400 - y, lit("#a9b6d6", time)) for x, y in ((160, 250), (222, 210), (286, 264), (330, 230))
    )
    ground = (
        band(404, 36, lit("#d6cfc8", time)) + band(436, 76, lit("#7f7f90", time)) + band(434, 6, lit("#5d5d70", time))
    )
    marks = "".join(rect(x, 472, 78, 14, lit("#ffffff", time)) for x in range(-170, 700, 140))
    return (
        draw_sky(time, rng, (446, 70), (440, 132))
        + far
        + houses
        + _shop(walls[4], rng, time)
        + ground
        + marks
        + street_lamp(38, 446, time)
    )


def park(picture: Picture, rng: random.Random) -> str:
    """A lawn with trees, a fountain and a bench beside a path."""
    time = picture.time
    lawn = hills(300, 20, lit("#9bdc78", time)) + hills(372, 8, lit("#7ccb62", time))
    far = "".join(tree(x, 318, 44, "#6fc07a", time) for x in (-130, 190, 250, 312, 560))
    leaf = rng.choice(("#4fae55", "#5fb24a"))
    near = "".join(tree(x, 424, size, leaf, time) for x, size in ((-150, 116), (-14, 128), (588, 104), (690, 124)))
    way = path("M-190,452 Q256,414 702,452 V512 H-190 Z", lit("#f0dcae", time))
    petals = rng.choice((("#ffffff", "#f6a8c4"), ("#ffe27a", "#c9a2f0")))
    flowers = "".join(
        flower(x, 424, lit(petals[k % 2], time, True)) for k, x in enumerate((-110, -40, 22, 490, 560, 620))
    )
    return (
        draw_sky(time, rng, (390, 62), (410, 150))
        + far
        + lawn
        + _fountain(432, time)
        + near
        + way
        + flowers
        + street_lamp(104, 440, time)
        + park_bench(time)
    )


def rain(picture: Picture, rng: random.Random) -> str:
    """A wet path between hydrangeas under grey clouds; the rain in front of the figures is drawn elsewhere."""
    night = picture.time == "night"
    sky, puff, low = ("#2c3660", "#56628f", "#424d7a") if night else ("#b4c2d0", "#77869b", "#95a4b5")
    clouds = "".join(
        ellipse(x, y, 96, 52, color) for color, y in ((low, 92), (puff, 34)) for x in range(-170 + y, 720, 118)
    )
    clouds += "".join(cloud(x, 78 + rng.uniform(-10, 10), 66, puff) for x in (-110, 74, 430, 610))
    lawn = hills(330, 12, lit("#6fa283", picture.time))
    way = path("M-190,430 Q256,396 702,430 V512 H-190 Z", lit("#8f98a8", picture.time))
    blossoms = rng.sample(("#7a86e6", "#b07ae0", "#e58bc0"), 2)
    bushes = "".join(
        bush(x, 424, 92, "#3f8f5f", blossoms[k % 2], picture.time) for k, x in enumerate((-130, 38, 476, 640))
    )
    puddles = "".join(
        _puddle(x, y, w, night)
        for x, y, w in ((96, 470, 92), (420, 484, 84), (256, 446, 60), (-90, 480, 80), (600, 470, 84))
    )
    return band(0, 512, sky) + lawn + clouds + _streaks(night) + way + bushes + puddles


def _shop(wall: str, rng: random.Random, time: Time) -> str:
    color = rng.choice(("#e5585c", "#3f9f8f"))
    front = rect(364, 150, 150, 260, lit(wall, time), INK) + rect(352, 138, 174, 22, lit("#8a5a34", time), INK, 4)
    upper = "".join(rect(x, 182, 40, 48, LIGHT if time == "night" else "#d8f1ff", 4, 3) for x in (388, 450))
    goods = rect(378, 306, 122, 74, LIGHT if time != "day" else "#fff0c4", INK) + "".join(
        ellipse(x, 362, 14, 16, c) for x, c in ((402, "#e07fa4"), (438, "#6fa5f2"), (474, "#7fb256"))
    )
    stripes = "".join(
        path(
            f"M{366 + 29.2 * k},252 h29.2 l{4 - k * -1.2:.1f},44 q-15,18 -30,0 Z",
            lit(color if k % 2 == 0 else "#ffffff", time, True),
            4,
        )
        for k in range(5)
    )
    return front + upper + goods + stripes


def _fountain(x: float, time: Time) -> str:
    water, stone = lit("#6fcaf5", time, True), lit("#dcd6e2", time)
    arcs = f"M{x},236 V176 M{x},200 q-20,-44 -50,-4 t-14,52 M{x},200 q20,-44 50,-4 t14,52"
    jets = curve(arcs, 20) + curve(arcs, 11, lit("#dff4ff", time, True))
    bowl = path(f"M{x - 56},250 H{x + 56} Q{x + 40},286 {x},286 T{x - 56},250 Z", stone, INK) + rect(
        x - 12, 284, 24, 50, stone, 4
    )
    basin = ellipse(x, 340, 104, 30, stone, INK) + ellipse(x, 334, 84, 18, water, 4)
    return basin + jets + bowl


def _puddle(x: float, y: float, w: float, night: bool) -> str:
    water, ring = ("#5b6ea8", "#a9b9e6") if night else ("#c3dcec", "#ffffff")
    edge = f'fill="none" stroke="{ring}" stroke-width="4"'
    rings = "".join(f'<ellipse cx="{x}" cy="{y}" rx="{w * s:.0f}" ry="{w * s * 0.2:.0f}" {edge}/>' for s in (0.3, 0.62))
    return ellipse(x, y, w, w * 0.22, water) + rings


def _streaks(night: bool) -> str:
    color = "#8fa0d0" if night else "#e9f2f8"
    return "".join(
        curve(f"M{x},{y} l-12,44", 5, color)
        for row, y in enumerate(range(120, 400, 64))
        for x in range(-180 + row % 2 * 34, 720, 68)
    )

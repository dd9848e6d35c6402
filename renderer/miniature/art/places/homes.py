"""The rooms of a home: living room, bedroom, kitchen."""

from __future__ import annotations

import random

from renderer.miniature.art.places.indoors import (
    curtains,
    floor_lamp,
    picture_frame,
    plant,
    room,
    steam,
    table_lamp,
    tiles,
    window,
)
from renderer.miniature.art.places.scenery import INK, LEFT, WIDTH, lit
from renderer.miniature.art.places.seats import bed, sofa
from renderer.miniature.art.shapes import curve, ellipse, path, rect
from renderer.miniature.book import Picture


def living_room(picture: Picture, rng: random.Random) -> str:
    """A sofa between a window and a floor lamp."""
    wall = rng.choice(("#fdeac6", "#e6f1dc", "#fde2d4"))
    cloth = rng.choice(("#f2a65a", "#8fb8a8", "#c79ad0"))
    view = window(44, 36, 112, 140, picture.time) + curtains(44, 36, 112, 140, lit(cloth, picture.time, indoors=True))
    art = picture_frame(222 + rng.uniform(-10, 10), 30, 130, 96) + picture_frame(560, 70, 100, 130)
    rug = ellipse(256, 486, 250, 44, lit("#f3d3a0", picture.time, indoors=True), INK)
    greens = plant(-96, 470, "#d9825b") + plant(606, 470, "#7d9cc9")
    lamp = floor_lamp(452, picture.time)
    return room(wall, "#c58f5e", picture.time) + view + art + lamp + greens + rug + sofa(picture.sofa)


def bedroom(picture: Picture, rng: random.Random) -> str:
    """A bed under a string of pennants, a window, and a bedside lamp."""
    wall = rng.choice(("#fad7e4", "#e3dbf7", "#d6e9f8"))
    blanket = rng.choice((("#4f93e6", "#bcdcfb"), ("#f08a4b", "#fde0b0"), ("#9a6fd0", "#e2cdf7")))
    view = window(52, 46, 110, 130, picture.time) + curtains(
        52, 46, 110, 130, lit("#fff0f3", picture.time, indoors=True)
    )
    nightstand = rect(428, 300, 92, 170, lit("#c98d54", picture.time, indoors=True), INK, 6)
    drawer = rect(440, 318, 68, 44, lit("#dba76c", picture.time, indoors=True), 4, 4)
    beside = nightstand + drawer + table_lamp(470, 302, picture.time)
    wardrobe = rect(550, 90, 150, 380, lit("#d9a66e", picture.time, indoors=True), INK, 8) + rect(
        622, 94, 6, 370, "#8a5a34"
    )
    chest = picture_frame(-150, 90, 110, 120) + rect(
        -180, 330, 150, 140, lit("#d9a66e", picture.time, indoors=True), INK, 8
    )
    rug = ellipse(256, 494, 200, 26, lit("#fff3d6", picture.time, indoors=True), INK)
    things = view + _pennants() + wardrobe + chest + beside
    return room(wall, "#cda274", picture.time) + things + rug + bed(blanket, picture.time)


def kitchen(picture: Picture, rng: random.Random) -> str:
    """A counter with a stove, a pot under the hood, and jars on a shelf."""
    wall = rng.choice(("#fff1cf", "#dcf0ec", "#fbe3cd"))
    doors = rng.choice(("#6fb3a8", "#f0b35a", "#84a9d8"))
    wall_tiles = tuple(lit(color, picture.time, indoors=True) for color in ("#ffffff", "#cfe6ea"))
    back = tiles(218, 3, 40, (wall_tiles[0], wall_tiles[1]))
    cupboards = "".join(
        _cupboard(x, lit(doors, picture.time, indoors=True)) for x in (-190, -64, 62, 188, 314, 502, 628)
    )
    top = rect(LEFT, 326, WIDTH, 24, "#fff6e4", INK, 4)
    view = window(34, 30, 110, 116, picture.time)
    shelves = _shelf(20, 262, rng) + _shelf(-150, 180, rng) + _shelf(560, 180, rng)
    return (
        room(wall, "#d9b48a", picture.time, 452)
        + back
        + view
        + shelves
        + cupboards
        + top
        + _fruit(84)
        + _stove(picture)
        + _hood()
    )


def _pennants() -> str:
    colors = ("#f2777a", "#f9cc55", "#6fbf8b", "#6fa5f2", "#b98ae0")
    string = curve("M196,26 Q350,120 540,20", 4)
    spots = ((232, 44), (286, 64), (344, 71), (402, 64), (456, 48), (500, 33))
    flags = "".join(
        path(f"M{x - 19},{y - 2} H{x + 19} L{x},{y + 40} Z", colors[k % 5], 4) for k, (x, y) in enumerate(spots)
    )
    return string + flags


def _cupboard(x: float, color: str) -> str:
    return (
        rect(x, 346, 126, 120, color, INK, 4)
        + rect(x + 14, 360, 98, 92, "#ffffff44", 0, 6)
        + ellipse(x + 100, 380, 8, 8, "#fff6e4", 3)
    )


def _shelf(x: float, y: float, rng: random.Random) -> str:
    """A shelf with three jars."""
    foods = rng.sample(("#d9534f", "#f0b03f", "#7fb256", "#a8683c", "#e58bb0"), 3)
    jars = "".join(
        rect(x + 6 + 40 * k, y - 54, 34, 54, food, 4, 8) + rect(x + 4 + 40 * k, y - 66, 38, 16, "#fff6e4", 4, 4)
        for k, food in enumerate(foods)
    )
    return jars + rect(x - 8, y, 140, 14, "#a86f3f", 4, 4)


def _fruit(x: float) -> str:
    """A bowl of fruit on the counter."""
    fruit = "".join(
        ellipse(x + dx, y, 20, 20, c, 4)
        for dx, y, c in ((-24, 298, "#e5484a"), (24, 298, "#8cc152"), (0, 288, "#f5a83c"))
    )
    return fruit + path(f"M{x - 54},300 H{x + 54} Q{x + 40},330 {x},330 T{x - 54},300 Z", "#6fa5f2", INK)


def _stove(picture: Picture) -> str:
    body = rect(376, 316, 128, 152, "#f4f1f5", INK, 8) + rect(392, 376, 96, 72, "#4b4a5c", INK, 8)
    window_ = rect(404, 390, 72, 42, "#ffb04a" if picture.time == "night" else "#8a7f92", 0, 6)
    knobs = "".join(ellipse(x, 350, 9, 9, "#d9534f", 4) for x in (400, 440, 480))
    pot = (
        rect(398, 246, 86, 70, "#e0524e", INK, 12)
        + rect(390, 236, 102, 18, "#c23d40", INK, 8)
        + ellipse(441, 228, 11, 9, "#3b2b3f")
    )
    handles = curve("M392,270 h-16 v16 h16 M490,270 h16 v16 h-16", 7)
    return body + window_ + knobs + handles + pot + steam(441, 206)


def _hood() -> str:
    return (
        rect(408, -10, 66, 70, "#b9bcc9", INK)
        + path("M404,52 H478 L512,118 H370 Z", "#d5d8e2", INK)
        + rect(366, 112, 150, 20, "#9a9eb0", INK, 4)
    )

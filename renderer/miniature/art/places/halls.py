"""The rooms where people read, learn and travel: classroom, library, train."""

from __future__ import annotations

import random

from renderer.miniature.art.places.indoors import book_row, room, window
from renderer.miniature.art.places.scenery import INK, LIGHT, band, lit
from renderer.miniature.art.places.seats import love_seat, train_bench
from renderer.miniature.art.places.sky import cloud, moon
from renderer.miniature.art.shapes import curve, ellipse, path, rect, star
from renderer.miniature.book import Picture, Time


def classroom(picture: Picture, rng: random.Random) -> str:
    """A green blackboard beside a window, and desks."""
    wall = rng.choice(("#f8efd2", "#e9f0e2"))
    view = window(-6, 40, 96, 210, picture.time) + window(-166, 40, 96, 210, picture.time)
    desks = "".join(_desk(x, picture.time) for x in (-176, -10, 392, 558))
    beams = ""
    if picture.time == "sunset":
        beams = "".join(path(f"M{x},300 h110 l150,212 h-130 Z", "#ffe9a0", opacity=0.6) for x in (-150, 10))
    return room(wall, "#d3a674", picture.time) + view + _blackboard(rng) + _clock(622) + beams + desks


def library(picture: Picture, rng: random.Random) -> str:
    """A wall full of books, a ladder, and a love seat."""
    cloth = rng.choice((("#c98a3a", "#e0aa5c", "#9c6827"), ("#8a5a86", "#ab7ca8", "#684066")))
    shelves = band(0, 440, "#7d4f2e") + "".join(
        book_row(left + 14, left + 164, y, 88, rng) for left in range(-190, 702, 178) for y in (92, 198, 304, 410)
    )
    boards = "".join(band(y, 14, "#a86f3f") for y in (-6, 92, 198, 304, 410))
    posts = "".join(rect(x - 10, -8, 22, 440, "#a86f3f", 4) for x in range(-190, 760, 178))
    floor = room("#7d4f2e", "#c08a5a", picture.time)
    rug = ellipse(256, 488, 250, 36, "#b9504a", INK) + ellipse(256, 488, 210, 24, "#e6b06a")
    return floor + shelves + boards + posts + _ladder(rng.choice((0, 14))) + rug + love_seat(cloth)


def train(picture: Picture, rng: random.Random) -> str:
    """Inside a carriage: wide windows, straps, a pole, and a long bench."""
    cloth = rng.choice(
        (("#2f8f86", "#4fb3a6", "#1f6b66"), ("#b03a5b", "#d0637f", "#832743"), ("#5a62b8", "#7f88d6", "#40488f"))
    )
    side = lit("#f4ead6", picture.time, indoors=True)
    wall = band(0, 512, side) + band(440, 72, lit("#a89f9a", picture.time, indoors=True))
    windows = "".join(_carriage_window(x, picture.time, rng) for x in (-196, 22, 266, 510))
    ceiling = band(0, 34, lit("#ffffff", picture.time, indoors=True)) + band(34, 8, "#8f96a8")
    straps = "".join(_strap(x) for x in (-140, -60, 56, 132, 256, 380, 456, 572, 650))
    poles = "".join(rect(x, 30, 13, 450, "#dfe5ee", 4, 5) for x in (-2, 497))
    return wall + windows + ceiling + train_bench(cloth) + poles + straps


def _blackboard(rng: random.Random) -> str:
    edge = rect(126, 34, 430, 222, "#a8703c", INK, 6) + rect(142, 50, 398, 190, "#2f7d5b")
    sums = curve("M396,84 h26 M409,71 v26 M442,72 v26 M478,78 h26 M478,92 h26", 8, "#eaf7ef")
    drawing = curve("M420,206 q34,-70 70,0 Z M455,206 v-26", 8, rng.choice(("#ffd3dc", "#fff2a8")))
    words = curve("M168,80 h70 M168,112 h44", 8, "#eaf7ef")
    return edge + sums + drawing + words + rect(150, 248, 382, 14, "#c9925a", 4, 4)


def _clock(x: float) -> str:
    return ellipse(x, 100, 40, 40, "#ffffff", INK) + curve(f"M{x},{76} v24 h18", 6)


def _desk(x: float, time: Time) -> str:
    wood, iron = lit("#e0a45c", time, indoors=True), lit("#7d8797", time, indoors=True)
    legs = "".join(rect(x + dx, 400, 12, 106, iron, 4) for dx in (12, 106))
    chair = rect(x + 26, 306, 78, 46, lit("#c98245", time, indoors=True), INK, 8) + rect(x + 58, 350, 14, 30, iron, 4)
    book = path(f"M{x + 34},372 l10,-20 h56 l-8,20 Z", "#6fa5f2", 4)
    return (
        chair
        + legs
        + rect(x + 8, 384, 114, 34, lit("#b97c3c", time, indoors=True), INK)
        + book
        + rect(x, 370, 130, 20, wood, INK, 5)
    )


def _ladder(shift: float) -> str:
    rails = curve(f"M{396 + shift},456 L{424 + shift},10 M{486 + shift},456 L{478 + shift},10", 18)
    rails += curve(f"M{396 + shift},456 L{424 + shift},10 M{486 + shift},456 L{478 + shift},10", 9, "#f0c584")
    rungs = "".join(
        f"M{424 + shift - (y - 30) * 0.06},{y} H{479 + shift + (y - 30) * 0.02}" for y in range(50, 440, 64)
    )
    return curve(rungs, 17) + curve(rungs, 8, "#f0c584") + rails


def _strap(x: float) -> str:
    ring = f'<circle cx="{x}" cy="118" r="19" fill="none" stroke="#3b2b3f" stroke-width="15"/>'
    ring += f'<circle cx="{x}" cy="118" r="19" fill="none" stroke="#ffffff" stroke-width="8"/>'
    return rect(x - 6, 30, 12, 70, "#d9a34a", 3) + ring


def _carriage_window(x: float, time: Time, rng: random.Random) -> str:
    """A wide window with the land that passes."""
    frame = rect(x - 10, 66, 244, 210, "#aab3c4", INK, 18)
    sky = {"day": "#9bd8fb", "sunset": "#f7936a", "night": "#182058"}[time]
    field = path(f"M{x},216 q60,-46 112,-18 t112,-8 V266 H{x} Z", lit("#86cf6d", time))
    # The sun and the moon show in one window alone, the houses in the others.
    house = "" if x == 22 else _village(x, time, rng)
    near = rect(x, 232, 224, 34, lit("#b9dc74", time))
    return frame + rect(x, 76, 224, 190, sky) + _passing_sky(x, time) + field + near + house


def _passing_sky(x: float, time: Time) -> str:
    if time == "day":
        return cloud(x + 70, 130, 30, "#ffffff") + cloud(x + 172, 108, 22, "#ffffff")
    if time == "sunset":
        sun = ellipse(x + 64, 180, 52, 52, "#fff0a0") if x == 22 else ""
        return rect(x, 150, 224, 70, "#ffbf6b") + sun
    light = moon(x + 72, 156, 38) if x == 22 else star(x + 80, 150, 15, "#fff4c2")
    return light + star(x + 24, 112, 11, "#fff4c2") + star(x + 194, 128, 14, "#fff4c2")


def _village(x: float, time: Time, rng: random.Random) -> str:
    place = x + rng.uniform(116, 150)
    wall = rect(place, 196, 46, 42, lit("#fff0dc", time), 3) + path(
        f"M{place - 8},198 l31,-30 l31,30 Z", lit("#dc6a50", time), 3
    )
    return wall + rect(place + 14, 208, 18, 18, LIGHT if time != "day" else "#9bc8e6")

"""The backdrops: one or two unmistakable landmarks each, on a canvas of 512 x 512."""

from __future__ import annotations

import random
from collections.abc import Callable

from renderer.miniature.book import Picture, Place, SofaColor, Time, sofa_color
from renderer.miniature.shapes import OUTLINE, curve, ellipse, mirror, path, rect, star

_SKY: dict[Time, str] = {"day": "#8fd0f8", "sunset": "#f7976b", "night": "#1b2358"}
_SOFA: dict[SofaColor, tuple[str, str]] = {"red": ("#d8453f", "#b33430"), "blue": ("#4b86e0", "#356bbd")}
_INK = 6.0


def draw_place(picture: Picture) -> str:
    """The backdrop as SVG shapes; half of the variants are mirrored."""
    rng = random.Random(picture.variant)
    flip = rng.random() < 0.5
    shapes = _BACKDROPS[picture.place](picture, rng)
    return mirror(shapes) if flip else shapes


def _sky(time: Time, rng: random.Random) -> str:
    sky = rect(0, 0, 512, 512, _SKY[time])
    if time == "day":
        return sky + "".join(_cloud(x, rng.uniform(50, 90)) for x in (300, 80)) + ellipse(440, 70, 42, 42, "#ffe65c")
    if time == "sunset":
        return sky + rect(0, 0, 512, 110, "#d9677c") + ellipse(430, 170, 56, 56, "#fff0a0")
    return sky + _moon(430, 80) + "".join(star(x, y, 14, "#fff3b0") for x, y in _stars(rng))


def _stars(rng: random.Random) -> list[tuple[float, float]]:
    spots = ((40, 50), (130, 100), (220, 40), (310, 90), (70, 190), (480, 190), (30, 290), (490, 300))
    return [(x + rng.uniform(-14, 14), y + rng.uniform(-14, 14)) for x, y in spots]


def _cloud(x: float, y: float) -> str:
    return ellipse(x, y, 56, 24, "#ffffff") + ellipse(x + 10, y - 18, 34, 24, "#ffffff")


def _moon(x: float, y: float) -> str:
    return ellipse(x, y, 42, 42, "#fff0a0")


def _window(x: float, y: float, time: Time) -> str:
    glass = {"day": "#a9defc", "sunset": "#ffb37a", "night": "#1b2358"}[time]
    pane = rect(x, y, 130, 130, "#ffffff", _INK, 6) + rect(x + 14, y + 14, 102, 102, glass)
    light = ellipse(x + 84, y + 46, 20, 20, "#fff0a0") if time == "night" else _cloud(x + 64, y + 80)
    return pane + light + rect(x + 59, y + 6, 12, 118, "#ffffff")


def _living_room(picture: Picture, rng: random.Random) -> str:
    wall = {"day": "#fbe6c4", "sunset": "#fbe6c4", "night": "#8d7fa8"}[picture.time]
    del rng
    cushion, seat = _SOFA[sofa_color(picture)]
    room = rect(0, 0, 512, 512, wall) + rect(0, 430, 512, 82, "#b98457") + _window(24, 30, picture.time)
    lamp = rect(454, 90, 10, 230, "#6b5a52") + path("M412,120 L432,40 L486,40 L506,120 Z", "#ffd95a", _INK)
    sofa = rect(56, 230, 400, 200, cushion, _INK, 40) + rect(70, 350, 372, 90, seat, _INK, 20)
    arms = rect(14, 290, 84, 170, cushion, _INK, 36) + rect(414, 290, 84, 170, cushion, _INK, 36)
    return room + lamp + sofa + arms


def _park(picture: Picture, rng: random.Random) -> str:
    grass = {"day": "#86d36b", "sunset": "#b9b052", "night": "#2c5f4c"}[picture.time]
    leaf = {"day": "#3f9e4d", "sunset": "#6c8a3a", "night": "#1d4a3a"}[picture.time]
    ground = path("M0,330 Q256,280 512,330 V512 H0 Z", grass) + path(
        "M190,512 Q240,400 236,308 H276 Q300,400 340,512 Z", "#ecd9a8"
    )
    return _sky(picture.time, rng) + ground + _tree(70, 330, leaf) + _tree(452, 350, leaf)


def _tree(x: float, y: float, leaf: str) -> str:
    return rect(x - 18, y - 40, 36, 110, "#7a5238", _INK) + ellipse(x, y - 110, 88, 96, leaf, _INK)


def _seaside(picture: Picture, rng: random.Random) -> str:
    water = {"day": "#2f8fe0", "sunset": "#8a5f9e", "night": "#2b4fa0"}[picture.time]
    sand = {"day": "#f8e0a0", "sunset": "#e8b878", "night": "#8f8a86"}[picture.time]
    waves = "".join(
        curve(f"M{x},{y} q24,-16 48,0 t48,0", 8, "#ffffff") for x, y in ((20, 300), (380, 290), (60, 356), (350, 350))
    )
    boat = path("M60,250 L60,150 L128,236 Z", "#ffffff", _INK) + path("M24,250 H140 L120,282 H44 Z", "#d8453f", _INK)
    beach = path("M0,400 Q256,380 512,404 V512 H0 Z", sand)
    return _sky(picture.time, rng) + rect(0, 250, 512, 160, water) + boat + waves + beach


def _starry_sky(picture: Picture, rng: random.Random) -> str:
    del picture
    sky = rect(0, 0, 512, 512, "#141a4e") + path("M0,430 Q140,360 300,420 T512,400 V512 H0 Z", "#0d1233")
    stars = "".join(star(x, y, 20, "#fff3b0") for x, y in _stars(rng))
    tail = path("M96,104 L330,6 L350,34 L120,132 Z", "#fff7c8", opacity=0.75)
    return sky + stars + tail + star(100, 124, 50, "#ffe65c")


def _classroom(picture: Picture, rng: random.Random) -> str:
    del picture, rng
    wall = rect(0, 0, 512, 512, "#f5ecd0") + rect(0, 430, 512, 82, "#cfa472")
    board = rect(24, 34, 464, 210, "#3d7f5c") + _frame(24, 34, 464, 210)
    chalk = "".join(
        curve(f"M{x},{y} h{w}", 9, "#e9f5ee")
        for x, y, w in ((54, 80, 80), (54, 120, 60), (380, 80, 80), (400, 120, 60))
    )
    return wall + board + chalk + _desk(0) + _desk(382)


def _frame(x: float, y: float, w: float, h: float) -> str:
    edge = 'fill="none" stroke="#8a5a34" stroke-width="18"'
    return f'<rect x="{x}" y="{y}" width="{w}" height="{h}" {edge}/>'


def _desk(x: float) -> str:
    legs = rect(x + 16, 376, 14, 90, "#77665a") + rect(x + 100, 376, 14, 90, "#77665a")
    return rect(x, 350, 130, 26, "#d99a52", _INK) + legs


def _stage(picture: Picture, rng: random.Random) -> str:
    del picture
    curtain, fold = rng.choice((("#d03a3f", "#a3272e"), ("#d03a3f", "#a3272e"), ("#c2387e", "#97285f")))
    room = rect(0, 0, 512, 512, "#3a2570") + path("M256,-40 L90,440 H422 Z", "#ffe98a", opacity=0.55)
    floor = rect(0, 430, 512, 82, "#8a5a34") + ellipse(256, 450, 180, 30, "#ffeebd")
    sides = "".join(
        rect(x, 0, 46, 470, color, 5) for x, color in ((0, curtain), (46, fold), (420, fold), (466, curtain))
    )
    return room + floor + sides + "".join(path(f"M{k * 128},0 q64,110 128,0 Z", curtain, _INK) for k in range(4))


def _bedroom(picture: Picture, rng: random.Random) -> str:
    wall = {"day": "#f7d3e2", "sunset": "#f7d3e2", "night": "#6d6296"}[picture.time]
    blanket = rng.choice(("#5b9cf0", "#f0a04b"))
    room = rect(0, 0, 512, 512, wall) + rect(0, 440, 512, 72, "#c99a6b") + _window(24, 30, picture.time)
    bed = rect(440, 170, 60, 300, "#a06a3c", _INK, 10) + rect(250, 340, 220, 110, blanket, _INK, 16)
    pillow = rect(350, 290, 100, 66, "#ffffff", _INK, 24)
    return room + bed + pillow + rect(0, 300, 90, 150, "#a06a3c", _INK) + ellipse(45, 270, 36, 36, "#ffd95a", _INK)


def _city(picture: Picture, rng: random.Random) -> str:
    wall = {"day": "#a9a3c2", "sunset": "#8a6f96", "night": "#2f3670"}[picture.time]
    other = {"day": "#c2b2a6", "sunset": "#a67c86", "night": "#3d4484"}[picture.time]
    pane = {"day": "#e9f5ff", "sunset": "#ffe39a", "night": "#ffe06a"}[picture.time]
    blocks = ((0, 110, 110), (110, 210, 80), (322, 190, 80), (402, 90, 110))
    houses = "".join(_house(x, y, w, other if k % 2 else wall, pane) for k, (x, y, w) in enumerate(blocks))
    road = "#6d6d7a" if picture.time != "night" else "#3a3a4a"
    marks = "".join(rect(x, 464, 70, 14, "#ffffff") for x in (20, 150, 290, 420))
    return _sky(picture.time, rng) + houses + rect(0, 400, 512, 112, road) + marks


def _house(x: float, y: float, w: float, wall: str, pane: str) -> str:
    panes = "".join(
        rect(x + 16 + i * (w - 56), y + 22 + j * 62, 26, 34, pane) for i in (0, 1) for j in range(int((390 - y) // 62))
    )
    return rect(x, y, w, 404 - y, wall, _INK) + panes


def _snow(picture: Picture, rng: random.Random) -> str:
    night = picture.time == "night"
    sky, ground = ("#2a3768", "#c9d6ee") if night else ("#c3d6e6", "#ffffff")
    land = rect(0, 0, 512, 512, sky) + path("M0,370 Q140,320 300,360 T512,350 V512 H0 Z", ground)
    fir = rect(62, 340, 30, 60, "#7a5238", _INK) + path(
        "M77,90 L154,230 H120 L164,350 H-10 L34,230 H0 Z", "#3f8a68", _INK
    )
    fir += path("M77,90 L108,148 Q77,168 46,148 Z", "#ffffff", _INK)
    flakes = ((30, 40), (190, 60), (330, 30), (470, 70), (230, 140), (400, 150), (490, 220), (180, 240))
    fall = "".join(ellipse(x + rng.uniform(-16, 16), y + rng.uniform(-16, 16), 11, 11, "#ffffff") for x, y in flakes)
    return land + fir + _snowman(442, 330) + fall


def _snowman(x: float, y: float) -> str:
    body = ellipse(x, y + 62, 58, 58, "#ffffff", _INK) + ellipse(x, y - 24, 40, 40, "#ffffff", _INK)
    face = (
        ellipse(x - 14, y - 32, 5, 5, OUTLINE)
        + ellipse(x + 14, y - 32, 5, 5, OUTLINE)
        + path(f"M{x},{y - 24} l-26,8 l26,6 Z", "#f28a3a")
    )
    return body + face + rect(x - 36, y + 6, 72, 18, "#d8453f", 4, 8)


_BACKDROPS: dict[Place, Callable[[Picture, random.Random], str]] = {
    "living_room": _living_room,
    "park": _park,
    "seaside": _seaside,
    "starry_sky": _starry_sky,
    "classroom": _classroom,
    "stage": _stage,
    "bedroom": _bedroom,
    "city": _city,
    "snow": _snow,
}

"""The rooms where one rehearses, dresses and performs: practice room, fitting room, stage."""

from __future__ import annotations

import random

from renderer.miniature.art.places.indoors import plant, room
from renderer.miniature.art.places.scenery import INK, LEFT, WIDTH, band
from renderer.miniature.art.shapes import OUTLINE, curve, ellipse, path, rect, star
from renderer.miniature.book import Picture

_GOLD = "#e3ad45"


def practice_room(picture: Picture, rng: random.Random) -> str:
    """A wall of mirrors with a barre, a loudspeaker and a piano."""
    wall = rng.choice(("#f4e6cf", "#e6def2"))
    mirrors = "".join(_mirror(x) for x in (-190, -10, 170, 350, 530))
    barre = rect(LEFT, 262, WIDTH, 16, "#d99a55", 4, 8) + "".join(
        rect(x, 270, 10, 34, "#8a5a34", 3) for x in (-20, 160, 340, 520)
    )
    stands = _music_stand(-110) + plant(640, 470, "#d9825b")
    notes = _note(92, 120, "#ef6f9c") + _note(424, 104, "#5f8fe6") + _note(256, 84, "#f2a83c")
    return room(wall, "#dcae74", picture.time) + mirrors + notes + barre + stands + _speaker(52) + _piano()


def fitting_room(picture: Picture, rng: random.Random) -> str:
    """A tall oval mirror, a rail of colored clothes, and a curtain."""
    wall, stripe = rng.choice((("#fdeef0", "#f9d5de"), ("#f0f4e4", "#dbe7c4"), ("#eef0fb", "#d7dcf3")))
    curtain, fold = rng.choice((("#a463b8", "#824a96"), ("#3f8f9a", "#2f727d")))
    stripes = "".join(rect(x, 0, 48, 414, stripe) for x in range(-190, 702, 96))
    rug = ellipse(256, 488, 210, 34, "#fff6e8", INK)
    things = _curtain_corner(curtain, fold) + _rail(rng) + _oval_mirror(88)
    return room(wall, "#d9a98f", picture.time) + stripes + band(414, 18, "#fff8ec") + rug + things


def stage(picture: Picture, rng: random.Random) -> str:
    """Curtains, crossing spotlights, and a bright pool of light."""
    del picture
    curtain, fold = rng.choice((("#d8383f", "#a3242e"), ("#c8327e", "#962460")))
    back = band(0, 512, "#2c1f63") + "".join(
        star(x + rng.uniform(-12, 12), y, 12, "#b9a2f5")
        for x, y in ((120, 190), (400, 180), (156, 320), (366, 330), (256, 110))
    )
    floor = band(424, 88, "#a86d42") + band(424, 8, "#c98f5c") + ellipse(256, 478, 214, 36, "#ffeebb")
    cones = path("M82,70 L136,48 L402,478 H128 Z", "#ff8fe0", opacity=0.42) + path(
        "M430,70 L376,48 L110,478 H384 Z", "#7fd4ff", opacity=0.42
    )
    sides = "".join(_drape(x, curtain, fold) for x in (-190, -124, -58, 8, 438, 504, 570, 636))
    lamps = _spotlight(106, 62, 28) + _spotlight(406, 62, -28)
    return back + floor + cones + sides + _valance(curtain, fold) + lamps


def _mirror(x: float) -> str:
    glass = rect(x, 20, 180, 378, "#cfe6f2", INK)
    return (
        glass
        + path(f"M{x + 30},394 L{x + 110},24 H{x + 150} L{x + 70},394 Z", "#e9f6fc")
        + path(f"M{x + 96},394 L{x + 172},60 V200 L{x + 126},394 Z", "#e9f6fc")
    )


def _note(x: float, y: float, color: str) -> str:
    """A pair of quavers, stuck on the mirror."""
    heads = "".join(ellipse(x + dx, y + 40 + dy, 16, 12, color) for dx, dy in ((-26, 4), (24, -4)))
    return heads + curve(f"M{x - 14},{y + 42} V{y - 18} L{x + 36},{y - 28} V{y + 34}", 9, color)


def _speaker(x: float) -> str:
    box = rect(x - 56, 226, 116, 252, "#3f4152", INK, 10)
    cones = "".join(
        ellipse(x + 2, y, r, r, "#8b90a6", 4) + ellipse(x + 2, y, r * 0.45, r * 0.45, "#2a2b38")
        for y, r in ((280, 30), (390, 44))
    )
    return box + cones


def _piano() -> str:
    body = rect(386, 208, 196, 266, "#7c4530", INK, 8) + rect(376, 196, 216, 24, "#945739", INK, 6)
    keys = rect(366, 340, 232, 34, "#fffdf4", INK, 4) + "".join(
        rect(x, 340, 14, 20, OUTLINE) for x in range(384, 590, 29)
    )
    sheet = path("M418,320 l8,-74 l44,8 l44,-8 l8,74 l-52,6 Z", "#fffdf4", 4) + curve("M470,254 V326", 4)
    return body + sheet + keys + rect(366, 374, 232, 14, "#5c3122", 4) + rect(404, 412, 160, 44, "#945739", 0, 6)


def _music_stand(x: float) -> str:
    legs = curve(f"M{x},300 V450 M{x - 40},486 L{x},446 L{x + 40},486", 9)
    return (
        legs
        + path(f"M{x - 62},310 L{x - 54},220 H{x + 54} L{x + 62},310 Z", "#4b4a5c", INK)
        + rect(x - 44, 206, 88, 84, "#fffdf4", 4)
    )


def _oval_mirror(x: float) -> str:
    legs = curve(f"M{x - 66},484 L{x - 40},380 M{x + 66},484 L{x + 40},380", 20) + curve(
        f"M{x - 66},484 L{x - 40},380 M{x + 66},484 L{x + 40},380", 10, _GOLD
    )
    frame = ellipse(x, 256, 92, 204, _GOLD, INK) + ellipse(x, 256, 72, 182, "#cfe9f5", 4)
    gleam = path(f"M{x - 52},300 L{x + 10},110 L{x + 34},130 L{x - 30},356 Z", "#f0fafe")
    return legs + frame + gleam + ellipse(x, 46, 17, 17, "#f5cf78", INK)


def _rail(rng: random.Random) -> str:
    frame = curve("M370,484 V124 H690 V484", 16) + curve("M370,484 V124 H690 V484", 7, "#c9ccd8")
    colors = rng.sample(("#e5585c", "#f4bb45", "#58b07a", "#4f8fe0", "#9a6fd0", "#f08fb4"), 6)
    return frame + "".join(_hung(404 + 50 * k, color, k % 2 == 0) for k, color in enumerate(colors))


def _hung(x: float, color: str, dress: bool) -> str:
    hook = curve(f"M{x},124 v18", 5)
    low, half = (390, 40) if dress else (320, 30)
    cloth = path(
        f"M{x - 8},142 h16 L{x + 24},166 L{x + 17},230 L{x + half},{low} H{x - half} L{x - 17},230 L{x - 24},166 Z",
        color,
        INK,
    )
    return hook + cloth + (rect(x - 18, 224, 36, 12, "#ffffff99") if dress else "")


def _curtain_corner(color: str, fold: str) -> str:
    folds = "".join(
        path(f"M{x},0 h62 q-6,230 -20,440 h-56 q20,-220 14,-440 Z", fold if k % 2 else color, 4)
        for k, x in enumerate((-190, -130, -70))
    )
    scallops = "".join(path(f"M{x},-10 h96 v40 q-48,56 -96,0 Z", color, INK) for x in range(-190, 700, 96))
    return folds + scallops


def _drape(x: float, color: str, fold: str) -> str:
    return rect(x, -10, 66, 470, color, INK, 6) + rect(x + 38, 0, 18, 456, fold)


def _valance(color: str, fold: str) -> str:
    swags = "".join(path(f"M{x},-10 h130 v30 q-65,84 -130,0 Z", color, INK) for x in range(-199, 690, 130))
    return swags + "".join(curve(f"M{x + 22},26 q43,44 86,0", 7, fold) for x in range(-199, 690, 130))


def _spotlight(x: float, y: float, turn: float) -> str:
    body = rect(-26, -34, 52, 56, "#4b4a5c", INK, 10) + ellipse(0, 24, 30, 12, "#fffbe0", INK)
    return f'<g transform="translate({x},{y}) rotate({-turn})">{body}</g>'

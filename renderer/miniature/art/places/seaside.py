"""The seaside: a boat, a palm, parasols."""

from __future__ import annotations

import random

from renderer.miniature.art.places.scenery import INK, LIGHT, band, lit
from renderer.miniature.art.places.sky import draw_sky
from renderer.miniature.art.shapes import curve, ellipse, group, path, rect, star
from renderer.miniature.book import Picture, Time


def seaside(picture: Picture, rng: random.Random) -> str:
    """The sea with a sailing boat, a beach, a palm and a parasol."""
    time = picture.time
    sea = band(236, 200, {"day": "#2f93e6", "sunset": "#a8648f", "night": "#24479a"}[time]) + band(
        236, 26, {"day": "#62b6f2", "sunset": "#e89a80", "night": "#31589f"}[time]
    )
    glitter = (
        ""
        if time == "day"
        else "".join(
            rect(150 - w / 2, y, w, 10, LIGHT, 0, 5) for y, w in ((252, 120), (278, 80), (304, 104), (332, 60))
        )
    )
    waves = "".join(
        curve(f"M{x},{y} q20,-14 40,0 t40,0", 8, lit("#ffffff", time, True))
        for x, y in ((-150, 300), (-30, 372), (150, 290), (352, 316), (540, 300), (-60, 352), (620, 350))
    )
    beach = path("M-190,392 q120,-26 240,0 t240,0 t240,0 t240,0 V512 H-190 Z", lit("#ffffff", time, True)) + path(
        "M-190,408 q120,-26 240,0 t240,0 t240,0 t240,0 V512 H-190 Z", lit("#fae3a6", time)
    )
    shell = rng.choice(
        (star(150, 478, 20, lit("#f2775c", time, True)), ellipse(150, 480, 18, 13, lit("#f9b9c9", time, True), 4))
    )
    # The far boat shows between two figures, the near one beside one.
    sails = group(_boat(256, time), "translate(112,84) scale(0.56)") + _boat(72 + rng.uniform(-20, 20), time)
    return (
        draw_sky(time, rng, (70, 66), (84, 150))
        + sea
        + glitter
        + waves
        + sails
        + beach
        + shell
        + _palm(456, time)
        + _parasol(-96, time)
        + _parasol(628, time)
    )


def _boat(x: float, time: Time) -> str:
    hull = path(f"M{x - 64},302 H{x + 64} L{x + 44},338 H{x - 42} Z", lit("#e0524e", time, True), INK)
    sail = path(f"M{x - 6},290 V170 L{x - 62},290 Z", lit("#ffe9c4", time, True), INK) + path(
        f"M{x + 4},290 V152 Q{x + 70},240 {x + 62},290 Z", lit("#ffffff", time, True), INK
    )
    return hull + sail + curve(f"M{x},302 V144", 6)


def _palm(x: float, time: Time) -> str:
    bark = lit("#b07c48", time)
    trunk = path(f"M{x - 4},446 Q{x + 30},280 {x - 22},132 L{x + 6},124 Q{x + 66},280 {x + 42},446 Z", bark, INK)
    tips = ((-126, 56), (-104, -34), (-34, -92), (60, -74), (112, 6), (72, 92))
    fronds = "".join(_frond(x - 8, 132, dx, dy, lit("#3fa65a", time)) for dx, dy in tips)
    nuts = "".join(ellipse(x + dx, 150, 15, 15, lit("#7a4b2a", time), 4) for dx in (-22, 8))
    return trunk + fronds + nuts


def _frond(x: float, y: float, dx: float, dy: float, color: str) -> str:
    """A palm leaf from (x, y), arched upwards and then hanging to (x + dx, y + dy)."""
    bulge = 26 if abs(dx) < 80 else 0
    outer, inner = f"{x + 0.5 * dx - bulge},{y + 0.5 * dy - 56}", f"{x + 0.5 * dx + bulge},{y + 0.5 * dy - 2}"
    return path(f"M{x},{y} Q{outer} {x + dx},{y + dy} Q{inner} {x},{y} Z", color, INK)


def _parasol(x: float, time: Time) -> str:
    red, white = lit("#ef5b5b", time, True), lit("#ffffff", time, True)
    dome = path(f"M{x - 100},262 Q{x - 90},150 {x},150 Q{x + 90},150 {x + 100},262 Z", red, INK)
    stripes = path(f"M{x - 60},262 Q{x - 50},170 {x},150 Q{x - 18},190 {x - 20},262 Z", white) + path(
        f"M{x + 60},262 Q{x + 50},170 {x},150 Q{x + 18},190 {x + 20},262 Z", white
    )
    return rect(x - 5, 150, 10, 310, lit("#fff3dc", time), 4) + dome + stripes

"""What a character holds."""

from __future__ import annotations

import math

from renderer.miniature.art.shapes import Point, curve, ellipse, group, path, rect

_PETAL = "#ff6b8f"
_UMBRELLA = "#ee5a55"
_PANEL = "#ffe1c4"


def draw_microphone(hand: Point) -> str:
    """A microphone that leans from the hand toward the mouth."""
    stick = rect(-8, -26, 16, 50, "#45424f", 5, 5)
    head = (
        ellipse(0, -38, 21, 22, "#b9c0d0", 6) + curve("M-12,-36 H12", 4, "#7f879c") + ellipse(-6, -45, 5, 5, "#ffffff")
    )
    return group(stick + head, f"translate({hand[0]:.1f},{hand[1]:.1f}) rotate(-26)")


def draw_book(y: float) -> str:
    """An open book about (0, y), its pages tilted up."""
    cover = path(
        f"M0,{y - 18} Q-40,{y - 38} -76,{y - 24} L-70,{y + 34} Q-36,{y + 24} 0,{y + 40} "
        f"Q36,{y + 24} 70,{y + 34} L76,{y - 24} Q40,{y - 38} 0,{y - 18} Z",
        "#2f9c95",
        6,
    )
    pages = path(
        f"M0,{y - 16} Q-36,{y - 34} -66,{y - 22} L-61,{y + 24} Q-32,{y + 14} 0,{y + 30} "
        f"Q32,{y + 14} 61,{y + 24} L66,{y - 22} Q36,{y - 34} 0,{y - 16} Z",
        "#fffdf4",
        4,
    )
    lines = "".join(
        curve(f"M{s * 14},{y + dy + 4} Q{s * 34},{y + dy - 6} {s * 52},{y + dy - 3}", 4, "#a5a0b5")
        for s in (-1, 1)
        for dy in (-8, 6)
    )
    return cover + pages + curve(f"M0,{y - 16} V{y + 30}", 5) + lines


def draw_canopy() -> str:
    """The open umbrella behind and above the head."""
    rim = "Q148,-66 118,-34 Q88,-62 56,-34 Q28,-60 0,-34 Q-28,-60 -56,-34 Q-88,-62 -118,-34 Q-148,-66 -176,-30"
    dome = path(f"M-176,-30 C-170,-216 170,-216 176,-30 {rim} Z", _UMBRELLA, 7)
    left = path("M-118,-34 C-120,-110 -70,-164 0,-170 C-40,-150 -60,-90 -56,-34 Q-88,-62 -118,-34 Z", _PANEL, 5)
    right = path("M118,-34 C120,-110 70,-164 0,-170 C40,-150 60,-90 56,-34 Q88,-62 118,-34 Z", _PANEL, 5)
    return curve("M0,-168 V-190", 10) + dome + left + right


def draw_shaft(hand: Point) -> str:
    """The umbrella's stick and crook, through the hand."""
    x, y = hand
    d = f"M{x + 4},-44 L{x},{y + 30} Q{x - 2},{y + 50} {x - 18},{y + 46}"
    return curve(d, 14) + curve(d, 6, "#e9b46a")


def draw_mug(hand: Point) -> str:
    """A steaming mug beside the hand."""
    x, y = hand
    handle = curve(f"M{x - 4},{y - 14} q26,0 22,16 q-4,14 -24,10", 16) + curve(
        f"M{x - 4},{y - 14} q26,0 22,16 q-4,14 -24,10", 7, "#ff9a45"
    )
    mug = rect(x - 46, y - 28, 46, 50, "#ff9a45", 6, 8) + rect(x - 43, y - 8, 40, 11, "#fff6e0")
    drink = ellipse(x - 23, y - 27, 22, 8, "#7a4630", 5)
    steam = curve(f"M{x - 32},{y - 42} q-8,-10 0,-18 M{x - 14},{y - 42} q-8,-10 0,-18", 6, "#ffffff")
    nearer = f"translate({x * -0.25:.1f},{y * -0.25:.1f}) scale(1.25)"
    return group(handle + mug + drink + steam, nearer)


def draw_flower(hand: Point) -> str:
    """A big flower on its stem, which rises from the hand."""
    x, y = hand
    top = (x + 22, y - 76)
    stem_line = f"M{x - 4},{y + 30} Q{x},{y - 30} {top[0]},{top[1]}"
    stem = curve(stem_line, 14) + curve(stem_line, 6, "#4fae58")
    leaf = path(
        f"M{x + 4},{y - 22} Q{x + 34},{y - 40} {x + 44},{y - 14} Q{x + 20},{y - 6} {x + 4},{y - 22} Z", "#5fc268", 5
    )
    turns = [math.tau * i / 6 for i in range(6)]
    petals = "".join(ellipse(top[0] + 24 * math.sin(t), top[1] - 24 * math.cos(t), 17, 17, _PETAL, 6) for t in turns)
    return stem + leaf + petals + ellipse(*top, 23, 23, _PETAL) + ellipse(*top, 14, 14, "#ffd84a", 5)

"""Glasses, hats, scarves and bows."""

from __future__ import annotations

from renderer.miniature.art.figures.tones import CREAM, INK
from renderer.miniature.art.shapes import curve, ellipse, path, rect
from renderer.miniature.book import Figure

_FRAME = "#a83246"
_WOOL = "#35a89c"
_SCARF = "#f07a3a"
_BOW = "#f0455f"


def draw_scarf(figure: Figure) -> str:
    """A striped scarf about the neck, one end hanging down."""
    if figure.accessory != "scarf":
        return ""
    end = path("M14,100 L46,100 L52,166 L20,170 Z", _SCARF, INK) + curve("M20,128 L48,126 M22,150 L50,147", 8, CREAM)
    wrap = path("M-50,84 Q-62,116 -40,120 Q0,130 40,120 Q62,116 50,84 Z", _SCARF, INK)
    return end + wrap + curve("M-30,92 L-36,114 M-6,96 L-8,120 M24,94 L28,116", 8, CREAM)


def draw_accessory(figure: Figure) -> str:
    """What is worn on the face or the head."""
    if figure.accessory == "glasses":
        return _glasses()
    if figure.accessory == "bow":
        return _bow()
    if figure.accessory == "hat":
        return _straw_hat() if figure.kind in ("girl", "woman") else _woolly_hat()
    return ""


def _glasses() -> str:
    rings = "".join(curve(f"M{x - 33},22 a33,33 0 1,1 66,0 a33,33 0 1,1 -66,0 Z", 8, _FRAME) for x in (-39, 39))
    return rings + curve("M-7,16 Q0,10 7,16 M-72,16 L-90,10 M72,16 L90,10", 8, _FRAME)


def _straw_hat() -> str:
    straw, shade = "#f3d28a", "#d6a850"
    top = path("M-72,-62 C-76,-150 -40,-150 0,-150 C40,-150 76,-150 72,-62 Z", straw, INK)
    ribbon = path("M-73,-88 Q0,-68 73,-88 L72,-58 Q0,-40 -72,-58 Z", "#e8505a", 5)
    brim = path(
        "M-150,-52 Q-110,-78 -70,-64 Q0,-44 70,-64 Q110,-78 150,-52 Q80,-16 0,-16 Q-80,-16 -150,-52 Z", straw, INK
    )
    return top + ribbon + brim + curve("M-116,-48 Q0,-12 116,-48", 5, shade)


def _woolly_hat() -> str:
    cap = path("M-100,-34 C-112,-146 112,-146 100,-34 Z", _WOOL, INK)
    stripe = curve("M-88,-76 Q0,-104 88,-76", 13, CREAM)
    rim = rect(-108, -52, 216, 32, CREAM, INK, 15)
    ribs = curve("M-72,-44 V-28 M-36,-44 V-28 M0,-44 V-28 M36,-44 V-28 M72,-44 V-28", 5, "#d9cdb8")
    return ellipse(0, -126, 24, 23, CREAM, INK) + cap + stripe + rim + ribs


def _bow() -> str:
    wings = "".join(
        path(
            f"M0,-112 C{s * 24},-158 {s * 66},-156 {s * 70},-142 Q{s * 80},-106 {s * 66},-84 "
            f"C{s * 52},-74 {s * 22},-88 0,-104 Z",
            _BOW,
            INK,
        )
        + curve(f"M{s * 16},-112 L{s * 44},-120 M{s * 16},-106 L{s * 42},-100", 5, "#bb2545")
        for s in (-1, 1)
    )
    return wings + rect(-15, -126, 30, 34, "#ff7288", INK, 11)

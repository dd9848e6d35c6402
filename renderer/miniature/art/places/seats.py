"""The seats that figures sit on: their surface is at y = 390 or so, wide enough for two."""

from __future__ import annotations

from renderer.miniature.art.places.scenery import INK, lit
from renderer.miniature.art.shapes import curve, ellipse, path, rect
from renderer.miniature.book import SofaColor, Time

_SOFA: dict[SofaColor, tuple[str, str, str]] = {
    "red": ("#dc4a45", "#ef7068", "#b63338"),
    "blue": ("#3f7fe0", "#6fa5f2", "#2f62bb"),
    "green": ("#3fa45a", "#6cc47d", "#2d8046"),
}


def sofa(color: SofaColor) -> str:
    """A plump sofa with two cushions."""
    return _upholstered(_SOFA[color], 6, 506, 210)


def love_seat(color: tuple[str, str, str]) -> str:
    """A small winged sofa of those three shades: body, light, dark."""
    return _upholstered(color, 38, 474, 236)


def bed(blanket: tuple[str, str], time: Time) -> str:
    """A bed seen from its side, its pillow at the left."""
    wood, dark = lit("#b9783f", time, indoors=True), lit("#96592b", time, indoors=True)
    frame = rect(14, 222, 34, 262, wood, INK, 14) + rect(438, 330, 30, 154, wood, INK, 12)
    rail = rect(44, 430, 400, 34, dark, INK)
    mattress = rect(46, 380, 396, 56, "#fdf6ea", INK, 16)
    pillow = rect(54, 316, 112, 76, "#ffffff", INK, 30) + curve("M78,346 q34,24 64,0", INK, "#d5d0e6")
    return frame + rail + mattress + pillow + _blanket(*blanket)


def train_bench(color: tuple[str, str, str]) -> str:
    """A bench along the whole carriage."""
    body, light, dark = color
    backs = "".join(rect(x, 286, 124, 120, body, INK, 20) for x in range(-176, 680, 124))
    seat = rect(-190, 384, 892, 50, light, INK, 16)
    return backs + seat + rect(-190, 432, 892, 36, dark, INK)


def park_bench(time: Time) -> str:
    """A wooden bench with iron legs."""
    wood, light = lit("#c07a3e", time, True), lit("#dc9a58", time, True)
    legs = "".join(rect(x, 290, 16, 196, lit("#4b4a5c", time), INK, 6) for x in (66, 430))
    slats = "".join(rect(34, y, 444, 30, wood, INK, 8) for y in (290, 332))
    return legs + slats + rect(26, 384, 460, 34, light, INK, 10)


def _upholstered(color: tuple[str, str, str], left: float, right: float, top: float) -> str:
    body, light, dark = color
    width = right - left
    feet = "".join(rect(x, 456, 26, 28, "#6a4630", INK, 6) for x in (left + 24, right - 50))
    back = rect(left + 34, top, width - 68, 236, body, INK, 44)
    seam = curve(f"M256,{top + 24} V384", INK, dark)
    tufts = "".join(ellipse(x, top + 84, 7, 7, dark) for x in (left + 118, right - 118))
    seats = "".join(rect(x, 372, width / 2 - 52, 52, light, INK, 18) for x in (left + 52, 256))
    base = rect(left + 44, 414, width - 88, 52, dark, INK, 8)
    arms = "".join(rect(x, 296, 78, 172, light, INK, 36) for x in (left, right - 78))
    return feet + back + seam + tufts + base + seats + arms


def _blanket(color: str, light: str) -> str:
    cover = path("M186,374 Q320,350 444,378 V452 Q430,470 400,456 T330,458 T260,456 T186,454 Z", color, INK)
    turn = path("M186,374 Q214,366 238,366 L236,455 Q210,462 186,454 Z", light, INK)
    dots = "".join(ellipse(x, y, 12, 12, light) for x, y in ((282, 386), (334, 420), (384, 386), (420, 424)))
    return cover + turn + dots

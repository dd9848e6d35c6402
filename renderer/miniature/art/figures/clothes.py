"""What is worn above the waist, and dresses and coats to their hems."""

from __future__ import annotations

from renderer.miniature.art.figures.bodies import Body
from renderer.miniature.art.figures.legs import draw_skirt
from renderer.miniature.art.figures.tones import CLOTH, INK, Tone, skin
from renderer.miniature.art.shapes import curve, ellipse, path, rect
from renderer.miniature.book import Figure

_NAVY = "#3a4a86"
_TIE = "#e8414f"


def draw_outfit(figure: Figure, body: Body) -> str:
    """The torso in its clothes."""
    draw = {"dress": _dress, "shirt": _shirt, "coat": _coat, "sweater": _sweater, "uniform": _uniform}[figure.outfit]
    return draw(figure, body, CLOTH[figure.outfit_color])


def _trunk(body: Body, color: str, low: float, wide: float) -> str:
    """A top from the neck down to `low`, where it is `wide`."""
    x, y = body.shoulder
    waist, middle = body.waist
    right = f"L{waist},{middle} L{x + 4},{y + 16} C{x},{y - 8} 32,{y - 8} 20,82 Z"
    left = f"M-20,82 C-32,{y - 8} {-x},{y - 8} {-x - 4},{y + 16} L{-waist},{middle}"
    return path(f"{left} L{-wide},{low} Q0,{low + 8} {wide},{low} {right}", color, INK)


def _neck(figure: Figure, y: float) -> str:
    tone = skin(figure)
    return path(f"M-20,80 Q0,{y + 14} 20,80 Z", tone.shade, 4)


def _dress(figure: Figure, body: Body, tone: Tone) -> str:
    x, y = body.waist
    wide = 88 if body.sitting else 78 if body.child else 86
    skirt = draw_skirt(body, tone, wide)
    low = body.hem
    hem = curve(f"M{-wide + 5},{low - 12} Q0,{low + 5} {wide - 5},{low - 12}", 9, tone.light)
    bodice = _trunk(body, tone.base, y, x)
    sash = rect(-x - 3, y - 7, 2 * x + 6, 15, tone.shade, 5, 7)
    collar = "".join(
        path(f"M0,96 Q{s * 4},120 {s * 24},116 Q{s * 40},108 {s * 34},90 L{s * 18},82 Z", tone.light, 4)
        for s in (-1, 1)
    )
    ribbon = _ribbon(tone.light if figure.outfit_color == "white" else tone.shade)
    return skirt + hem + bodice + sash + _neck(figure, 92) + collar + ribbon


def _ribbon(color: str) -> str:
    wings = "".join(path(f"M0,112 L{s * 22},101 Q{s * 26},112 {s * 22},123 Z", color, 4) for s in (-1, 1))
    return wings + ellipse(0, 112, 7, 7, color, 4)


def _shirt(figure: Figure, body: Body, tone: Tone) -> str:
    x, y = body.hip
    waist = body.waist[0]
    trunk = _trunk(body, tone.base, y + 4, x + 3)
    top = body.shoulder[1] + 15
    wide = (body.shoulder[0] + waist) / 2 + 1
    band = path(f"M{-wide},{top} Q0,{top + 6} {wide},{top} V{top + 19} Q0,{top + 25} {-wide},{top + 19} Z", tone.light)
    return trunk + band + _neck(figure, 100) + curve("M-22,84 Q0,116 22,84", 6, tone.shade)


def _coat(figure: Figure, body: Body, tone: Tone) -> str:
    low, wide = body.hem, body.hip[0] + (36 if body.sitting else 18)
    trunk = _trunk(body, tone.base, low, wide)
    y = body.waist[1]
    belt = rect(-body.waist[0] - 3, y, 2 * body.waist[0] + 6, 14, tone.shade, 5, 4)
    buckle = rect(-11, y - 2, 22, 18, "#f6c945", 5, 3)
    lapels = "".join(path(f"M{s * 18},82 L{s * 36},94 L{s * 28},118 L0,132 Z", tone.shade, 5) for s in (-1, 1))
    scarf = path("M-18,82 L0,128 L18,82 Z", "#fff3d6", 4)
    light = "#f6c945" if figure.outfit_color != "yellow" else "#8a5030"
    rows = (y + 28, y + 48) if body.child else (146, y + 34, y + 62)
    buttons = "".join(ellipse(s * 14, row, 6.5, 6.5, light, 4) for s in (-1, 1) for row in rows)
    return trunk + curve(f"M0,130 V{low + 2}", 5) + belt + buckle + buttons + scarf + lapels


def _sweater(figure: Figure, body: Body, tone: Tone) -> str:
    x, y = body.hip
    trunk = _trunk(body, tone.base, y, x + 4)
    top, wide = body.shoulder[1] + 22, body.waist[0]
    step = wide * 2 / 6
    points = " L".join(f"{-wide + i * step:.1f},{top + (0 if i % 2 else 16)}" for i in range(7))
    zigzag = curve(f"M{points}", 8, tone.light)
    rib = rect(-x - 6, y - 8, 2 * x + 12, 18, tone.shade, 5, 8)
    collar = rect(-34, 82, 68, 28, tone.base, INK, 13)
    ribs = curve("M-16,90 V103 M0,90 V103 M16,90 V103", 5, tone.shade)
    return trunk + zigzag + rib + collar + ribs


def _uniform(figure: Figure, body: Body, tone: Tone) -> str:
    x, y = body.shoulder
    collar, stripe = ("#ffffff", tone.base) if figure.outfit_color != "white" else (_NAVY, "#ffffff")
    trunk = _trunk(body, tone.base, body.hip[1] - 4, body.hip[0])
    wings = "".join(
        path(f"M{s * 16},80 L{s * (x + 2)},{y - 4} L{s * (x - 4)},{y + 16} L0,142 Z", collar, 5)
        + curve(f"M{s * (x - 8)},{y + 7} L{s * 4},132", 4, stripe)
        for s in (-1, 1)
    )
    tie = _TIE if figure.outfit_color not in ("red", "pink") else _NAVY
    knot = (
        path("M0,136 L-26,122 L-26,150 Z M0,136 L26,122 L26,150 Z", tie, 5) if figure.kind in ("girl", "woman") else ""
    )
    tails = path("M-9,130 L9,130 L13,164 L0,174 L-13,164 Z", tie, 5)
    return trunk + _neck(figure, 120) + wings + tails + knot + ellipse(0, 135, 9, 8, tie, 5)


def cuff_color(figure: Figure) -> str:
    """The color of the band at the end of a long sleeve."""
    tone = CLOTH[figure.outfit_color]
    return tone.light if figure.outfit == "uniform" else tone.shade

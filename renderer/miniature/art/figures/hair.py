"""Hair: what lies behind the body, and what frames the face."""

from __future__ import annotations

import math

from renderer.miniature.art.figures.tones import HAIR, INK
from renderer.miniature.art.shapes import curve, ellipse, path
from renderer.miniature.book import Figure

_TIE = "#ff5d7a"
_STAR = "#ffd84a"


def draw_back_hair(figure: Figure) -> str:
    """The hair behind body and head."""
    tone = HAIR[figure.hair_color]
    if _cropped(figure):
        return path("M-96,-20 C-102,30 -86,60 -56,70 H56 C86,60 102,30 96,-20 Z", tone.shade, INK)
    if figure.hair_style == "ponytail":
        return _nape(figure) + _tail(figure, -1, high=True)
    if figure.hair_style == "twintails":
        return _nape(figure) + _tail(figure, -1) + _tail(figure, 1)
    if figure.hair_style == "long":
        return path(_LONG, tone.shade, INK) + curve(
            "M-104,90 Q-110,140 -100,172 M104,90 Q110,140 100,172", 5, tone.base
        )
    return path(_BOB, tone.shade, INK)


def draw_front_hair(figure: Figure) -> str:
    """The crown, the fringe and the locks beside the face."""
    tone = HAIR[figure.hair_color]
    if figure.kind == "boy" and figure.accessory != "hat":
        return path(_SPIKES, tone.base, INK) + path(_BOY_SHINE, tone.light)
    if _cropped(figure):
        return path(_CROP, tone.base, INK) + path(_MAN_SHINE, tone.light)
    tips = _LOCKS["short" if figure.hair_style == "short" else "long"]
    if figure.hair_style in ("ponytail", "twintails"):
        tips = _LOCKS["tied"]
    outer, inner, left = tips
    d = f"M-104,-8 C-120,-150 120,-150 104,-8 {outer} {inner} {_fringe(figure)} {left} Z"
    return path(d, tone.base, INK) + path(_SHINE, tone.light)


def draw_ties(figure: Figure) -> str:
    """The ribbons that hold a ponytail or twintails; a girl's bob has a star."""
    if figure.hair_style == "short" and figure.kind == "girl":
        return _clip()
    if _cropped(figure) or figure.hair_style in ("short", "long"):
        return ""
    if figure.hair_style == "ponytail":
        return ellipse(-88, -66, 15, 19, _TIE, 5)
    return "".join(ellipse(s * 100, -42, 13, 18, _TIE, 5) for s in (-1, 1))


def _clip() -> str:
    corners = [(r * math.sin(i * math.pi / 5), -r * math.cos(i * math.pi / 5)) for i, r in enumerate((21, 10) * 5)]
    return path("M" + " L".join(f"{74 + x:.1f},{-50 + y:.1f}" for x, y in corners) + " Z", _STAR, 5)


def _cropped(figure: Figure) -> bool:
    return figure.kind in ("boy", "man")


def _fringe(figure: Figure) -> str:
    """The lower edge of the fringe, from right to left."""
    if figure.kind == "woman":
        return _SWEPT
    return _BANGS if figure.hair_style in ("short", "twintails") else _PARTED


def _nape(figure: Figure) -> str:
    return path("M-98,-20 C-104,40 -84,80 -50,88 H50 C84,80 104,40 98,-20 Z", HAIR[figure.hair_color].shade, INK)


def _tail(figure: Figure, s: int, high: bool = False) -> str:
    """A bunch of hair that springs out at one side and falls down to the elbow."""
    tone = HAIR[figure.hair_color]
    x, y = (82, -66) if high else (96, -42)
    far = 160 if high else 154
    outer = f"M{s * x},{y - 14} C{s * (x + 50)},{y - 44} {s * far},{y} {s * far},60"
    tip = f"C{s * far},112 {s * 146},140 {s * 158},184 C{s * 130},170 {s * 100},150 {s * 104},100"
    inner = f"C{s * 108},60 {s * 112},{y + 60} {s * x},{y + 16} Z"
    shine = f"M{s * (x + 34)},{y + 6} Q{s * (far - 20)},{y + 30} {s * (far - 22)},62"
    return path(f"{outer} {tip} {inner}", tone.base, INK) + curve(shine, 9, tone.light)


_BOB = "M-104,-20 C-124,40 -128,86 -104,104 Q-70,112 -54,92 H54 Q70,112 104,104 C128,86 124,40 104,-20 Z"
_LONG = (
    "M-102,-20 C-126,50 -138,130 -130,188 Q-112,180 -102,196 Q-84,182 -66,194 L-40,90 H40 L66,194 "
    "Q84,182 102,196 Q112,180 130,188 C138,130 126,50 102,-20 Z"
)
_LOCKS = {
    "short": ("C112,36 110,70 86,92", "C88,56 86,14 76,-22", "C-86,14 -88,56 -86,92 C-110,70 -112,36 -104,-8"),
    "long": ("C116,50 122,110 110,150", "C94,120 90,30 78,-18", "C-90,30 -94,120 -110,150 C-122,110 -116,50 -104,-8"),
    "tied": ("C108,20 102,44 94,62", "C90,34 86,4 78,-20", "C-86,4 -90,34 -94,62 C-102,44 -108,20 -104,-8"),
}
"""The right lock's outer and inner edge, and the left lock."""
_BANGS = "Q68,-30 50,-32 Q38,-42 34,-60 Q26,-34 2,-30 Q-10,-40 -12,-58 Q-22,-34 -46,-32 Q-66,-30 -76,-22"
_PARTED = "C64,-30 36,-46 16,-74 C6,-48 -8,-34 -32,-30 Q-28,-40 -30,-50 Q-48,-32 -78,-20"
_SWEPT = "C74,-42 62,-58 50,-76 C30,-44 -30,-32 -78,-18"
_SHINE = "M-72,-60 Q-44,-98 4,-99 Q48,-98 72,-64 Q40,-82 4,-82 Q-40,-82 -72,-60 Z"
_SPIKES = (
    "M-100,14 C-108,-20 -112,-40 -122,-52 L-94,-58 L-100,-92 L-66,-84 L-52,-116 L-22,-96 L8,-124 L24,-98 L62,-110 "
    "L66,-82 L102,-84 L96,-54 L122,-46 C110,-30 106,-16 100,14 L86,-8 L76,-44 L58,-30 L38,-54 L10,-30 L-16,-56 "
    "L-40,-30 L-62,-50 L-80,-8 Z"
)
_BOY_SHINE = "M-62,-58 L-48,-76 L-30,-66 L-8,-84 L8,-68 L34,-78 L26,-62 L4,-56 L-12,-68 L-30,-54 Z"
_CROP = (
    "M-97,30 C-112,-50 -96,-100 -44,-106 C-10,-122 112,-116 97,30 L86,20 C88,-10 84,-30 72,-44 "
    "C40,-34 -10,-40 -40,-66 C-60,-54 -84,-30 -86,20 Z"
)
_MAN_SHINE = "M-30,-84 Q10,-104 56,-80 Q16,-88 -18,-74 Z"

"""What is below the waist: legs, shoes, skirts, trousers."""

from __future__ import annotations

from renderer.miniature.art.figures.bodies import Body
from renderer.miniature.art.figures.tones import CLOTH, CREAM, INK, Tone, skin
from renderer.miniature.art.shapes import curve, ellipse, group, limb, path
from renderer.miniature.book import Figure

_DENIM = Tone("#5b6596", "#454d78", CREAM)
_SAND = Tone("#cfac7c", "#b08c5c", CREAM)
_SHOE = "#9a4a3f"
_BOOT = "#6e4636"
_SOLE = "#e0b48c"


def draw_legs(figure: Figure, body: Body) -> str:
    """Both legs with shoes, and what is worn about them under a top; a dress or a coat brings its own skirt."""
    if figure.outfit == "coat":
        return _pair(body, _below(figure).base, _below(figure).base, _BOOT)
    if figure.kind in ("boy", "man"):
        return _trousers(figure, body)
    socks = CREAM if body.child else skin(figure).base
    return _pair(body, skin(figure).base, socks, _SHOE) + _worn_skirt(figure, body)


def draw_skirt(body: Body, tone: Tone, hem_width: float) -> str:
    """A skirt from the waist down to the hem, spread over the lap when sitting."""
    x, y = body.waist
    wide, low = (max(hem_width, 88), body.hem) if body.sitting else (hem_width, body.hem)
    skirt = path(
        f"M{-x},{y} C{-x - 12},{y + 20} {-wide},{low - 30} {-wide},{low} {_edge(wide, low)} "
        f"C{wide},{low - 30} {x + 12},{y + 20} {x},{y} Z",
        tone.base,
        INK,
    )
    folds = curve(
        f"M{-wide * 0.42},{low - 4} L{-x * 0.5},{y + 26} M{wide * 0.42},{low - 4} L{x * 0.5},{y + 26}", 6, tone.shade
    )
    return skirt + (_knees(body, tone) if body.sitting else folds)


def _knees(body: Body, tone: Tone) -> str:
    """The round of the knees under a skirt, nearer to the viewer than the rest."""
    x, y = body.knee
    return "".join(
        curve(f"M{s * x - 24},{y + 4} Q{s * x},{y - 26} {s * x + 24},{y + 4}", 6, tone.shade) for s in (-1, 1)
    )


def _edge(wide: float, low: float) -> str:
    """A hem from left to right, hanging lower in its middle."""
    return f"Q0,{low + 18} {wide},{low}"


def _worn_skirt(figure: Figure, body: Body) -> str:
    if figure.outfit == "dress":
        return ""
    if figure.outfit == "uniform":
        cloth = CLOTH[figure.outfit_color]
        return draw_skirt(body, Tone(cloth.shade, cloth.base, cloth.light), 66)
    return draw_skirt(body, _below(figure), 58)


def _below(figure: Figure) -> Tone:
    """Trousers that differ from the top."""
    return _SAND if figure.outfit_color in ("blue", "purple", "black") else _DENIM


def _trousers(figure: Figure, body: Body) -> str:
    if figure.outfit == "uniform":
        color = CLOTH[figure.outfit_color].shade
    else:
        color = _below(figure).base
    short = figure.kind == "boy" and figure.outfit == "shirt"
    legs = _pair(body, color, skin(figure).base if short else color, _SHOE)
    x, y = body.hip
    return legs + path(f"M{-x},{y - 24} L{-x},{y + 10} Q0,{y + 26} {x},{y + 10} L{x},{y - 24} Z", color, INK)


def _pair(body: Body, upper: str, lower: str, shoe: str) -> str:
    return "".join(_leg(body, s, upper, lower, shoe) for s in (-1, 1))


def _leg(body: Body, s: int, upper: str, lower: str, shoe: str) -> str:
    return _leg_forward(body, s, upper, lower, shoe) if body.sitting else _leg_down(body, s, upper, lower, shoe)


def _leg_down(body: Body, s: int, upper: str, lower: str, shoe: str) -> str:
    hip = (s * body.hip[0] * 0.5, body.hip[1])
    knee = (s * body.knee[0], body.knee[1])
    foot = (s * body.foot[0], body.foot[1] - 16)
    thigh = limb([hip, knee], upper, body.leg + 2)
    shin = limb([knee, foot], lower, body.leg)
    return shin + ellipse(foot[0] + s * 4, foot[1] + 2, body.leg * 0.95, 14, shoe, INK) + thigh


def _leg_forward(body: Body, s: int, upper: str, lower: str, shoe: str) -> str:
    """A leg stretched toward the viewer, who looks at the sole of its shoe: nobody stands like that."""
    hip = (s * body.hip[0] * 0.6, body.hip[1])
    knee, foot = (s * body.knee[0], body.knee[1]), (s * body.foot[0], body.foot[1] - 26)
    leg = limb([knee, foot], lower, body.leg + 4) + limb([hip, knee], upper, body.leg + 10)
    turn = f"translate({foot[0]:.1f},{foot[1]:.1f}) rotate({s * 14})"
    sole = ellipse(0, 0, 23, 27, shoe, INK) + ellipse(0, -7, 13, 12, _SOLE) + ellipse(0, 15, 9, 6, _SOLE)
    return leg + group(sole, turn)

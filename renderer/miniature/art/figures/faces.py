"""Faces: what a character feels."""

from __future__ import annotations

from renderer.miniature.art.figures.tones import EYES, HAIR, INK, skin
from renderer.miniature.art.shapes import OUTLINE, curve, ellipse, path
from renderer.miniature.book import Expression, Figure

_MOUTH = "#b8364f"
_TONGUE = "#ff8f94"
_TEAR = "#79cdfb"
_EYE = (38.0, 22.0)
_SIDES = (-1, 1)


def draw_face(figure: Figure) -> str:
    """The bare head: its skin, blush and nose; ears where the hair is cropped."""
    tone = skin(figure)
    cropped = figure.kind in ("boy", "man")
    ears = "".join(ellipse(s * 91, 22, 13, 17, tone.base, INK) for s in _SIDES) if cropped else ""
    jaw = (
        "C94,52 64,88 26,88 H-26 C-64,88 -94,52 -92,0"
        if figure.kind == "man"
        else "C92,52 50,85 0,85 C-50,85 -92,52 -92,0"
    )
    head = path(f"M-92,0 C-92,-118 92,-118 92,0 {jaw} Z", tone.base, INK)
    strong = figure.expression in ("angry", "crying", "laughing")
    blush = "".join(ellipse(s * 62, 52, 17, 10, tone.light + ("b0" if strong else "80")) for s in _SIDES)
    return ears + head + blush + curve("M-3,43 Q0,46 3,43", 4, tone.shade)


def draw_feeling(figure: Figure) -> str:
    """Eyes, brows, mouth and tears; drawn over the fringe, so that brows are always seen."""
    return "".join(_eye(figure, s) + _brow(figure, s) for s in _SIDES) + _mouth(figure) + _tears(figure.expression)


def _eye(figure: Figure, s: int) -> str:
    x, y = s * _EYE[0], _EYE[1]
    if figure.expression == "laughing":
        return curve(f"M{x - 20},{y + 9} Q{x},{y - 25} {x + 20},{y + 9}", 9)
    if figure.expression == "eyes_closed":
        lashes = f"M{x + s * 18},{y + 5} l{s * 10},6 M{x + s * 9},{y + 13} l{s * 6},9"
        lid = curve(f"M{x - 20},{y} Q{x},{y + 24} {x + 20},{y}", 8)
        return lid if figure.kind in ("boy", "man") else lid + curve(lashes, 5)
    return _open_eye(figure, x, y) + _lid(figure, s) + _lashes(figure, s)


def _open_eye(figure: Figure, x: float, y: float) -> str:
    small = 0.86 if figure.kind == "man" else 1.0
    if figure.expression == "surprised":
        white = ellipse(x, y, 23 * small, 29 * small, "#ffffff", 5)
        return white + _iris(figure, x, y, 0.62 * small)
    white = ellipse(x, y, 21 * small, 27 * small, "#ffffff")
    return white + _iris(figure, x, y, small)


def _iris(figure: Figure, x: float, y: float, k: float) -> str:
    color = EYES[figure.hair_color]
    rings = ellipse(x, y, 18 * k, 25 * k, OUTLINE) + ellipse(x, y + 8 * k, 14 * k, 15 * k, color)
    pupil = ellipse(x, y + 1 * k, 8 * k, 12 * k, OUTLINE)
    lights = ellipse(x - 6 * k, y - 10 * k, 8 * k, 9 * k, "#ffffff") + ellipse(
        x + 7 * k, y + 13 * k, 4.5 * k, 5 * k, "#ffffff"
    )
    return rings + pupil + lights


def _lid(figure: Figure, s: int) -> str:
    """What covers the top of an open eye."""
    x, y = s * _EYE[0], _EYE[1]
    tone = skin(figure).base
    if figure.expression == "bored":
        lid = path(f"M{x - 26},{y - 32} H{x + 26} V{y - 1} H{x - 26} Z", tone)
        return lid + curve(f"M{x - 23},{y} H{x + 23}", 9)
    if figure.expression == "angry":
        inner, outer = x - s * 24, x + s * 24
        lid = path(f"M{inner},{y - 32} L{outer},{y - 34} L{outer},{y - 20} L{inner},{y - 3} Z", tone)
        return lid + curve(f"M{inner},{y - 4} L{outer},{y - 20}", 7)
    if figure.expression == "surprised":
        return ""
    return curve(f"M{x - 22},{y - 10} Q{x},{y - 40} {x + 22},{y - 10}", 7)


def _lashes(figure: Figure, s: int) -> str:
    if figure.kind in ("boy", "man"):
        return ""
    x, y = s * _EYE[0], _EYE[1]
    if figure.expression == "bored":
        y += 10
    first = f"M{x + s * 20},{y - 10} l{s * 12},-6"
    second = f" M{x + s * 14},{y - 19} l{s * 10},-10" if figure.kind == "woman" else ""
    return curve(first + second, 6)


def _brow(figure: Figure, s: int) -> str:
    """One brow; x grows outward."""
    inner, middle, outer = _BROWS[figure.expression]
    width = {"girl": 5.0, "woman": 5.0, "boy": 7.0, "man": 9.0}[figure.kind]
    if figure.expression == "angry":
        width += 4
    dark = OUTLINE if figure.hair_color != "black" else HAIR["black"].shade
    return curve(f"M{s * 22},{inner} Q{s * 40},{middle} {s * 58},{outer}", width, dark)


_BROWS: dict[Expression, tuple[float, float, float]] = {
    "smiling": (-18, -26, -18),
    "laughing": (-19, -31, -19),
    "crying": (-25, -21, -9),
    "bored": (-12, -13, -12),
    "singing": (-19, -31, -19),
    "eyes_closed": (-12, -20, -12),
    "surprised": (-20, -38, -20),
    "angry": (2, -10, -24),
}
"""How high a brow is at its inner end, its middle and its outer end."""


def _mouth(figure: Figure) -> str:
    if figure.expression == "laughing":
        open_mouth = path("M-29,46 Q0,52 29,46 Q26,78 0,78 Q-26,78 -29,46 Z", _MOUTH, 6)
        return open_mouth + ellipse(0, 69, 13, 6, _TONGUE)
    if figure.expression == "singing":
        return ellipse(0, 60, 17, 19, _MOUTH, 6) + ellipse(0, 69, 10, 7, _TONGUE)
    if figure.expression == "surprised":
        return ellipse(0, 61, 8, 10, _MOUTH, 6)
    return curve(_LINES[figure.expression], 7)


_LINES: dict[Expression, str] = {
    "smiling": "M-20,52 Q0,72 20,52",
    "eyes_closed": "M-13,57 Q0,67 13,57",
    "crying": "M-22,67 Q-16,52 -8,58 Q0,64 8,58 Q16,52 22,67",
    "bored": "M-17,62 L17,58",
    "angry": "M-20,68 Q0,48 20,68",
}


def _tears(expression: Expression) -> str:
    if expression != "crying":
        return ""
    return "".join(
        path(
            f"M{x},36 C{x + 8},48 {x + 15},62 {x + 17},74 A17,17 0 0,1 {x - 17},74 C{x - 17},62 {x - 8},48 {x},36 Z",
            _TEAR,
            4,
        )
        for x in (-54, 54)
    )

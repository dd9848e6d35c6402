"""The characters: big heads, bold faces, flat colours, so that they survive a small autoencoder.

Everything is drawn about the middle of the head, which is at (0, 0); the chin is at y = 85, the feet at y = 240.
"""

from __future__ import annotations

from renderer.miniature.book import Action, Expression, Figure, HairColor, OutfitColor
from renderer.miniature.shapes import OUTLINE, Point, curve, ellipse, group, limb, path, rect

CROWN, FEET = -112.0, 243.0
"""The highest and the lowest point of a figure."""

HEAD_RADIUS = 92.0

_SKIN = "#ffdfc8"
_INK = 7.0
_HAIR: dict[HairColor, str] = {
    "purple": "#9a5fd8",
    "black": "#35313f",
    "brown": "#8f5a38",
    "blonde": "#f7d04e",
    "pink": "#f78fc0",
    "blue": "#4b8ff0",
}
_CLOTH: dict[OutfitColor, str] = {
    "pink": "#f98fb8",
    "black": "#2e2b36",
    "white": "#fbfbfb",
    "blue": "#3f83e6",
    "red": "#e04540",
    "yellow": "#ffd94a",
}
_TROUSERS, _SHOES, _TEAR, _MOUTH = "#5468a8", "#7a3b4a", "#58b4f5", "#d23b50"

_Arm = tuple[Point, Point, Point]


def draw_figure(figure: Figure) -> str:
    """The whole figure as SVG shapes."""
    back, front = _arms(figure)
    return _hair_back(figure) + _legs(figure) + back + _torso(figure) + _head(figure) + front


def _head(figure: Figure) -> str:
    face = ellipse(0, 0, HEAD_RADIUS, 85, _SKIN, _INK)
    return face + _face(figure.expression) + _fringe(figure)


def _face(expression: Expression) -> str:
    cheeks = "".join(ellipse(side * 60, 44, 15, 10, "#ff9f9f") for side in (-1, 1)) if expression != "bored" else ""
    eyes = "".join(_eye(expression, side * 38) for side in (-1, 1))
    return cheeks + eyes + _mouth(expression) + _tears(expression)


def _eye(expression: Expression, x: float) -> str:
    if expression in ("eyes_closed", "singing"):
        return curve(f"M{x - 17},18 Q{x},36 {x + 17},18", 9)
    if expression == "laughing":
        return curve(f"M{x - 17},26 Q{x},2 {x + 17},26", 9)
    if expression == "bored":
        # A white eye cut off by a heavy straight lid.
        return path(f"M{x - 20},14 H{x + 20} Q{x + 18},38 {x},38 Q{x - 18},38 {x - 20},14 Z", "#ffffff") + (
            ellipse(x, 23, 9, 10, OUTLINE) + curve(f"M{x - 22},13 H{x + 22}", 10)
        )
    return ellipse(x, 16, 15, 21, OUTLINE) + ellipse(x - 5, 8, 6, 7, "#ffffff")


def _mouth(expression: Expression) -> str:
    if expression == "laughing":
        return path("M-26,44 Q0,50 26,44 Q22,74 0,74 Q-22,74 -26,44 Z", _MOUTH, 6)
    if expression == "singing":
        return ellipse(0, 57, 15, 18, _MOUTH, 6)
    if expression == "crying":
        return curve("M-18,66 Q0,46 18,66", 8)
    if expression == "bored":
        return curve("M-16,58 H16", 8)
    return curve("M-18,50 Q0,68 18,50", 8)


def _tears(expression: Expression) -> str:
    if expression != "crying":
        return ""
    return "".join(path(f"M{x - 9},38 H{x + 9} V62 Q{x},76 {x - 9},62 Z", _TEAR) for x in (-40, 40))


def _fringe(figure: Figure) -> str:
    color = _HAIR[figure.hair_color]
    if figure.subject == "boy":
        crown = "M-98,6 C-112,-60 -84,-92 -70,-92 L-62,-112 L-34,-100 L-14,-120 L10,-102 L40,-116 L52,-96 "
        spikes = "C92,-92 110,-50 98,6 L82,-26 L58,-8 L34,-34 L6,-10 L-22,-36 L-48,-10 L-76,-30 Z"
        return path(crown + spikes, color, _INK)
    crown = "M-102,0 C-116,-142 116,-142 102,0 C90,-10 82,-24 78,-34 "
    waves = "Q58,-14 34,-18 Q14,-14 0,-26 Q-16,-14 -36,-18 Q-58,-14 -78,-34 C-82,-24 -90,-10 -102,0 Z"
    return _lock(color, -1) + _lock(color, 1) + path(crown + waves, color, _INK)


def _lock(color: str, s: int) -> str:
    inner = f"C{s * 84},40 {s * 84},10 {s * 76},-20 Z"
    return path(f"M{s * 102},-10 C{s * 112},30 {s * 106},60 {s * 86},78 {inner}", color, _INK)


def _hair_back(figure: Figure) -> str:
    color = _HAIR[figure.hair_color]
    if figure.subject == "boy":
        return path("M-98,0 C-104,40 -86,66 -60,74 L60,74 C86,66 104,40 98,0 Z", color, _INK)
    if figure.hair_length == "short":
        return path("M-104,-10 C-118,50 -112,88 -92,98 L92,98 C112,88 118,50 104,-10 Z", color, _INK)
    left, right = (
        "M-104,-20 C-124,60 -132,140 -122,206 Q-96,222 -66,206",
        "L66,206 Q96,222 122,206 C132,140 124,60 104,-20",
    )
    return path(f"{left} {right} Z", color, _INK)


def _legs(figure: Figure) -> str:
    color = _TROUSERS if figure.outfit == "coat" else _SKIN
    if figure.posture == "sitting":
        legs = "".join(limb([(s * 24, 172), (s * 36, 196), (s * 36, 214)], color, 26) for s in (-1, 1))
        return legs + "".join(ellipse(s * 36, 226, 24, 17, _SHOES, _INK) for s in (-1, 1))
    legs = "".join(limb([(s * 22, 165), (s * 22, 222)], color, 24) for s in (-1, 1))
    return legs + "".join(ellipse(s * 25, 230, 23, 13, _SHOES, _INK) for s in (-1, 1))


def _torso(figure: Figure) -> str:
    color = _CLOTH[figure.outfit_color]
    if figure.outfit == "dress":
        skirt = path("M-34,84 L-82,190 Q0,212 82,190 L34,84 Z", color, _INK)
        return skirt + path("M-34,86 Q0,128 34,86 Z", "#ffffff" if figure.outfit_color != "white" else "#f9b9d0", 5)
    if figure.outfit == "shirt":
        shorts = path("M-46,146 L-52,188 L-4,188 L0,170 L4,188 L52,188 L46,146 Z", _TROUSERS, _INK)
        band = "#ffffff" if figure.outfit_color != "white" else "#3f83e6"
        return shorts + path("M-40,82 L-48,158 L48,158 L40,82 Z", color, _INK) + rect(-43, 112, 86, 18, band)
    buttons = "".join(
        ellipse(0, y, 6, 6, "#ffffff" if figure.outfit_color == "black" else OUTLINE) for y in (116, 140, 164)
    )
    scarf = rect(-48, 80, 96, 24, "#62b96c", 5, 11)
    return path("M-42,82 L-60,184 L60,184 L42,82 Z", color, _INK) + curve("M0,98 V184", 4) + buttons + scarf


def _arms(figure: Figure) -> tuple[str, str]:
    """Shapes behind the torso, and shapes before the head."""
    joints = _ARMS[figure.action]
    left, right = (_arm(figure, arm) for arm in joints)
    if figure.action in ("hands_clasped", "arms_raised"):
        return "", left + right
    if figure.action == "hand_on_chin":
        return right, left
    if figure.action == "microphone":
        return right, left + _microphone(joints[0][2])
    if figure.action == "waving":
        return left, right
    return left + right, ""


def _arm(figure: Figure, joints: _Arm) -> str:
    shoulder, elbow, hand = joints
    skin = limb([shoulder, elbow, hand], _SKIN, 20)
    color = _CLOTH[figure.outfit_color]
    if figure.outfit == "coat":
        wrist = (elbow[0] + (hand[0] - elbow[0]) * 0.6, elbow[1] + (hand[1] - elbow[1]) * 0.6)
        return skin + limb([shoulder, elbow, wrist], color, 24)
    reach = 0.8 if figure.outfit == "shirt" else 0.35
    cuff = (shoulder[0] + (elbow[0] - shoulder[0]) * reach, shoulder[1] + (elbow[1] - shoulder[1]) * reach)
    return skin + limb([shoulder, cuff], color, 28)


def _microphone(hand: Point) -> str:
    x, y = hand
    stick = rect(-9, -6, 18, 46, "#45424f", 5, 5) + ellipse(0, -18, 20, 22, "#a9afbd", 6)
    return group(stick, f"translate({x + 4:.1f},{y:.1f}) rotate(14)") + ellipse(x, y + 8, 17, 15, _SKIN, 6)


_HANGING: tuple[_Arm, _Arm] = (((-40, 98), (-62, 132), (-70, 164)), ((40, 98), (62, 132), (70, 164)))
_ARMS: dict[Action, tuple[_Arm, _Arm]] = {
    "resting": _HANGING,
    "waving": (_HANGING[0], ((42, 104), (100, 92), (118, 26))),
    "arms_raised": (((-42, 104), (-104, 92), (-126, 14)), ((42, 104), (104, 92), (126, 14))),
    "hand_on_chin": (((-42, 100), (-92, 138), (-60, 66)), _HANGING[1]),
    "hands_clasped": (((-42, 100), (-62, 146), (-7, 116)), ((42, 100), (62, 146), (7, 116))),
    "microphone": (((-42, 100), (-70, 144), (-24, 104)), ((40, 98), (62, 132), (70, 164))),
}

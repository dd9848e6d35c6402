"""Arms: what the hands do, in the sleeves of the outfit."""

from __future__ import annotations

import math
from collections.abc import Callable

from renderer.miniature.art.figures.bodies import Body
from renderer.miniature.art.figures.clothes import cuff_color
from renderer.miniature.art.figures.held import (
    draw_book,
    draw_canopy,
    draw_flower,
    draw_microphone,
    draw_mug,
    draw_shaft,
)
from renderer.miniature.art.figures.tones import CLOTH, INK, skin
from renderer.miniature.art.shapes import Point, curve, ellipse, limb
from renderer.miniature.book import Action, Figure

Reach = tuple[Point, Point]
"""How far the right elbow is from its shoulder, and where the hand goes; mirrored for the left arm."""


def draw_behind(figure: Figure) -> str:
    """What is held behind everything."""
    return draw_canopy() if figure.action == "umbrella" else ""


def draw_low_arms(figure: Figure, body: Body) -> str:
    """The arms below the head, over the clothes."""
    left, right = _reaches(figure, body)
    return "".join(_arm(figure, body, s, reach) for s, reach in ((-1, left), (1, right)) if not _high(figure, reach))


def draw_high_arms(figure: Figure, body: Body) -> str:
    """The arms before the head and the hair, with what they hold."""
    left, right = _reaches(figure, body)
    arms = "".join(_arm(figure, body, s, reach) for s, reach in ((-1, left), (1, right)) if _high(figure, reach))
    hand = right[1]
    if figure.action in _HELD:
        return arms + _HELD[figure.action](hand) + _fist(figure, hand)
    if figure.action == "reading":
        x, y = hand
        return draw_book(y - 22) + _fist(figure, (x, y)) + _fist(figure, (-x, y))
    return arms + _gesture(figure, hand)


_HELD: dict[Action, Callable[[Point], str]] = {
    "microphone": draw_microphone,
    "umbrella": draw_shaft,
    "cup": draw_mug,
    "flower": draw_flower,
}


def _high(figure: Figure, reach: Reach) -> bool:
    return figure.action not in ("resting", "reading") and reach[1][1] < 140


def _reaches(figure: Figure, body: Body) -> tuple[Reach, Reach]:
    """Where the left and the right arm go."""
    hanging = _hanging(body)
    right = _RAISED.get(figure.action, hanging)
    if figure.action == "hand_on_chin":
        return _ACROSS, right
    return (right if figure.action in _BOTH else hanging), right


_RAISED: dict[Action, Reach] = {
    "waving": ((56, -6), (128, 8)),
    "arms_raised": ((62, -14), (130, -36)),
    "hand_on_chin": ((34, 48), (46, 94)),
    "hands_clasped": ((24, 42), (12, 103)),
    "microphone": ((34, 40), (68, 122)),
    "reading": ((26, 38), (66, 160)),
    "umbrella": ((34, 34), (112, 116)),
    "cup": ((36, 40), (66, 134)),
    "flower": ((28, 40), (92, 130)),
}
"""Hands near the face are as high for every body, since the head is the same and close framings cut below the chin."""
_BOTH: tuple[Action, ...] = ("arms_raised", "hands_clasped", "reading")
_ACROSS: Reach = ((26, 44), (-44, 156))
"""The arm that the other one's elbow rests on."""


def _hanging(body: Body) -> Reach:
    _, y = body.hip
    if body.sitting:
        return (14, y - body.shoulder[1] - 34), (32, y + 6)
    return (20, (y - body.shoulder[1]) * 0.36), (body.shoulder[0] + 34, y + 2)


def _arm(figure: Figure, body: Body, s: int, reach: Reach) -> str:
    (out, down), hand = reach
    shoulder = (body.shoulder[0] - 1, body.shoulder[1] + 12)
    elbow = (shoulder[0] + out, shoulder[1] + down)
    return _sleeved(figure, body, [(s * x, y) for x, y in (shoulder, elbow, hand)])


def _sleeved(figure: Figure, body: Body, joints: list[Point]) -> str:
    shoulder, elbow, hand = joints
    tone = CLOTH[figure.outfit_color]
    bare = _bare(figure, body, joints)
    if figure.outfit == "dress":
        puff = _between(shoulder, elbow, 0.3)
        return bare + ellipse(*puff, body.arm * 0.85, body.arm * 0.85, tone.base, INK)
    if figure.outfit == "shirt":
        return bare + limb([shoulder, _between(shoulder, elbow, 0.72)], tone.base, body.arm + 5)
    thick = {"coat": 4, "sweater": 6, "uniform": 1}[figure.outfit]
    wrist = _before(elbow, hand, _hand_size(figure) + body.arm * 0.5 - 3)
    sleeve = limb([shoulder, elbow, wrist], tone.base, body.arm + thick)
    return bare + sleeve + limb([_before(elbow, wrist, 7), wrist], cuff_color(figure), body.arm + thick)


def _bare(figure: Figure, body: Body, joints: list[Point]) -> str:
    """The arm with its hand in one outline."""
    tone, size, hand = skin(figure).base, _hand_size(figure), joints[2]
    # The hand's fill comes last and hides the arm's end inside it.
    return ellipse(*hand, size, size, tone, 10) + limb(joints, tone, body.arm - 4) + ellipse(*hand, size, size, tone)


def _hand_size(figure: Figure) -> float:
    return 16 if figure.kind == "man" else 13.5


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _before(a: Point, b: Point, distance: float) -> Point:
    """The point on the way from a to b that far before b."""
    return _between(a, b, max(1 - distance / math.dist(a, b), 0.1))


def _fist(figure: Figure, hand: Point) -> str:
    size = _hand_size(figure) + 2
    return ellipse(*hand, size, size, skin(figure).base, 5)


def _gesture(figure: Figure, hand: Point) -> str:
    """Fingers, where they tell the action."""
    if figure.action == "hand_on_chin":
        x, y = hand
        thumb_and_finger = limb([(x + 15, y - 22), hand, (x - 27, y - 7)], skin(figure).base, 10)
        return thumb_and_finger + ellipse(x, y, 12, 12, skin(figure).base)
    if figure.action == "waving":
        return _open_hand(figure, hand, 1)
    if figure.action == "arms_raised":
        return _open_hand(figure, hand, 1) + _open_hand(figure, (-hand[0], hand[1]), -1)
    if figure.action == "hands_clasped":
        _, y = hand
        both = ellipse(0, y, 27, 19, skin(figure).base, 6)
        return both + curve(f"M-12,{y - 8} L7,{y - 3} M-12,{y + 1} L7,{y + 6}", 4)
    return ""


def _open_hand(figure: Figure, hand: Point, s: int) -> str:
    x, y = hand
    tone = skin(figure).base
    tips = ((-20 * s, -4), (-10 * s, -24), (4 * s, -28), (17 * s, -21))
    fingers = "".join(limb([hand, (x + dx, y + dy)], tone, 8) for dx, dy in tips)
    return fingers + ellipse(x, y, 13, 13, tone)

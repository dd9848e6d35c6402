"""Characters drawn from their looks, their feeling and their action."""

from __future__ import annotations

from renderer.miniature.art.figures.accessories import draw_accessory, draw_scarf
from renderer.miniature.art.figures.arms import draw_behind, draw_high_arms, draw_low_arms
from renderer.miniature.art.figures.bodies import HEAD_RADIUS, body
from renderer.miniature.art.figures.clothes import draw_outfit
from renderer.miniature.art.figures.faces import draw_face, draw_feeling
from renderer.miniature.art.figures.hair import draw_back_hair, draw_front_hair, draw_ties
from renderer.miniature.art.figures.legs import draw_legs
from renderer.miniature.book import Figure

__all__ = ["HEAD_RADIUS", "crown", "draw_figure", "feet"]

_SHOE_SOLE = 6.0


def draw_figure(figure: Figure) -> str:
    """The character about the middle of its head at (0, 0), from `crown` down to `feet`."""
    shape = body(figure)
    below = draw_behind(figure) + draw_back_hair(figure) + draw_legs(figure, shape) + draw_outfit(figure, shape)
    middle = draw_low_arms(figure, shape) + draw_scarf(figure)
    head = draw_face(figure) + draw_front_hair(figure) + draw_ties(figure) + draw_feeling(figure)
    return below + middle + head + draw_accessory(figure) + draw_high_arms(figure, shape)


def feet(figure: Figure) -> float:
    """How low the soles are; sitting figures are shorter."""
    return body(figure).foot[1] + _SHOE_SOLE


def crown(figure: Figure) -> float:
    """How high the top is: of the hair, of what is worn on it, or of an umbrella above it."""
    if figure.action == "umbrella":
        return -196.0
    if figure.accessory in ("hat", "bow"):
        return -153.0
    return -128.0 if figure.kind == "boy" else -118.0

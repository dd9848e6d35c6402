"""The proportions of children's and grown-ups' bodies below heads of the same size."""

from __future__ import annotations

from dataclasses import dataclass

from renderer.miniature.art.shapes import Point
from renderer.miniature.book import Figure, Kind

HEAD_RADIUS = 92.0


@dataclass(frozen=True)
class Body:
    """Where the right half of a body is; (0, 0) is the middle of its head."""

    shoulder: Point
    waist: Point
    hip: Point
    knee: Point
    foot: Point
    arm: float
    leg: float
    hem: float
    """How low a skirt or a coat reaches."""
    child: bool
    sitting: bool


def body(figure: Figure) -> Body:
    """The figure's body in its posture; sitting, the knees come toward the viewer and the feet up."""
    child = figure.kind in ("girl", "boy")
    sitting = figure.posture == "sitting"
    shoulder, waist, hip, leg = _BUILDS[figure.kind]
    top, middle, low = (98.0, 138.0, 164.0) if child else (100.0, 164.0, 206.0)
    knee, foot, hem = (178.0, 236.0, 184.0) if child else (224.0, 288.0, 230.0)
    if not sitting:
        knee, foot, hem = (204.0, 243.0, 198.0) if child else (268.0, 330.0, 262.0)
    spread = (38.0, 56.0) if sitting else (20.0, 22.0)
    wider = 6 if figure.kind == "man" else 0
    return Body(
        shoulder=(shoulder, top),
        waist=(waist, middle),
        hip=(hip, low),
        knee=(spread[0] + wider, knee),
        foot=(spread[1] + wider, foot),
        arm=leg - 2,
        leg=leg,
        hem=hem,
        child=child,
        sitting=sitting,
    )


_BUILDS: dict[Kind, tuple[float, float, float, float]] = {
    "girl": (37, 31, 37, 22),
    "boy": (42, 39, 40, 24),
    "woman": (44, 32, 44, 24),
    "man": (62, 50, 46, 31),
}
"""Half the width of shoulders, waist and hips, and the thickness of a leg."""

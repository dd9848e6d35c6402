"""The few SVG shapes that the picture book is drawn with."""

from __future__ import annotations

from collections.abc import Sequence

OUTLINE = "#3b2b3f"
"""The ink of every outline."""

Point = tuple[float, float]


def ellipse(x: float, y: float, rx: float, ry: float, fill: str, width: float = 0) -> str:
    """An ellipse about (x, y), outlined when `width` is given."""
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{fill}"{_stroke(OUTLINE, width)}/>'


def rect(x: float, y: float, w: float, h: float, fill: str, width: float = 0, radius: float = 0) -> str:
    """A rectangle from its top left corner, outlined when `width` is given."""
    box = f'x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
    return f'<rect {box} rx="{radius}" fill="{fill}"{_stroke(OUTLINE, width)}/>'


def path(d: str, fill: str, width: float = 0, opacity: float = 1) -> str:
    """A filled path, outlined when `width` is given."""
    see_through = f' opacity="{opacity}"' if opacity < 1 else ""
    return f'<path d="{d}" fill="{fill}"{_stroke(OUTLINE, width)}{see_through}/>'


def curve(d: str, width: float, color: str = OUTLINE) -> str:
    """An open path drawn with a round pen."""
    return f'<path d="{d}" fill="none"{_stroke(color, width)}/>'


def limb(points: Sequence[Point], color: str, width: float) -> str:
    """A bent arm or leg: a thick outlined line through `points`."""
    d = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return curve(d, width + 10) + curve(d, width, color)


def star(x: float, y: float, size: float, fill: str) -> str:
    """A four-pointed star."""
    s, t = size, size * 0.3
    corners = ((0, -s), (t, -t), (s, 0), (t, t), (0, s), (-t, t), (-s, 0), (-t, -t))
    return path("M" + " L".join(f"{x + dx},{y + dy}" for dx, dy in corners) + " Z", fill)


def group(shapes: str, transform: str) -> str:
    """The shapes, moved together."""
    return f'<g transform="{transform}">{shapes}</g>'


def mirror(shapes: str, width: float = 512) -> str:
    """The shapes, left and right exchanged on a canvas of that width."""
    return group(shapes, f"translate({width},0) scale(-1,1)")


def _stroke(color: str, width: float) -> str:
    if not width:
        return ""
    return f' stroke="{color}" stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"'

"""What stands outdoors: trees, bushes, houses, lamps, flowers."""

from __future__ import annotations

from renderer.miniature.art.places.scenery import INK, LIGHT, cluster, lit
from renderer.miniature.art.shapes import curve, ellipse, path, rect
from renderer.miniature.book import Time


def tree(x: float, y: float, size: float, leaf: str, time: Time) -> str:
    """A round tree whose trunk stands at (x, y); `size` is its crown's radius or so."""
    green, s = lit(leaf, time), size
    trunk = path(
        f"M{x - 0.2 * s},{y} Q{x - 0.1 * s},{y - s} {x - 0.16 * s},{y - 1.4 * s} H{x + 0.16 * s} "
        f"Q{x + 0.1 * s},{y - s} {x + 0.2 * s},{y} Z",
        lit("#8a5a38", time),
        INK,
    )
    puffs = ((-0.6, -1.5, 0.56), (0.6, -1.5, 0.56), (-0.3, -2.1, 0.6), (0.34, -2.1, 0.58), (0, -1.5, 0.6))
    crown = cluster([(x + dx * s, y + dy * s, r * s) for dx, dy, r in puffs], green)
    gleam = ellipse(x - 0.34 * s, y - 2.24 * s, 0.34 * s, 0.24 * s, "#ffffff2e")
    return trunk + crown + gleam


def bush(x: float, y: float, size: float, leaf: str, blossom: str, time: Time) -> str:
    """A bush that stands at (x, y), with large round blossoms."""
    puffs = ((-0.7, -0.4, 0.5), (0.7, -0.4, 0.5), (0, -0.7, 0.62), (0, -0.3, 0.6))
    green = cluster([(x + dx * size, y + dy * size, r * size) for dx, dy, r in puffs], lit(leaf, time))
    spots = ((-0.62, -0.62), (0.02, -0.98), (0.6, -0.66), (-0.1, -0.3))
    return green + "".join(
        ellipse(x + dx * size, y + dy * size, 0.25 * size, 0.23 * size, lit(blossom, time, True), 4) for dx, dy in spots
    )


def fir(x: float, y: float, size: float, leaf: str, snow: str = "") -> str:
    """A fir `size` units high that stands at (x, y), its tiers capped with snow if that has a color."""
    tree_ = rect(x - 0.06 * size, y - 0.16 * size, 0.12 * size, 0.16 * size, "#7a5238", INK)
    for low, high, half in ((0.12, 0.52, 0.3), (0.36, 0.76, 0.24), (0.58, 1.0, 0.18)):
        foot, tip = y - low * size, y - high * size
        tree_ += path(
            f"M{x},{tip} L{x + half * size},{foot} Q{x},{foot + 0.06 * size} {x - half * size},{foot} Z", leaf, INK
        )
        if snow:
            cap, w = tip + 0.5 * (foot - tip), 0.5 * half * size
            tree_ += path(f"M{x},{tip} L{x + w},{cap} q{-w / 2},{w * 0.5} {-w},0 q{-w / 2},{w * 0.5} {-w},0 Z", snow, 4)
    return tree_


def house(x: float, top: float, w: float, base: float, colors: tuple[str, str], time: Time) -> str:
    """A narrow house with a gable: its wall and roof colors, its windows lit after dark."""
    wall, roof = (lit(color, time) for color in colors)
    pane = LIGHT if time == "night" else "#fff0b8" if time == "sunset" else "#d8f1ff"
    body = rect(x, top + 66, w, base - top - 66, wall, INK)
    gable = path(f"M{x - 14},{top + 74} L{x + w / 2},{top} L{x + w + 14},{top + 74} Z", roof, INK)
    side, gap = w * 0.26, w * 0.16
    spots = [(x + gap + i * (side + gap * 2), y) for y in range(int(top) + 98, int(base) - 110, 82) for i in (0, 1)]
    panes = "".join(rect(px, py, side, 50, pane, 4, 3) for px, py in spots)
    door = rect(x + w / 2 - 20, base - 74, 40, 74, lit("#8a5233", time), INK, 6)
    return body + gable + panes + door


def street_lamp(x: float, y: float, time: Time) -> str:
    """A lamp post that stands at (x, y), alight after dark."""
    shine = "#f3f7fb" if time == "day" else LIGHT
    glow = ellipse(x, y - 296, 96, 96, "#ffe27a55") if time == "night" else ""
    iron = lit("#4a5568", time)
    post = rect(x - 7, y - 262, 14, 262, iron, 4) + rect(x - 20, y - 22, 40, 24, iron, INK, 6)
    glass = path(f"M{x - 20},{y - 262} L{x - 32},{y - 322} H{x + 32} L{x + 20},{y - 262} Z", shine, INK)
    return glow + post + glass + path(f"M{x - 42},{y - 322} L{x},{y - 356} L{x + 42},{y - 322} Z", iron, INK)


def flower(x: float, y: float, petal: str) -> str:
    """A small flower in the grass."""
    petals = "".join(ellipse(x + dx, y + dy, 8, 8, petal) for dx, dy in ((-8, 0), (8, 0), (0, -8), (0, 8)))
    return curve(f"M{x},{y + 8} v22", 5, "#3f8a4a") + petals + ellipse(x, y, 6, 6, "#ffe27a")


def mushroom(x: float, y: float, size: float, time: Time) -> str:
    """A red mushroom with white dots that stands at (x, y)."""
    s, red, cream = size, lit("#e5484a", time, True), lit("#fff3dc", time, True)
    stem = rect(x - 0.26 * s, y - s, 0.52 * s, s, cream, INK, 0.2 * s)
    dome = f"Q{x - 0.9 * s},{y - 1.9 * s} {x},{y - 1.9 * s} T{x + s},{y - 0.8 * s}"
    cap = path(f"M{x - s},{y - 0.8 * s} {dome} Q{x},{y - 0.56 * s} {x - s},{y - 0.8 * s} Z", red, INK)
    spots = ((-0.45, -1.2, 0.2), (0.1, -1.5, 0.22), (0.55, -1.1, 0.17))
    return stem + cap + "".join(ellipse(x + dx * s, y + dy * s, r * s, r * s, cream) for dx, dy, r in spots)

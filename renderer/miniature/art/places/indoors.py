"""What stands in rooms: walls, windows, lamps, pictures, books, plants."""

from __future__ import annotations

import random

from renderer.miniature.art.places.scenery import INK, LEFT, LIGHT, WIDTH, band, lit
from renderer.miniature.art.places.sky import cloud, moon
from renderer.miniature.art.shapes import curve, ellipse, path, rect, star
from renderer.miniature.book import Time

BOOKS = ("#d9534f", "#f0b03f", "#4f9d69", "#3f7fc9", "#8d62b8", "#f4ead2", "#e07fa4", "#2f6f7f")


def room(wall: str, floor: str, time: Time, edge: float = 432) -> str:
    """A bare room: its wall down to `edge`, a skirting board, and the floor."""
    skirting = band(edge - 18, 18, lit("#fff8ec", time, indoors=True))
    boards = band(edge, 512 - edge, lit(floor, time, indoors=True)) + band(edge, 6, "#3b2b3f33")
    return band(0, edge, lit(wall, time, indoors=True)) + skirting + boards


def window(x: float, y: float, w: float, h: float, time: Time) -> str:
    """A window that shows the time."""
    frame = rect(x - 12, y - 12, w + 24, h + 24, "#fffaf0", INK, 8)
    sill = rect(x - 22, y + h + 8, w + 44, 18, "#fffaf0", INK, 6)
    bars = rect(x + w / 2 - 5, y, 10, h, "#fffaf0") + rect(x, y + h * 0.52, w, 9, "#fffaf0")
    return frame + _view(x, y, w, h, time) + bars + sill


def curtains(x: float, y: float, w: float, h: float, color: str) -> str:
    """Curtains at both sides of a window of that size, on a rod."""
    left = f"M{x - 30},{y - 20} H{x + w * 0.28} Q{x + w * 0.2},{y + h * 0.6} {x - 4},{y + h * 0.72}"
    right = f"M{x + w + 30},{y - 20} H{x + w * 0.72} Q{x + w * 0.8},{y + h * 0.6} {x + w + 4},{y + h * 0.72}"
    sides = path(f"{left} L{x + 6},{y + h + 34} H{x - 30} Z", color, INK)
    sides += path(f"{right} L{x + w - 6},{y + h + 34} H{x + w + 30} Z", color, INK)
    return sides + rect(x - 42, y - 28, w + 84, 12, "#8a5a34", 4, 6)


def floor_lamp(x: float, time: Time) -> str:
    """A standing lamp, alight at night."""
    shade = LIGHT if time == "night" else "#f6c982"
    glow = ellipse(x, 110, 150, 130, "#ffd98a33") + ellipse(x, 100, 96, 84, "#ffe27a44") if time == "night" else ""
    pole = rect(x - 5, 120, 10, 340, "#6a4f45", 4) + ellipse(x, 462, 44, 14, "#6a4f45", INK)
    return glow + pole + path(f"M{x - 34},46 H{x + 34} L{x + 56},136 H{x - 56} Z", shade, INK)


def table_lamp(x: float, y: float, time: Time) -> str:
    """A small lamp that stands at (x, y), alight at night."""
    shade = LIGHT if time == "night" else "#f7b9a2"
    glow = (
        ellipse(x, y - 70, 120, 108, "#ffd98a33") + ellipse(x, y - 70, 76, 68, "#ffe27a44") if time == "night" else ""
    )
    foot = path(
        f"M{x - 22},{y} Q{x - 8},{y - 20} {x - 6},{y - 44} H{x + 6} Q{x + 8},{y - 20} {x + 22},{y} Z", "#ffffff", 4
    )
    return glow + foot + path(f"M{x - 24},{y - 104} H{x + 24} L{x + 44},{y - 42} H{x - 44} Z", shade, INK)


def picture_frame(x: float, y: float, w: float, h: float) -> str:
    """A small landscape in a golden frame."""
    edge = rect(x, y, w, h, "#d9a441", INK, 4) + rect(x + 12, y + 12, w - 24, h - 24, "#cfeaf7")
    low, high = y + h - 12, y + h * 0.62
    slope = f"M{x + 12},{low} V{high} Q{x + w * 0.5},{y + h * 0.3} {x + w - 12},{high} V{low} Z"
    hill = path(slope, "#74b86a")
    return edge + hill + ellipse(x + w * 0.68, y + h * 0.34, 9, 9, "#f28a4a")


def plant(x: float, y: float, pot: str) -> str:
    """A leafy plant in a pot that stands at (x, y)."""
    blades = ((-62, -150), (-30, -196), (18, -210), (56, -160), (0, -150))
    leaves = "".join(
        path(
            f"M{x},{y - 60} Q{x + dx - 44},{y + dy + 50} {x + dx},{y + dy} Q{x + dx + 44},{y + dy + 60} {x},{y - 60} Z",
            "#4fa65a",
            4,
        )
        for dx, dy in blades
    )
    return leaves + path(f"M{x - 44},{y - 74} H{x + 44} L{x + 32},{y} H{x - 32} Z", pot, INK)


def book_row(left: float, right: float, y: float, height: float, rng: random.Random) -> str:
    """Colored books that stand on a board at `y`, side by side."""
    books, x = "", left
    while x < right - 18:
        w = min(rng.choice((22, 28, 34)), right - x)
        tall = height * rng.uniform(0.72, 0.96)
        books += rect(x, y - tall, w, tall, rng.choice(BOOKS), 3, 3)
        x += w if rng.random() < 0.86 else w + 18
    return books


def tiles(y: float, rows: int, size: float, colors: tuple[str, str]) -> str:
    """A chequered band of square tiles."""
    count = int(WIDTH // size) + 1
    dark = "".join(
        rect(LEFT + column * size, y + row * size, size, size, colors[1])
        for row in range(rows)
        for column in range(count)
        if (row + column) % 2
    )
    return band(y, rows * size, colors[0]) + dark


def _view(x: float, y: float, w: float, h: float, time: Time) -> str:
    """What one sees through a window."""
    if time == "night":
        lights = star(x + w * 0.24, y + h * 0.3, 13, "#fff4c2") + star(x + w * 0.3, y + h * 0.76, 10, "#fff4c2")
        return rect(x, y, w, h, "#182058") + lights + moon(x + w * 0.7, y + h * 0.28, min(w, h) * 0.17)
    if time == "sunset":
        glow = rect(x, y, w, h, "#ee7d6c") + rect(x, y + h * 0.45, w, h * 0.55, "#fdae5c")
        return glow + ellipse(x + w * 0.5, y + h * 0.62, w * 0.3, w * 0.3, "#fff0a0")
    hill = path(
        f"M{x},{y + h} V{y + h * 0.8} Q{x + w * 0.4},{y + h * 0.62} {x + w},{y + h * 0.84} V{y + h} Z", "#8fd47a"
    )
    return rect(x, y, w, h, "#9bd8fb") + cloud(x + w * 0.5, y + h * 0.34, w * 0.2, "#ffffff") + hill


def steam(x: float, y: float) -> str:
    """Two wisps that rise from (x, y)."""
    return "".join(curve(f"M{x + dx},{y} q-14,-20 0,-38 t0,-36", 9, "#ffffffcc") for dx in (-18, 18))

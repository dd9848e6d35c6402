"""Charts as plain numbers and SVG paths; the templates draw them, the style sheet colours them.

A chart's box is 1000 by 1000 units, stretched to wherever it stands; places of labels are percent of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BOX = 1000
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis, `at` percent from the left or from the top."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a chart; `name` is a word of the page, and its class. `dots` are its points where it has few."""

    name: str
    path: str
    dots: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class LineChart:
    """Curves over steps."""

    curves: tuple[Curve, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of two parts, from the bottom up, in units of the box; `title` says it in words."""

    left: float
    width: float
    kept: float
    dropped: float
    title: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """How many things are how large. `mark` is a place on the axis that matters, in percent; None for none."""

    bars: tuple[Bar, ...]
    across: tuple[Tick, ...]
    most: int
    mark: float | None = None


def line_chart(curves: Iterable[tuple[str, Sequence[Point], bool]], last: float, ticks: int = 4) -> LineChart:
    """A chart of curves (name, points, whether each point gets a dot) over 0 to `last`, about `ticks` high.

    Its height fits what most points need: single points far out, as noise gives, are drawn at its edge.
    """
    curves = [(name, [point for point in points if math.isfinite(point[1])], dotted) for name, points, dotted in curves]
    steps = nice_steps(*_reach([y for _, points, _ in curves for _, y in points]), ticks)
    low, high = steps[0], steps[-1]
    drawn = tuple(_curve(name, points, dotted, last, (low, high)) for name, points, dotted in curves if points)
    up = tuple(Tick(100 * (high - step) / (high - low), f"{step:.4g}") for step in steps)
    return LineChart(drawn, _axis(last), up)


def smoothed(points: Sequence[Point]) -> list[Point]:
    """A running mean whose weights fall off over a twentieth of the points, unbiased at its beginning."""
    keep = 1 - 2 / (max(1.0, len(points) / 20) + 1)
    total = weight = 0.0
    found = []
    for step, value in points:
        if math.isfinite(value):
            total, weight = keep * total + value, keep * weight + 1
            found.append((step, total / weight))
    return found


def bar_chart(values: Sequence[tuple[float, bool]], edges: Sequence[float], labels: Sequence[str]) -> BarChart:
    """A chart of values, each with whether its picture was kept, counted between `edges`; one label for each edge.

    What lies outside is counted at the ends.
    """
    count = len(edges) - 1
    kept, dropped = [0] * count, [0] * count
    for value, is_kept in values:
        place = sum(value >= edge for edge in edges[1:-1])
        (kept if is_kept else dropped)[place] += 1
    most = max(1, *(one + other for one, other in zip(kept, dropped, strict=True)))
    wide = BOX / count
    bars = tuple(
        Bar(
            left=round(place * wide + wide * 0.06, 2),
            width=round(wide * 0.88, 2),
            kept=round(BOX * kept[place] / most, 2),
            dropped=round(BOX * dropped[place] / most, 2),
            title=f"{labels[place]} – {labels[place + 1]}: {kept[place]} + {dropped[place]}",
        )
        for place in range(count)
    )
    across = tuple(Tick(100 * place / count, label) for place, label in enumerate(labels))
    return BarChart(bars, across, most)


def place_on(value: float, edges: Sequence[float]) -> float:
    """Where a value stands between the edges of a bar chart, in percent."""
    count = len(edges) - 1
    place = min(count - 1, sum(value >= edge for edge in edges[1:-1]))
    part = (value - edges[place]) / (edges[place + 1] - edges[place])
    return 100 * (place + min(1.0, max(0.0, part))) / count


def nice_steps(low: float, high: float, count: int) -> list[float]:
    """Round numbers, about `count` of them, from at or below `low` to at or above `high`."""
    span = (high - low) / max(1, count) or abs(high) / 2 or 1.0
    size = 10.0 ** math.floor(math.log10(span))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= span * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


def _reach(values: Sequence[float]) -> tuple[float, float]:
    """Least and most of values, without the outermost hundredth where there are many."""
    ordered = sorted(values) or [0.0, 1.0]
    spare = len(ordered) // 100
    return ordered[spare], ordered[-1 - spare]


def _curve(name: str, points: Sequence[Point], dotted: bool, last: float, reach: tuple[float, float]) -> Curve:
    low, high = reach
    placed = tuple(
        (round(BOX * x / max(1.0, last), 1), round(BOX * min(1.0, max(0.0, (high - y) / (high - low))), 1))
        for x, y in points
    )
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in placed)
    return Curve(name, path, placed if dotted else ())


def _axis(last: float) -> tuple[Tick, ...]:
    """Steps along the bottom, from 0 to the last."""
    steps = [step for step in nice_steps(0, last, 5) if step < 0.93 * last]
    return tuple(Tick(100 * step / last if last else 0.0, f"{step:g}") for step in (*steps, last))

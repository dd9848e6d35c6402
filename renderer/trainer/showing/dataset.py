"""What the page of a data set shows, as plain values."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from renderer.trainer.data.report import Look, Report
from renderer.trainer.data.samples import Finding
from renderer.trainer.data.sifting import number
from renderer.trainer.data.thumbs import THUMBS
from renderer.trainer.recipe import Recipe
from renderer.trainer.showing.charts import BarChart, Tick, bar_chart, nice_steps, place_on

MOST = 3000
"""Pictures that the page shows one by one; the report beside it has all."""
ASPECTS = (1 / 3, 1 / 2, 2 / 3, 3 / 4, 0.95, 1.05, 4 / 3, 3 / 2, 2.0, 3.0)
ASPECT_LABELS = ("1:3", "1:2", "2:3", "3:4", "", "", "4:3", "3:2", "2:1", "3:1")
SIZES = 8
"""About so many bars of sizes."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture on the page.

    `thumb` is the URL of its small copy and `picture` that of its file, '' where there is none; `kinds` are words that
    it can be found by, `notes` what is told about it, `numbers` what was measured.
    """

    name: str
    caption: str
    thumb: str
    picture: str
    size: str
    kinds: str
    is_kept: bool
    notes: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StepView:
    """An operator of the filter: its place in the list, name, arguments as text, and pictures that came and stayed."""

    index: int
    name: str
    arguments: str
    came: int
    stayed: int


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """All that the template of the page sees. `reasons` are why pictures were left out, with how many each."""

    title: str
    source: str
    kept: int
    dropped: int
    noted: int
    digest: str
    target: str
    sizes: BarChart | None
    aspects: BarChart | None
    reasons: tuple[tuple[str, int], ...]
    steps: tuple[StepView, ...]
    words: tuple[tuple[str, int, int], ...]
    duplicates: tuple[tuple[str, tuple[Tile, ...]], ...]
    tiles: tuple[Tile, ...]
    more: int


def dataset_page(folder: Path, report: Report, recipe: Recipe) -> DatasetPage:
    """The page of a report that lies in a folder."""
    findings: dict[str, list[Finding]] = {}
    for finding in report.findings:
        findings.setdefault(finding.name, []).append(finding)
    kept = {sample.name: sample.path for sample in report.samples}
    dropped = [name for name, found in findings.items() if name not in kept and any(it.left_out for it in found)]
    base = recipe.data_folder
    tiles = {
        name: _tile(
            name, folder, report.looks.get(name), findings.get(name, []), kept.get(name) or (base and base / name)
        )
        for name in (*dropped, *kept)
    }
    reasons = Counter(it.reason for it in report.findings if it.left_out)
    most = max((count for _, count in report.words), default=1)
    return DatasetPage(
        title=recipe.title,
        source=recipe.data.modelscope or recipe.data.folder or "",
        kept=len(kept),
        dropped=len(dropped),
        noted=len({it.name for it in report.findings if not it.left_out}),
        digest=report.digest,
        target=f"{recipe.image.width}x{recipe.image.height}",
        sizes=_sizes(report, set(kept), min(recipe.image.width, recipe.image.height)),
        aspects=_aspects(report, set(kept), recipe.image.width / recipe.image.height),
        reasons=tuple(reasons.most_common()),
        steps=tuple(_step(index, report) for index in range(len(report.steps))),
        words=tuple((word, count, 1 + round(4 * count / most)) for word, count in report.words),
        duplicates=tuple((it.kind, tuple(tiles[name] for name in it.names)) for it in report.duplicates),
        tiles=tuple(tiles.values())[:MOST],
        more=max(0, len(tiles) - MOST),
    )


def _tile(name: str, folder: Path, look: Look | None, findings: Iterable[Finding], path: Path | None) -> Tile:
    left_out = [it for it in findings if it.left_out]
    numbers = [(key, value) for measured in (look.numbers if look else {}).values() for key, value in measured.items()]
    return Tile(
        name=name,
        caption=look.caption if look else "",
        thumb=f"{THUMBS}/{look.thumb}" if look and look.thumb else "",
        picture=_url(path, folder) if look and path else "",
        size=f"{look.width}x{look.height}" if look else "",
        kinds=" ".join(["dropped" if left_out else "kept", *{it.reason for it in findings}]),
        is_kept=not left_out,
        notes=tuple((it.reason, it.detail) for it in findings),
        numbers=tuple((key, number(value)) for key, value in numbers),
    )


def _url(path: Path, folder: Path) -> str:
    """The URL of a picture's own file, relative to the page; '' where none leads there."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()), safe="/")
    except ValueError:  # another drive
        return ""


def _step(index: int, report: Report) -> StepView:
    step = report.steps[index]
    arguments = ", ".join(f"{key}: {number(value)}" for key, value in step.arguments.items())
    return StepView(index, step.name, arguments, step.came, step.stayed)


def _sizes(report: Report, kept: set[str], target: int) -> BarChart | None:
    """How many pixels the shorter sides have."""
    if not report.looks:
        return None
    values = [(float(min(look.width, look.height)), name in kept) for name, look in report.looks.items()]
    least, most = min(value for value, _ in values), max(value for value, _ in values)
    edges = nice_steps(least, max(most + 1, least + SIZES), SIZES)
    labels = [f"{edge:g}" for edge in edges]
    chart = bar_chart(values, edges, labels)
    ticks = tuple(tick for place, tick in enumerate(chart.across) if place % 2 == 0)
    mark = place_on(target, edges) if edges[0] <= target <= edges[-1] else None
    return BarChart(chart.bars, ticks, chart.most, mark)


def _aspects(report: Report, kept: set[str], target: float) -> BarChart | None:
    """How wide pictures are for their height."""
    if not report.looks:
        return None
    values = [(look.width / look.height, name in kept) for name, look in report.looks.items()]
    chart = bar_chart(values, ASPECTS, ASPECT_LABELS)
    ticks = [*(tick for tick in chart.across if tick.label), Tick(50.0, "1:1")]
    return BarChart(chart.bars, tuple(sorted(ticks, key=lambda it: it.at)), chart.most, place_on(target, ASPECTS))

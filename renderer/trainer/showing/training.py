"""What the page of a training shows, as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from renderer.trainer.showing.charts import LineChart, Point, line_chart, smoothed

Loss = tuple[int, float | None, float | None, float | None]
"""A step, and at it the training loss, the validation loss and the learning rate, as far as there are any."""


State = Literal["running", "stopped", "finished"]
"""A training that was stopped can be gone on with."""


@dataclass(frozen=True)
class TrainingView:
    """How a training stands: `step` of `steps` are done, `eta` seconds are left (None: not known).

    `samples` are sample pictures by step, each with its prompt and its file, relative to the run folder, with /.
    """

    name: str
    recipe_digest: str
    step: int
    steps: int
    eta: float | None
    losses: Sequence[Loss]
    samples: Sequence[tuple[int, Sequence[tuple[str, str]]]]
    state: State


@dataclass(frozen=True, slots=True)
class Shot:
    """A sample picture: the URL of its file, and its prompt."""

    url: str
    prompt: str


@dataclass(frozen=True, slots=True)
class TrainingPage:
    """All that the template of the page sees."""

    view: TrainingView
    losses: LineChart | None
    rates: LineChart | None
    train: float | None
    validation: float | None
    rate: float | None
    broken: int | None
    samples: tuple[tuple[int, tuple[Shot, ...]], ...]
    data: str


def training_page(folder: Path, view: TrainingView) -> TrainingPage:
    """The page of the training in a run folder. `broken` is the first step whose loss is no number."""
    train, validation, rate = (
        [(row[0], row[part]) for row in view.losses if row[part] is not None] for part in (1, 2, 3)
    )
    curves = [("raw", _points(train), False), ("train", smoothed(_points(train)), False)]
    if validation:
        curves.append(("validation", _points(validation), len(validation) <= 60))
    broken = [step for step, value in (*train, *validation) if value is not None and not math.isfinite(value)]
    data = folder / "data" / "index.html"
    return TrainingPage(
        view=view,
        losses=line_chart(curves, view.steps) if train or validation else None,
        rates=line_chart([("rate", _points(rate), False)], view.steps, 2) if rate else None,
        train=_last(smoothed(_points(train))),
        validation=_last(_points(validation)),
        rate=_last(_points(rate)),
        broken=min(broken, default=None),
        samples=tuple(
            (step, tuple(Shot(quote(file, safe="/"), prompt) for prompt, file in shots))
            for step, shots in sorted(view.samples, key=lambda it: -it[0])
        ),
        data="data/index.html" if data.is_file() else "",
    )


def _points(rows: Sequence[tuple[int, float | None]]) -> list[Point]:
    return [(float(step), value) for step, value in rows if value is not None]


def _last(points: Sequence[Point]) -> float | None:
    return next((value for _, value in reversed(points) if math.isfinite(value)), None)

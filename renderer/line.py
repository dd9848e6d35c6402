"""The whole line on one screen: load, plan, paint, compose, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from renderer.errors import ModelError, StoryboardError, did_you_mean
from renderer.files import explained
from renderer.grid import compose_grid, grid_digest
from renderer.history import remember
from renderer.interrupting import interrupts_held
from renderer.kolors.card import require_whole
from renderer.paint import Observer, Outcome, Run, open_run, paint
from renderer.plan import Plan, PlannedTake, plan_story
from renderer.progress import default_observer
from renderer.sheet import write_sheet
from renderer.take import Painter

if TYPE_CHECKING:
    from renderer.verify import Comparison

REFRESH_SECONDS = 2.0
"""The sheet is written anew while painting, at most this often, and never for more than a twentieth of the time."""


@dataclass(frozen=True, repr=False)
class Result:
    """What a render left behind: the sheet, the pages of the grid, and what became of the takes it had to paint."""

    plan: Plan
    sheet: Path
    grid: tuple[Path, ...]
    outcome: Outcome
    left: int

    def __repr__(self) -> str:
        return f"{self.sheet}: {len(self.outcome.painted)} painted, {len(self.outcome.failed)} failed, {self.left} left"

    def _repr_png_(self) -> bytes | None:
        """The first page of the grid, for a notebook to display."""
        return self.grid[0].read_bytes() if self.grid else None


def render(
    story: Path | str,
    *,
    out: Path | str | None = None,
    scenes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    more: int = 0,
    draft: bool = False,
    picks: bool = False,
    limit: int | None = None,
    wait: bool = False,
    loras: Sequence[Path] = (),
    templates: Path | None = None,
    painter: Painter | None = None,
    observer: Observer | None = None,
    open_painter: Callable[[Plan], Painter] | None = None,
) -> Result:
    """Turn a storyboard file into pictures, a grid and a sheet; takes whose picture is there are not painted again.

    `scenes` and `seeds` choose what is painted now (default: all), `limit` how many at most, `picks` only what the
    story picks; `more` asks for seeds beyond those of the file, `draft` for quick drafts of takes that have no picture
    yet. `out` is the run folder
    (default: `renders/<stem>` in the working folder). Raises AuthoringError with every problem of the file, ModelError,
    LoraError or RunFolderError before anything is painted. Where no `painter` is given, `open_painter` makes the one
    for a plan (default: the plan's model is opened).
    """

    opened = open_painter or open_kolors
    planned = partial(plan_story, story, out=out, more=more, more_for=scenes, loras=loras, draft=draft)
    plan = planned()
    check_selection(plan, scenes, seeds, picks)
    if plan.select(scenes, seeds, limit, picks) and painter is None:
        painter = opened(plan)
    with open_run(plan, planned, wait) as run:
        chosen = run.plan.select(scenes, seeds, limit, picks)
        try:
            outcome = _painted(
                run, chosen, lambda: painter or opened(run.plan), observer or default_observer(), templates
            )
        except StoryboardError:
            with suppress(StoryboardError):
                _look(run, templates)  # else the sheet would go on saying that painting goes on
            raise
        grid = _look(run, templates)
        left = len(run.plan.to_paint) - len(outcome.painted) - len(outcome.failed)
        return Result(run.plan, run.folder / "index.html", grid, outcome, left)


def rebuild(
    story: Path | str, *, out: Path | str | None = None, loras: Sequence[Path] = (), templates: Path | None = None
) -> Result:
    """Grid and sheet anew from the pictures that are there, without painting. Raises as `render` does."""
    return render(story, out=out, limit=0, loras=loras, templates=templates)


def verify_story(
    story: Path | str,
    *,
    out: Path | str | None = None,
    scenes: Sequence[str] = (),
    seeds: Sequence[int] = (),
    loras: Sequence[Path] = (),
    painter: Painter | None = None,
) -> Iterator[Comparison]:
    """Each chosen take that has a picture, its own or a draft's, painted again and compared with it.

    Writes nothing; raises as `render`.
    """
    from renderer.verify import verify

    plan = plan_story(story, out=out, loras=loras, draft=True)
    check_selection(plan, scenes, seeds)
    chosen = [planned for planned in plan.takes if not planned.reason and planned.chosen(scenes, seeds)]
    if chosen:
        yield from verify(plan, chosen, painter or open_kolors(plan), lambda progress: None)


def _painted(
    run: Run,
    chosen: Sequence[PlannedTake],
    opened: Callable[[], Painter],
    observer: Observer,
    templates: Path | None,
) -> Outcome:
    if not chosen:
        return Outcome()
    painter = opened()
    for problem in run.plan.warnings:
        observer.warned(problem)
    refresh = _sheet_refresher(run, len(chosen), templates)
    with explained(run.folder):
        remember(run.save(), run.folder)
        refresh()  # a template that can't be used is found now, not after the first picture
    return paint(run, chosen, painter, observer, refresh)


def _sheet_refresher(run: Run, total: int, templates: Path | None) -> Callable[[], None]:
    """Writes the sheet while painting goes on, but not so often that it would slow the painting down."""
    before = len(run.pictures)
    due = time.monotonic()

    def refresh() -> None:
        nonlocal due
        started = time.monotonic()
        if started < due:
            return
        write_sheet(run.manifest(), run.folder, templates=templates, painting=(len(run.pictures) - before, total))
        due = time.monotonic() + max(REFRESH_SECONDS, 20 * (time.monotonic() - started))

    return refresh


def _look(run: Run, templates: Path | None) -> tuple[Path, ...]:
    """Grid, picks and sheet as they should look now; the grid only where it would come out otherwise."""
    with explained(run.folder):
        manifest = run.manifest()
        digest = grid_digest(manifest)
        pages = tuple(compose_grid(manifest, run.folder, unchanged=digest == run.grid_digest))
        run.grid_digest = digest
        saved = run.save()
        remember(saved, run.folder)
        write_sheet(saved, run.folder, templates=templates)
    return pages


def check_selection(plan: Plan, scenes: Sequence[str], seeds: Sequence[int], picks: bool = False) -> None:
    """Raises StoryboardError where these scenes, seeds or picks choose something that the story doesn't have."""
    if picks and not plan.picks:
        raise StoryboardError(
            f"{plan.storyboard.path}: no scene has a pick yet. Choose with `storyboard review "
            f"{plan.storyboard.path}`, or write `pick: SEED` into a scene."
        )
    known = [scene.id for scene in plan.storyboard.scenes]
    for scene in scenes:
        if scene not in known:
            raise StoryboardError(f'{plan.storyboard.path}: there is no scene "{scene}". {did_you_mean(scene, known)}')
    for seed in seeds:
        if not any(planned.chosen(scenes, (seed,)) for planned in plan.takes):
            raise StoryboardError(
                f"{plan.storyboard.path}: no scene chosen here has the seed {seed}. "
                f"Add it to the scene's seeds, or try more seeds with --more N."
            )


def open_kolors(plan: Plan, compiled: bool | None = None) -> Painter:
    """The real pipeline, its UNet `compiled` or not (default: where that pays). Raises ModelError where the weights are
    not on this machine, or not whole.
    """
    if plan.model_folder is None:
        raise ModelError(
            f"{plan.storyboard.path}: the weights of {plan.storyboard.model} are not on this machine. "
            f"Get them with `storyboard models pull {plan.storyboard.card.name}`."
        )
    require_whole(plan.model_folder)
    with interrupts_held():
        from renderer.kolors.pipeline import KolorsPainter

    return KolorsPainter(plan.model_folder, compiled=compiled)

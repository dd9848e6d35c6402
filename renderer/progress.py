"""How far a render is, for whoever watches: a bar in the terminal, plain lines in a log, a line in a notebook."""

from __future__ import annotations

import html
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from renderer.errors import Problem
from renderer.manifest import PictureRecord
from renderer.take import Failed, Progress

if TYPE_CHECKING:
    from rich.console import Console

    from renderer.paint import Observer

log = logging.getLogger("renderer")
log.addHandler(logging.NullHandler())

STAGES = {
    "loading": "loading the model",
    "encoding": "reading the prompts",
    "denoising": "painting",
    "decoding": "developing",
}


class Job:
    """The whole job's arithmetic: takes done, the share of the batch in hand, pictures a minute, seconds left."""

    def __init__(self, takes: int, seconds: float | None) -> None:
        self.takes = takes
        self.expected = seconds
        self.done = 0
        self.failed = 0
        self.share = 0.0
        self.stage = "loading the model"
        self.began = time.monotonic()
        self._painting_since: float | None = None

    def note(self, progress: Progress) -> None:
        """Take in a step of the painter."""
        self.stage = STAGES[progress.stage]
        if progress.stage == "denoising":
            self._painting_since = self._painting_since or time.monotonic()
            self.share = progress.takes * progress.done / max(1, progress.total)
        elif progress.stage != "decoding":
            self.share = 0.0

    def finish_one(self, failed: bool = False) -> None:
        """A take is done, or has failed."""
        self.done += 1
        self.failed += failed
        self.share = max(0.0, self.share - 1)

    @property
    def position(self) -> float:
        """Takes done, with the share of those in hand; never more than all."""
        return min(float(self.takes), self.done + self.share)

    @property
    def per_minute(self) -> float | None:
        """Pictures a minute since the first step of painting."""
        if self._painting_since is None or not self.position:
            return None
        return 60 * self.position / max(1e-6, time.monotonic() - self._painting_since)

    @property
    def seconds_left(self) -> float | None:
        """From the rate of this job once there is one, else from what past jobs took."""
        rate = self.per_minute
        if rate and self.position > 0.3:
            return 60 * (self.takes - self.position) / rate
        return None if self.expected is None else max(0.0, self.expected - (time.monotonic() - self.began))

    @property
    def summary(self) -> str:
        """`3/8 · 1 failed · 12.4 pictures/min · 0:24 left`"""
        rate, left = self.per_minute, self.seconds_left
        parts = [f"{self.done}/{self.takes}"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if rate:
            parts.append(f"{rate:.1f} pictures/min")
        if left is not None and self.done < self.takes:
            parts.append(f"{duration(left)} left")
        return " · ".join(parts)


def duration(seconds: float) -> str:
    """`0:24`, `12:05`, `3:07:40`"""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class Silent:
    """Says nothing but to the log."""

    def warned(self, problem: Problem) -> None:
        """Something in the story will hardly come out as it is meant."""
        log.warning("%s", problem)

    def started(self, takes: int, seconds: float | None) -> None:
        """Begin a job."""
        self.job = Job(takes, seconds)

    def progress(self, progress: Progress) -> None:
        """Follow the painter."""
        self.job.note(progress)

    def painted(self, picture: PictureRecord) -> None:
        """A picture is done."""
        self.job.finish_one()
        log.info("painted %s", picture.file)

    def failed(self, failed: Failed) -> None:
        """A take has failed."""
        self.job.finish_one(failed=True)
        log.warning("%s, %s: %s", failed.take.scene, failed.take.name, failed.reason)

    def ended(self) -> None:
        """The job is over."""


class Lines(Silent):
    """A plain line for each picture, where the output is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.said = ""

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warned(self, problem: Problem) -> None:
        """One line for each warning."""
        self._say(f"warning: {problem}")

    def progress(self, progress: Progress) -> None:
        """One line for each stage before the first picture."""
        super().progress(progress)
        if self.job.stage != self.said and progress.stage in ("loading", "encoding"):
            self.said = self.job.stage
            self._say(f"{self.said} …")

    def painted(self, picture: PictureRecord) -> None:
        """One line for each picture."""
        super().painted(picture)
        self._say(f"[{self.job.summary}] {picture.file}")

    def failed(self, failed: Failed) -> None:
        """One line for each failure."""
        super().failed(failed)
        self._say(f"[{self.job.summary}] {failed.take.scene}, {failed.take.name}: failed: {failed.reason}")


class Bar(Silent):
    """A bar for the whole job in a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def warned(self, problem: Problem) -> None:
        """One line for each warning, before the bar."""
        self.console.print(f"warning: {problem}", markup=False, style="yellow")

    def started(self, takes: int, seconds: float | None) -> None:
        """Show the bar."""
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as RichProgress

        super().started(takes, seconds)
        self.bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[summary]}"),
            console=self.console,
            transient=True,
        )
        self.task = self.bar.add_task(self.job.stage, total=takes, summary=self.job.summary)
        self.bar.start()

    def _show(self) -> None:
        job = self.job
        self.bar.update(self.task, completed=job.position, description=job.stage, summary=job.summary)

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        super().progress(progress)
        self._show()

    def painted(self, picture: PictureRecord) -> None:
        """Move the bar."""
        super().painted(picture)
        self._show()

    def failed(self, failed: Failed) -> None:
        """Count the failure; what failed is said at the end."""
        super().failed(failed)
        self._show()

    def ended(self) -> None:
        """Take the bar away."""
        self.bar.stop()


class Handle(Protocol):
    """What IPython gives for something on display."""

    def update(self, shown: object) -> None:
        """Show something else in its place."""


class Notebook(Silent):
    """One line with a bar below the cell of a notebook, at most ten times a second."""

    def __init__(self, display: Callable[..., Handle]) -> None:
        self.display = display
        self.handle: Handle | None = None
        self.shown = 0.0

    def warned(self, problem: Problem) -> None:
        """One line for each warning."""
        from IPython.display import HTML

        self.display(HTML(html.escape(f"warning: {problem}")))

    def started(self, takes: int, seconds: float | None) -> None:
        """Show the line."""
        super().started(takes, seconds)
        self.handle = self.display(self._line(), display_id=True)

    def _line(self) -> object:
        from IPython.display import HTML

        job = self.job
        words = html.escape(f"{job.stage} · {job.summary}")
        return HTML(f'<progress value="{job.position:.2f}" max="{job.takes}" style="width:16em"></progress> {words}')

    def _show(self, always: bool = False) -> None:
        if self.handle is not None and (always or time.monotonic() - self.shown > 0.1):
            self.handle.update(self._line())
            self.shown = time.monotonic()

    def progress(self, progress: Progress) -> None:
        """Move the line."""
        super().progress(progress)
        self._show()

    def painted(self, picture: PictureRecord) -> None:
        """Move the line."""
        super().painted(picture)
        self._show(always=True)

    def failed(self, failed: Failed) -> None:
        """Move the line."""
        super().failed(failed)
        self._show(always=True)

    def ended(self) -> None:
        """Leave the last state standing."""
        self.job.stage = "done" if self.job.done == self.job.takes else "stopped"
        self._show(always=True)


def default_observer() -> Observer:
    """A line in the notebook where this runs in one, else the log."""
    if "ipykernel" in sys.modules:
        from IPython.display import display

        return Notebook(display)
    return Silent()

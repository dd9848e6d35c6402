"""What a person sees of a training while it runs: each step as it is done, and a live page."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from math import nan

import lightning

from renderer.files import write_atomically
from renderer.trainer.learning.job import Job
from renderer.trainer.learning.progress import Row, TrainingProgress
from renderer.trainer.learning.recording import Recorder
from renderer.trainer.learning.samples import Sampler
from renderer.trainer.module import NotFinite
from renderer.trainer.pages import TrainingView, write_training_page
from renderer.trainer.showing.training import State

REFRESH_SECONDS = 2.0
"""The page is written anew at most this often, and never for more than a twentieth of the time."""


class Watch(lightning.Callback):
    """Tells of every step; writes `progress.json` and the page now and then, and at the end. Last of the callbacks."""

    def __init__(self, job: Job, recorder: Recorder, sampler: Sampler) -> None:
        self._job, self._recorder, self._sampler = job, recorder, sampler
        self._began = (0, 0.0)
        self._due = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self._began = (trainer.global_step, time.monotonic())
        self._show(trainer, trainer.global_step)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: object, batch: int, batch_idx: int
    ) -> None:
        """Tells of a step that is done."""
        self._show(trainer, batch + 1)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Leaves the page as it stays."""
        if trainer.is_global_zero:
            over = trainer.global_step >= self._job.recipe.train.steps
            self._write(trainer.global_step, None, self._recorder.rows, "finished" if over else "stopped")

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Shows on the page where the loss was no number any more."""
        if trainer.is_global_zero and isinstance(exception, NotFinite):
            broken = Row(trainer.global_step + 1, nan, None, None)
            self._write(trainer.global_step, None, [*self._recorder.rows, broken], "stopped")

    def _show(self, trainer: lightning.Trainer, step: int) -> None:
        if not trainer.is_global_zero:
            return
        steps = self._job.recipe.train.steps
        self._job.tell(TrainingProgress("training", step, steps, self._recorder.loss))
        started = time.monotonic()
        if started >= self._due and step < steps:
            self._write(step, self._seconds_left(step), self._recorder.rows, "running")
            self._due = time.monotonic() + max(REFRESH_SECONDS, 20 * (time.monotonic() - started))

    def _seconds_left(self, step: int) -> float | None:
        """At the pace since the training began or was gone on with; None before there is a pace."""
        began, at = self._began
        if step <= began:
            return None
        return (time.monotonic() - at) * (self._job.recipe.train.steps - step) / (step - began)

    def _write(self, step: int, seconds: float | None, rows: Sequence[Row], state: State) -> None:
        recipe = self._job.recipe
        view = TrainingView(
            name=recipe.name,
            recipe_digest=recipe.digest,
            step=step,
            steps=recipe.train.steps,
            eta=seconds,
            losses=rows,
            samples=sorted(self._sampler.painted.items()),
            state=state,
        )
        progress = {"name": view.name, "recipe_digest": view.recipe_digest, "step": step, "steps": view.steps}
        progress |= {"seconds_left": seconds, "losses": self._recorder.losses, "state": state}
        with self._job.writing(self._job.run):
            write_atomically(self._job.run / "progress.json", (json.dumps(progress, indent=2) + "\n").encode())
            write_training_page(self._job.run, view)

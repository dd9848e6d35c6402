"""A stretch of training: as much as its minutes allow, ended early by Ctrl-C or SIGTERM, and never without a save."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType

import lightning
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from renderer.miniature.training.course import Course, Progress
from renderer.quieting import quieten_lightning

logger = logging.getLogger(__name__)

CHECKPOINTS = ("vae.ckpt", "unet.ckpt")
"""The names of checkpoints in a work folder."""

Show = Callable[[Course], None]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StretchOver(Exception):
    """The stretch's time is over; what was done is saved, and the same command goes on."""


class Stretch:
    """The clock of one call: how long it may take, how often it saves, and on which device it computes."""

    def __init__(self, device: torch.device, minutes: float | None = None, save_every: float = 10.0) -> None:
        self.device, self.save_every = device, save_every
        self._end = None if minutes is None else time.monotonic() + minutes * 60
        self.stopped = False

    @property
    def over(self) -> bool:
        """Whether to save and to go."""
        return self.stopped or (self._end is not None and time.monotonic() >= self._end)

    def require_time(self) -> None:
        """Raises StretchOver where there is none left."""
        if self.over:
            raise StretchOver


def run_course(course: Course, file: Path, stretch: Stretch, show: Show) -> None:
    """Trains to the last step, from the checkpoint in `file` if there is one; `show` sees each new checkpoint.

    Raises StretchOver, with all saved, where the stretch ends first.
    """
    _take_progress(course, file)
    if course.over:
        return
    quieten_lightning()
    trainer = lightning.Trainer(
        accelerator=stretch.device.type,
        devices=1,
        max_epochs=-1,
        callbacks=[_Keeper(file, stretch, show)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        benchmark=stretch.device.type == "cuda",
        default_root_dir=file.parent,
    )
    # Flash attention's backward pass is slow on a CPU for so few tokens: plain attention trains 1.7 times as fast.
    with _signals_kept(), sdpa_kernel(SDPBackend.MATH) if stretch.device.type == "cpu" else nullcontext():
        trainer.fit(course, ckpt_path=file if file.exists() else None)
    if not course.over:
        raise StretchOver


def mean_file(checkpoint: Path) -> Path:
    """Where the running mean alone lies, as a pack leaves it, in place of a checkpoint."""
    return checkpoint.with_suffix(".mean.pt")


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Afterwards Ctrl-C and SIGTERM are what they were before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _take_progress(course: Course, file: Path) -> None:
    """Takes weights and progress; the optimizer's state is for Lightning to take."""
    if file.exists():
        checkpoint = torch.load(file, weights_only=True, map_location="cpu")
        course.on_load_checkpoint(checkpoint)
        course.load_state_dict(checkpoint["state_dict"])
    elif mean_file(file).exists():
        kept = torch.load(mean_file(file), weights_only=True)
        course.restart(kept["mean"], Progress(**kept["progress"]))


class _Keeper(lightning.Callback):
    """Logs, saves and shows a course now and then, and ends it when the stretch is over."""

    def __init__(self, file: Path, stretch: Stretch, show: Show) -> None:
        self._file, self._stretch, self._show = file, stretch, show
        self._log_every = 500 if stretch.device.type == "cuda" else 100

    def on_train_start(self, trainer: lightning.Trainer, course: lightning.LightningModule) -> None:
        """Starts the clocks, and takes Ctrl-C and SIGTERM from Lightning, which would drop the step in hand."""
        assert isinstance(course, Course)
        self._logged = (course.progress.steps, time.monotonic())
        self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._stop)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        course: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Does what is due after a step."""
        assert isinstance(course, Course)
        if course.progress.steps % self._log_every == 0 or course.over:
            self._log(course)
        ended = self._stretch.over or course.over
        if ended or time.monotonic() - self._saved >= self._stretch.save_every * 60:
            course.progress.minutes += (time.monotonic() - self._saved) / 60
            save_checkpoint(trainer, self._file)
            # Pictures are worth no delay of a machine that is to be left.
            if not self._stretch.stopped:
                self._show(course)
            self._saved = time.monotonic()
        if ended:
            trainer.should_stop = True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stretch.stopped and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._stretch.stopped = True
        logger.info("stopping after this step")

    def _log(self, course: Course) -> None:
        before, at = self._logged
        now = time.monotonic()
        rate = (course.progress.steps - before) / max(now - at, 1e-9)
        minutes = (course.recipe.steps - course.progress.steps) / max(rate, 1e-9) / 60
        self._logged = (course.progress.steps, now)
        logger.info(
            "step %d of %d, loss %.4f, %.1f pictures/s, %.0f minutes to go",
            course.progress.steps,
            course.recipe.steps,
            float(course.loss),
            rate * course.recipe.batch,
            minutes,
        )


def save_checkpoint(trainer: lightning.Trainer, file: Path) -> None:
    """Writes Lightning's checkpoint whole or not at all."""
    partial_file = file.with_suffix(".partial")
    trainer.save_checkpoint(partial_file)
    partial_file.replace(file)

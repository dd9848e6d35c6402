"""Who else is told of the losses: a CSV file, TensorBoard, or any of Lightning's loggers by its name."""

from __future__ import annotations

import csv
import inspect
from argparse import Namespace
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from renderer.errors import TrainingError
from renderer.trainer.learning.job import Job

COLUMNS = ("step", "loss", "validation", "learning_rate")


def make_loggers(job: Job, step: int) -> list[Logger]:
    """The recipe's loggers, which go on after a step. Raises TrainingError where one can't be had."""
    with job.writing(job.run):
        return [_logger(name, job, step) for name in job.recipe.loggers]


class CsvLog(Logger):
    """`log.csv` in the run folder: a line for each row, as soon as it is there; lines of later steps are dropped."""

    def __init__(self, file: Path, step: int) -> None:
        super().__init__()
        self._file = file
        self._start(step)

    @property
    def name(self) -> str:
        """The file's name."""
        return self._file.name

    @property
    def version(self) -> str:
        """There is one alone."""
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds a line. Raises OSError."""
        with self._file.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow({"step": step, **metrics})

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: object, **kwargs: object) -> None:
        """The recipe lies beside the file."""

    @rank_zero_only
    def _start(self, step: int) -> None:
        kept = []
        if step and self._file.is_file():
            with self._file.open(encoding="utf-8", newline="") as file:
                kept = [
                    row for row in csv.DictReader(file) if (row["step"] or "").isdigit() and int(row["step"]) <= step
                ]
        with self._file.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)


def _logger(name: str, job: Job, step: int) -> Logger:
    if name == "csv":
        return CsvLog(job.run / "log.csv", step)
    dotted = "lightning.pytorch.loggers.TensorBoardLogger" if name == "tensorboard" else name
    kind = _logger_class(dotted, job)
    known = {"save_dir": str(job.run), "name": job.recipe.name, "version": "", "purge_step": step}
    if name == "tensorboard":
        known |= {"name": "tensorboard", "purge_step": step or None}
    wanted = inspect.signature(kind.__init__).parameters
    try:
        return kind(**{key: value for key, value in known.items() if key in wanted})
    except ImportError as error:
        raise TrainingError(f"{job.recipe.path}: loggers: {name} needs a package that is not here: {error}") from error
    except TypeError as error:
        raise TrainingError(
            f"{job.recipe.path}: loggers: {name} can't be made from a folder and a name alone: {error}. Name another."
        ) from error


def _logger_class(dotted: str, job: Job) -> type[Logger]:
    module, _, name = dotted.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise TrainingError(
            f"{job.recipe.path}: loggers: {dotted} can't be loaded: {error}. Name csv, tensorboard, or a class such as "
            "lightning.pytorch.loggers.WandbLogger."
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, Logger)):
        raise TrainingError(f"{job.recipe.path}: loggers: {dotted} is no class of Lightning's loggers.")
    return kind

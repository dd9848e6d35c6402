"""The record of a training: its losses row by row, and the validation that goes into it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import lightning
from torch import Tensor

from renderer.trainer.learning.draws import Draw
from renderer.trainer.learning.progress import Row
from renderer.trainer.learning.schedules import learning_rate
from renderer.trainer.module import TrainingModule
from renderer.trainer.recipe import Recipe

ROWS = 500
"""About so many rows are kept of any training: more than a chart has points to show."""
RECENT = 50
"""Steps over which the loss that is told is averaged: single ones differ too much by their timesteps."""


class Recorder(lightning.Callback):
    """Keeps the losses, validates when it is due, and tells Lightning's loggers. Its rows are part of checkpoints."""

    def __init__(self, recipe: Recipe, examination: Sequence[Sequence[Draw]]) -> None:
        self._recipe, self.examination = recipe, examination
        self._every = max(1, recipe.train.steps // ROWS)
        self._unwritten: list[float] = []
        self._recent: deque[float] = deque(maxlen=RECENT)
        self.rows: list[Row] = []

    @property
    def loss(self) -> float | None:
        """The mean loss of the last steps; None before the first."""
        return sum(self._recent) / len(self._recent) if self._recent else None

    @property
    def losses(self) -> dict[str, float]:
        """The last losses that there are, by name: `train` (a mean), `validation`."""
        validation = next((row.validation for row in reversed(self.rows) if row.validation is not None), None)
        known = {"train": self.loss, "validation": validation}
        return {name: loss for name, loss in known.items() if loss is not None}

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Validates what nothing has been learned for yet, to compare with."""
        if trainer.global_step == 0 and self.examination:
            self._write(trainer, module, 0)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: object, batch: int, batch_idx: int
    ) -> None:
        """Takes the loss of a step, and writes a row where one is due."""
        step = batch + 1
        loss = self._loss(trainer, module)
        self._unwritten.append(loss)
        self._recent.append(loss)
        if step % self._every == 0 or step == self._recipe.train.steps or self._is_examined(step):
            self._write(trainer, module, step)

    def state_dict(self) -> dict[str, Any]:
        """The rows, and the losses that are not in one yet."""
        return {"rows": [tuple(row) for row in self.rows], "unwritten": self._unwritten, "recent": [*self._recent]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them again."""
        self.rows = [Row(*row) for row in state_dict["rows"]]
        self._unwritten = [*state_dict["unwritten"]]
        self._recent.extend(state_dict["recent"])

    def _write(self, trainer: lightning.Trainer, module: lightning.LightningModule, step: int) -> None:
        assert isinstance(module, TrainingModule)
        train = sum(self._unwritten) / len(self._unwritten) if self._unwritten else None
        validation = module.examine(self.examination) if self._is_examined(step) else None
        row = Row(step, train, validation, learning_rate(self._recipe.train, max(0, step - 1)))
        self._unwritten = []
        self.rows.append(row)
        named = {"loss": row.train, "validation": row.validation, "learning_rate": row.rate}
        for logger in trainer.loggers:
            logger.log_metrics({name: value for name, value in named.items() if value is not None}, step)

    def _is_examined(self, step: int) -> bool:
        due = step % self._recipe.validation.every == 0 or step == self._recipe.train.steps
        return due and bool(self.examination)

    @staticmethod
    def _loss(trainer: lightning.Trainer, module: lightning.LightningModule) -> float:
        assert isinstance(module, TrainingModule)
        mean = trainer.strategy.reduce(module.loss, reduce_op="mean")
        assert isinstance(mean, Tensor)
        return float(mean)

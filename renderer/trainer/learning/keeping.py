"""When something of a training is kept: a state to resume from, and the result as it is then."""

from __future__ import annotations

from typing import Any

import lightning

from renderer.trainer.learning.checkpoints import MARK, identity_of, save_checkpoint
from renderer.trainer.learning.job import Job
from renderer.trainer.learning.publishing import facts_of, publish
from renderer.trainer.learning.recording import Recorder
from renderer.trainer.learning.stopping import Stop
from renderer.trainer.module import NotFinite, TrainingModule


class Keeper(lightning.Callback):
    """Saves every so many steps, after the last one, and when the training is to end early."""

    def __init__(self, job: Job, recorder: Recorder, stop: Stop) -> None:
        self._job, self._recorder, self._stop = job, recorder, stop

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Writes the file of the step gone on from, where a kill came before it. Raises RunFolderError."""
        assert isinstance(module, TrainingModule)
        step = trainer.global_step
        if step and self._gives_file(step) and trainer.is_global_zero and not self._job.result_at(step).exists():
            self._publish(module, step)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: object, batch: int, batch_idx: int
    ) -> None:
        """Saves what is due after a step. Raises RunFolderError."""
        assert isinstance(module, TrainingModule)
        step, asked = batch + 1, self._job.recipe.checkpoints
        last = step == self._job.recipe.train.steps
        if step % asked.every == 0 or last or self._stop.asked:
            self._save(trainer, step)
        if self._gives_file(step) and not last and trainer.is_global_zero:
            self._publish(module, step)

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Where the next step came to no number: keeps what was learned before it. Raises RunFolderError."""
        # Of several processes one alone may be here, and saving would wait for the others.
        if isinstance(exception, NotFinite) and trainer.global_step and trainer.world_size == 1:
            assert isinstance(module, TrainingModule)
            self._save(trainer, trainer.global_step)
            self._publish(module, trainer.global_step)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Says which training it is of."""
        checkpoint[MARK] = identity_of(self._job)

    def _gives_file(self, step: int) -> bool:
        asked = self._job.recipe.checkpoints
        return asked.files and step % asked.every == 0

    def _save(self, trainer: lightning.Trainer, step: int) -> None:
        with self._job.writing(self._job.checkpoints):
            save_checkpoint(trainer, self._job.checkpoints, step, self._job.recipe.checkpoints.keep)

    def _publish(self, module: TrainingModule, step: int) -> None:
        file = self._job.result_at(step)
        with self._job.writing(file.parent):
            publish(module, file, facts_of(module, self._job, step, self._recorder.losses))

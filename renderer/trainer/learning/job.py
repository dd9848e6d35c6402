"""A training as it is asked for: its recipe and pictures, and where everything goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from renderer.files import explained
from renderer.trainer.dataset import Dataset
from renderer.trainer.learning.progress import TrainingProgress
from renderer.trainer.recipe import Recipe
from renderer.trainer.results import CHECKPOINTS, ELSEWHERE, FULL, result_files, step_files


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained on what; `run` is the folder of the training, `out` that of its results."""

    recipe: Recipe
    dataset: Dataset
    run: Path
    out: Path
    tell: Callable[[TrainingProgress], None]

    @property
    def checkpoints(self) -> Path:
        """Where states to resume from are kept."""
        return self.run / CHECKPOINTS

    @property
    def samples(self) -> Path:
        """Where sample pictures go."""
        return self.run / "samples"

    @property
    def cache(self) -> Path:
        """Where latents and text states are cached, beside the run folders of all trainings."""
        return self.run.parent / "cache"

    @property
    def result(self) -> Path:
        """The file that the training is for."""
        return result_files(self.out, self.recipe.name)[0]

    def result_at(self, step: int) -> Path:
        """The same file as it is after so many steps."""
        return step_files(self.out, self.recipe.name) / f"{step}.safetensors"

    def told(self, stage: str, done: int, total: int) -> None:
        """Tells how far a stage is that has no loss."""
        self.tell(TrainingProgress(stage, done, total))

    def writing(self, folder: Path) -> AbstractContextManager[None]:
        """Turns what the machine refuses while writing into a folder into RunFolderError."""
        return explained(folder, FULL, ELSEWHERE)

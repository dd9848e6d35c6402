"""Who does the work that commands ask for; tests put others in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from renderer.take import Painter
    from renderer.trainer.dataset import Dataset
    from renderer.trainer.fit import Result, TrainingProgress
    from renderer.trainer.recipe import Recipe


class Trainer(Protocol):
    """Prepares data sets and trains."""

    def require(self, recipe: Recipe, *, data_only: bool) -> None:
        """Raises StoryboardError where this machine lacks something for the recipe, or for its data alone."""

    def prepare(self, recipe: Recipe, folder: Path, tell: Callable[[str, int, int], None]) -> Dataset:
        """The data set of a recipe, with its page in `folder`."""

    def train(self, recipe: Recipe, run: Path, out: Path, tell: Callable[[TrainingProgress], None]) -> Result:
        """What a recipe comes to, trained in the folder `run`; the files for storyboards are in `out`."""


class PackageTrainer:
    """The package's own trainer. What it needs is imported when it is asked."""

    def require(self, recipe: Recipe, *, data_only: bool) -> None:
        """As `require_data_tools` and `require_machine`."""
        from renderer.trainer.machine import require_data_tools, require_machine

        require_data_tools(recipe)
        if not data_only:
            require_machine(recipe)

    def prepare(self, recipe: Recipe, folder: Path, tell: Callable[[str, int, int], None]) -> Dataset:
        """As `prepare_dataset`."""
        from renderer.trainer.dataset import prepare_dataset

        return prepare_dataset(recipe, folder, tell)

    def train(self, recipe: Recipe, run: Path, out: Path, tell: Callable[[TrainingProgress], None]) -> Result:
        """As `fit.train`."""
        from renderer.trainer.fit import train

        return train(recipe, run, out, tell)


@dataclass(frozen=True)
class Workers:
    """A painter (None: the model of each story) and a trainer."""

    painter: Painter | None
    trainer: Trainer

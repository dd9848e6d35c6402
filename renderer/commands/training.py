"""`storyboard train`: from a recipe to a file that storyboards use by name."""

from __future__ import annotations

import os
import shlex
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderer.commands.console import count, err, escaped, out, say_error
from renderer.commands.progressing import Tell, silence, training_bar, training_lines
from renderer.commands.rendering import open_page
from renderer.errors import AuthoringError, StoryboardError

if TYPE_CHECKING:
    from renderer.commands.workers import Trainer
    from renderer.trainer.fit import Result, TrainingProgress
    from renderer.trainer.recipe import Recipe

PAGE = "index.html"
"""Of the data set in its folder, of the training in the run folder."""
LISTS = {"textual-inversion": "embeddings", "hypernetwork": "hypernetworks"}
"""Where a storyboard names what a kind of training makes, where that is no LoRA."""


def train(
    ctx: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="The recipe.", metavar="RECIPE.yaml", show_default=False)],
    data_only: Annotated[
        bool, typer.Option("--data-only", help="Prepare the data set and its page, and stop there.")
    ] = False,
    run_: Annotated[
        Path | None, typer.Option("--run", help="The run folder, with caches beside it. Default: training/<its name>.")
    ] = None,
    out_: Annotated[Path | None, typer.Option("--out", help="Where results go. Default: lora_weights.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew although a training could go on; that one is kept aside.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    models: Annotated[list[Path] | None, typer.Option("--models", help="A folder to look for models in first.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but what goes wrong.")] = False,
) -> None:
    """Train by a recipe what storyboards use by name, or go on where that was stopped."""
    from renderer.kolors.card import model_folders
    from renderer.trainer.recipe import load_recipe
    from renderer.trainer.results import RESULTS, TRAININGS, is_first_process

    if fresh and data_only:
        raise StoryboardError("--fresh begins a training anew, and --data-only trains nothing. Give one of them.")
    if run_ is not None and run_.name in ("", ".."):
        run_ = Path(os.path.abspath(run_))  # what lies beside it goes by its name
    if not is_first_process():  # Lightning runs the whole command again for each device
        fresh, open_, quiet = False, False, True
    try:
        loaded = load_recipe(recipe, (*models, *model_folders()) if models else None)
        run, results = run_ or TRAININGS / loaded.name, out_ or RESULTS
        job = Job(ctx.obj.trainer, loaded, run, results, tuple(models or ()), quiet)
        job.begin(data_only=data_only)
        if data_only:
            job.prepare(open_)
        else:
            job.train(fresh, open_)
    except AuthoringError as error:
        say_error(error, "trained")
        raise typer.Exit(2) from None


class NewPage:
    """A page that is opened when it has been written since this was made: an earlier training's may be there before."""

    def __init__(self, path: Path) -> None:
        self._path, self._opened = path, False
        self._before = self._written()

    def open_once(self) -> None:
        """Opens the page where it is new and was not opened yet."""
        if not self._opened and self._written() != self._before:
            self._opened = True
            open_page(self._path)

    def _written(self) -> int:
        return self._path.stat().st_mtime_ns if self._path.exists() else 0


@dataclass(frozen=True)
class Job:
    """One recipe with its run folder, the folder of its results, and the folders of models that were given."""

    trainer: Trainer
    recipe: Recipe
    run: Path
    results: Path
    models: tuple[Path, ...]
    quiet: bool

    def begin(self, *, data_only: bool) -> None:
        """Says the recipe's warnings. Raises StoryboardError where it can't be trained here."""
        from renderer.trainer.results import require_own_place

        for problem in self.recipe.warnings if not self.quiet else ():
            err.print(f"[yellow]warning:[/] {escaped(str(problem))}")
        self.trainer.require(self.recipe, data_only=data_only)
        if not data_only:
            require_own_place(self.recipe, self.results)

    def prepare(self, open_: bool) -> None:
        """The data set alone."""
        from renderer.trainer.results import DATA, held_alone

        with held_alone(self.run), self._progress() as tell:
            dataset = self.trainer.prepare(
                self.recipe, self.run / DATA, lambda stage, done, total: tell(stage, done, total, None)
            )
        page = self.run / DATA / PAGE
        left_out = sum(finding.left_out for finding in dataset.findings)
        words = f", {left_out} left out" if left_out else ""
        self._say(f"{count(len(dataset.samples), 'picture')} to train on{words}.")
        self._say(f"page  {page}")
        if open_:
            open_page(page)

    def train(self, fresh: bool, open_: bool) -> None:
        """The whole training, or what is left of it."""
        from renderer.trainer.results import CHECKPOINTS, set_aside

        aside = set_aside(self.run, self.results, self.recipe.name) if fresh else None
        if aside is not None:
            self._say(f"The earlier training is kept in {aside}")
        page = NewPage(self.run / PAGE)
        try:
            with self._progress() as say:

                def tell(step: TrainingProgress) -> None:
                    say(step.stage, step.done, step.total, step.loss)
                    if open_:
                        page.open_once()

                result = self.trainer.train(self.recipe, self.run, self.results, tell)
        except KeyboardInterrupt:
            learned = any((self.run / CHECKPOINTS).glob("*"))
            kept = f"; what was learned is kept in {self.run}" if learned else " before anything was learned"
            err.print(f"Stopped{kept}. To go on: {self._command()}", markup=False)
            raise typer.Exit(130) from None
        self._say_result(result)
        if open_:
            page.open_once()

    def _say_result(self, result: Result) -> None:
        from renderer.trainer.results import result_files

        name = self.recipe.name
        for what, file in zip(("file", "card", "samples"), result_files(self.results, name), strict=True):
            if file.exists():
                self._say(f"{what:7}  {file}")
        self._say(f"page     {self.run / PAGE}")
        if result.losses:
            self._say(f"losses   {', '.join(f'{what} {loss:.4f}' for what, loss in result.losses.items())}")
        word = f", and <{name}> in a prompt" if self.recipe.kind == "textual-inversion" else ""
        self._say(f"In a storyboard: {LISTS.get(self.recipe.kind, 'loras')}: [{name}]{word}")

    def _progress(self) -> AbstractContextManager[Tell]:
        if self.quiet:
            return silence()
        return training_bar(out) if out.is_terminal else training_lines(out)

    def _command(self) -> str:
        from renderer.trainer.results import RESULTS, TRAININGS

        words = ["storyboard", "train", str(self.recipe.path)]
        words += ["--run", str(self.run)] if self.run != TRAININGS / self.recipe.name else []
        words += ["--out", str(self.results)] if self.results != RESULTS else []
        words += [word for folder in self.models for word in ("--models", str(folder))]
        return shlex.join(words)

    def _say(self, words: str) -> None:
        if not self.quiet:
            out.print(words, markup=False)

"""The trainer's two pages, which open from disk: the data set before it is trained on, and the training as it goes."""

from __future__ import annotations

from pathlib import Path

from renderer.files import explained, write_atomically
from renderer.trainer.data.report import Report
from renderer.trainer.recipe import Recipe
from renderer.trainer.showing.dataset import dataset_page
from renderer.trainer.showing.html import language_of, page_html
from renderer.trainer.showing.training import TrainingView, training_page

__all__ = ["PAGE", "TrainingView", "write_dataset_page", "write_training_page"]

PAGE = "index.html"


def write_training_page(folder: Path, view: TrainingView) -> Path:
    """Writes the page of a training, `index.html` in its run folder, whole or not at all; returns its path.

    It reloads itself while the training is running. Raises RunFolderError.
    """
    prompts = [prompt for _, shots in view.samples[:1] for prompt, _ in shots]
    return _write(folder, "training.html.j2", training_page(folder, view), language_of(view.name, *prompts))


def write_dataset_page(folder: Path, report: Report, recipe: Recipe) -> Path:
    """Writes the page of a data set, `index.html` in its report's folder; returns its path. Raises RunFolderError."""
    # A title is what the author says to people; without one, captions tell what these may read.
    texts = [recipe.title] if recipe.title != recipe.name else [sample.caption for sample in report.samples[:20]]
    return _write(folder, "dataset.html.j2", dataset_page(folder, report, recipe), language_of(*texts))


def _write(folder: Path, template: str, page: object, language: str) -> Path:
    path = folder / PAGE
    html = page_html(template, page, language)
    with explained(folder, elsewhere="train elsewhere with --run DIR"):
        write_atomically(path, html.encode("utf-8"))
    return path

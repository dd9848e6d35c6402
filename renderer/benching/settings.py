"""What a benchmark is asked to measure, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from renderer.errors import StoryboardError, did_you_mean
from renderer.kolors.card import KOLORS, ModelCard, Precision, require_model
from renderer.reading.model_choice import DEFAULT_MODEL
from renderer.reading.size import read_size, size_for


@dataclass(frozen=True, slots=True)
class Settings:
    """`folder` is None where weights are to be random, at Kolors' size. Sizes in pixels; `repeat` counts rounds.
    `compiled`, `draft`: this program is measured compiled, or painting drafts, too.
    """

    folder: Path | None
    card: ModelCard
    width: int
    height: int
    steps: int
    guidance: float
    batches: tuple[int, ...]
    precision: Precision | None
    repeat: int
    compare: bool
    compiled: bool = False
    draft: bool = False


def choose(
    model: str | None = None,
    size: str | None = None,
    steps: int | None = None,
    batches: Sequence[int] = (1, 4),
    precision: str | None = None,
    random_weights: bool = False,
    repeat: int = 5,
    compare: bool = True,
    compiled: bool = False,
    draft: bool = False,
) -> Settings:
    """Settings from what a person asked for; what is None is as the model's card has it.

    Without a name the model is the one that ships with the package. Raises StoryboardError, ModelError.
    """
    folder, card = _model(model, random_weights)
    width, height = card.size if size is None else _size(size, card)
    _at_least_one("--steps", steps)
    _at_least_one("--repeat", repeat)
    for batch in batches:
        _at_least_one("--batch", batch)
    return Settings(
        folder=folder,
        card=card,
        width=width,
        height=height,
        steps=steps or card.steps,
        # Of a model that is at its best without negatives, too, all that paint are compared with them.
        guidance=card.guidance if card.guidance > 1 else KOLORS.guidance,
        batches=tuple(sorted(set(batches))),
        precision=None if precision is None else _precision(precision),
        repeat=repeat,
        compare=compare,
        compiled=compiled,
        draft=draft,
    )


def read_batches(text: str) -> tuple[int, ...]:
    """Batch sizes as they are typed: `1,4,16`. Raises StoryboardError."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise StoryboardError(f"--batch {text}: pictures at once, as whole numbers with commas, such as 1,4.") from None


def _model(name: str | None, random_weights: bool) -> tuple[Path | None, ModelCard]:
    if not random_weights:
        return require_model(name or DEFAULT_MODEL)
    if name not in (None, KOLORS.name):
        raise StoryboardError(
            f"--random-weights makes a model of {KOLORS.title}' size, not {name}. Leave out one of the two options."
        )
    return None, KOLORS


def _size(text: str, card: ModelCard) -> tuple[int, int]:
    if read_size(text) is None:
        raise StoryboardError(f"--size {text}: a size is written like 768x512 or 16:9.")
    try:
        return size_for(text, card)
    except ValueError as error:
        raise StoryboardError(f"--size {text}: {error}") from None


def _precision(text: str) -> Precision:
    known: tuple[Precision, ...] = get_args(Precision)
    for precision in known:
        if precision == text:
            return precision
    raise StoryboardError(f"--precision {text}: there is no such number format. {did_you_mean(text, known)}")


def _at_least_one(option: str, number: int | None) -> None:
    if number is not None and number < 1:
        raise StoryboardError(f"{option} {number}: at least 1.")

"""What is held back to measure how well unseen pictures are learned: always by the same noise and timesteps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from renderer.errors import TrainingError
from renderer.trainer.dataset import Sample
from renderer.trainer.learning.chance import Lot
from renderer.trainer.learning.draws import Draw, fixed_draws
from renderer.trainer.recipe import Recipe

TIMESTEPS = 4
"""How often each picture is measured, once in each quarter of the schedule: losses differ far more between early and
late timesteps than between a good LoRA and a bad one."""


def hold_out(recipe: Recipe, samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """The pictures that are trained on, and those held back: the recipe's share, at least one if any is asked for.

    Class pictures are never held back. Raises TrainingError where nothing would be left to train on.
    """
    candidates = [number for number, sample in enumerate(samples) if not sample.regularizing]
    share = recipe.validation.share
    count = max(1, round(share * len(candidates))) if share else 0
    if count >= len(candidates):
        raise TrainingError(
            f"{recipe.path}: validation.share: {share:g} of {len(candidates)} pictures leaves none to train on. "
            "Add pictures, or remove `validation:`."
        )
    shuffled = Lot(recipe.train.seed, "validation", 0).chance("held out").permutation(candidates)
    held = set(shuffled[:count].tolist())
    kept = tuple(sample for number, sample in enumerate(samples) if number not in held)
    return kept, tuple(sample for number, sample in enumerate(samples) if number in held)


def examination(recipe: Recipe, held: Sequence[Sample]) -> list[tuple[Draw, ...]]:
    """What is measured, in batches of one size that are as large as the recipe's."""
    draws = sorted(fixed_draws(recipe, held, TIMESTEPS), key=lambda draw: (draw.view.size, draw.lot.number))
    batches: list[tuple[Draw, ...]] = []
    for _, group in groupby(draws, key=lambda draw: draw.view.size):
        alike = tuple(group)
        batches += [alike[start : start + recipe.train.batch] for start in range(0, len(alike), recipe.train.batch)]
    return batches

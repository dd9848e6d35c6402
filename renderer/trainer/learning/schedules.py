"""The learning rate from step to step, as diffusers' `get_scheduler` has it."""

from __future__ import annotations

from math import cos, pi

from renderer.trainer.recipes.recipe_file import TrainEntry


def learning_rate(train: TrainEntry, step: int) -> float:
    """The learning rate of a step, counted from 0. It rises from 0 in the warm-up, and then goes as is asked for."""
    if step < train.warmup:
        return train.learning_rate * step / train.warmup
    passed = (step - train.warmup) / max(1, train.steps - train.warmup)
    return train.learning_rate * _share(train, passed)


def _share(train: TrainEntry, passed: float) -> float:
    """What is left of the highest rate when `passed` (0 … 1) of the steps after the warm-up are done."""
    if train.schedule == "constant":
        return 1.0
    if passed >= 1:
        return 0.0
    if train.schedule == "linear":
        return 1 - passed
    turns = train.cycles if train.schedule == "cosine-restarts" else 1
    return 0.5 * (1 + cos(pi * (turns * passed % 1)))

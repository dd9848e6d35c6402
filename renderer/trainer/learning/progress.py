"""How far a training is, and how its losses went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far a training is: `done` of `total` units of a stage; `loss` is the mean of the last steps.

    Stages are those of the data set, for DreamBooth `class pictures` (painted), then `latents` and `texts` (what is
    cached), `training` (steps), and between them `painting` (sample pictures).
    """

    stage: str
    done: int
    total: int
    loss: float | None = None


class Row(NamedTuple):
    """The losses at a step (0: before the first): the mean of training since the row before, and of validation."""

    step: int
    train: float | None
    validation: float | None
    rate: float | None

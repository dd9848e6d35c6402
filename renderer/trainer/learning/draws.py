"""What is drawn for each step: which pictures, which view and caption of each, at which timestep, under which noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from renderer.kolors.samplers import TRAIN_STEPS
from renderer.kolors.sampling import LATENT_CHANNELS, LATENT_FACTOR
from renderer.trainer.dataset import Sample
from renderer.trainer.learning.captions import told
from renderer.trainer.learning.chance import Lot
from renderer.trainer.learning.crops import Size, View, center_view, random_view, size_for
from renderer.trainer.learning.order import Order
from renderer.trainer.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that a batch is made of together; their mean loss counts `weight`."""

    samples: tuple[Sample, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Draw:
    """A picture as it is learned once, with all that chance decides of it."""

    sample: Sample
    view: View
    text: str
    timestep: int
    lot: Lot

    def noise(self, offset: float = 0.0) -> Tensor:
        """fp32 noise for the view's latents [4, h, w], drawn on the CPU: the same on every device.

        `offset` is how much of it is the same all over a channel (the noise offset of Guttenberg 2023).
        """
        shape = (LATENT_CHANNELS, self.view.size[1] // LATENT_FACTOR, self.view.size[0] // LATENT_FACTOR)
        drawn = self.lot.chance("noise").standard_normal(shape, dtype=np.float32)
        if offset:
            drawn += np.float32(offset) * self.lot.chance("offset").standard_normal((shape[0], 1, 1), dtype=np.float32)
        return torch.from_numpy(drawn)


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures of one size that go through the UNet together; their mean loss counts `weight` in the step's."""

    draws: tuple[Draw, ...]
    weight: float


class Draws:
    """All that is ever drawn in a training: a function of seed and step alone, whatever was drawn before."""

    def __init__(self, recipe: Recipe, groups: Sequence[Group], ranks: int = 1) -> None:
        self._recipe, self._groups, self._ranks = recipe, groups, ranks
        self._sizes = [[_trained_size(recipe, sample) for sample in group.samples] for group in groups]
        seed, together = recipe.train.seed, recipe.train.batch * ranks
        self._orders = [Order(sizes, together, seed, f"group {number}") for number, sizes in enumerate(self._sizes)]

    def step(self, step: int, rank: int = 0) -> Iterator[Batch]:
        """The batches of a step, counted from 0, on one of the processes that train together."""
        accumulate, batch = self._recipe.train.accumulate, self._recipe.train.batch
        for number in range(step * accumulate, (step + 1) * accumulate):
            for group, its in enumerate(self._groups):
                chosen = self._orders[group].batch(number)
                # Counted picture by picture, so that two batches of one and one batch of two draw the same.
                first = number * len(chosen)
                places = range(rank * batch, (rank + 1) * batch)
                draws = tuple(self._draw(group, chosen[place], first + place) for place in places)
                yield Batch(draws, its.weight / accumulate)

    def needed(self, start: int, stop: int) -> Iterator[Draw]:
        """Everything that is drawn from one step to before another, on all processes."""
        for step in range(start, stop):
            for rank in range(self._ranks):
                for batch in self.step(step, rank):
                    yield from batch.draws

    def _draw(self, group: int, index: int, number: int) -> Draw:
        sample, size, train = self._groups[group].samples[index], self._sizes[group][index], self._recipe.train
        lot = Lot(train.seed, f"group {group}", number)
        view = random_view((sample.width, sample.height), size, self._recipe.image, lot.chance("view"))
        timestep = int(lot.chance("timestep").integers(TRAIN_STEPS))
        return Draw(sample, view, told(sample, train, lot), timestep, lot)


def fixed_draws(recipe: Recipe, samples: Sequence[Sample], each: int) -> Iterator[Draw]:
    """Each picture `each` times, its middle and its whole caption, at timesteps spread over the schedule."""
    for number, sample in enumerate(samples):
        view = center_view((sample.width, sample.height), _trained_size(recipe, sample))
        for part in range(each):
            lot = Lot(recipe.train.seed, "validation", number * each + part)
            within = float(lot.chance("timestep").random())
            yield Draw(sample, view, sample.caption, int((part + within) * TRAIN_STEPS / each), lot)


def _trained_size(recipe: Recipe, sample: Sample) -> Size:
    return size_for((sample.width, sample.height), recipe.image, recipe.card)

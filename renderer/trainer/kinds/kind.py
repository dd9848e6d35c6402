"""What a kind of training is, to the training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from torch import nn

from renderer.kolors.encoder import Encoded
from renderer.kolors.weights import Denoiser
from renderer.take import Painter, Take
from renderer.trainer.dataset import Dataset, Sample
from renderer.trainer.export import LoraFacts
from renderer.trainer.learning.draws import Group
from renderer.trainer.learning.job import Job
from renderer.trainer.recipe import Recipe


class Kind(nn.Module, ABC):
    """Something that is added to a model and trained, while the model itself stays as it is.

    Made for a recipe and a frozen denoiser, it puts itself into the denoiser's UNet where that is where it works. What
    it draws at random it draws from torch's global generator, which the training seeds. What it trains is fp32.
    """

    reads: ClassVar[bool] = False
    """Whether text states follow what is trained: then `read` makes them, and they can't be cached."""

    def __init__(self, recipe: Recipe, denoiser: Denoiser) -> None:
        super().__init__()
        self.recipe, self.denoiser = recipe, denoiser

    @abstractmethod
    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by the names under which checkpoints keep them."""

    @abstractmethod
    def write(self, file: Path, facts: LoraFacts) -> str:
        """Writes what is trained, as it is now, as a file that storyboards use; its sha256. Raises OSError."""

    @abstractmethod
    def added(self, take: Take, file: Path, sha256: str) -> Take:
        """The take, painted with a file that `write` has written."""

    @classmethod
    def completed(cls, job: Job, painter: Callable[[], Painter]) -> Dataset:
        """The job's pictures, with those that only this kind needs; what has to be painted, `painter` opens who does.

        Raises StoryboardError where they can't be had.
        """
        return job.dataset

    @classmethod
    def groups(cls, recipe: Recipe, samples: Sequence[Sample]) -> tuple[Group, ...]:
        """The groups of pictures of which every step draws batches alike; the losses of all are added."""
        return (Group(tuple(samples)),)

    def read(self, text: str) -> Encoded:
        """A text's states, with gradients to what is trained. Only for kinds that `reads`."""
        raise AssertionError(f"{type(self).__name__} leaves texts to the model")

    def described(self, facts: LoraFacts) -> LoraFacts:
        """The facts of the result, with those that only this kind knows."""
        return facts

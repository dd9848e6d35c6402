"""The course of one module's training, as a Lightning module: steps, learning rate, and the running mean."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

import lightning
import torch

from renderer.miniature.training.parallel import SHARES, Team, generator_of

_WARMUP = 100
_COOL_DOWN = 0.2
_MEAN_DECAY = 0.9995


@dataclass(frozen=True)
class Recipe:
    """The numbers of a course: steps in all, pictures a step, the highest learning rate, and the seed of everything."""

    steps: int
    batch: int
    peak: float
    weight_decay: float
    seed: int


@dataclass
class Progress:
    """How far a course is: steps done, the step it last restarted at, pictures seen, and minutes spent."""

    steps: int = 0
    restarted_at: int = 0
    pictures: int = 0
    minutes: float = 0.0


@dataclass(frozen=True)
class Draw:
    """What a loss is computed of: so many pictures for that step, drawn by a generator of the share's own."""

    step: int
    count: int
    generator: torch.Generator


LossOf = Callable[[Draw], torch.Tensor]


class Course(lightning.LightningModule):
    """Trains `module` by the losses of `loss_of`; `mean` follows it and is what counts in the end.

    All that chance decides is a function of seed, step and share alone, so a resumed course goes on as if it had never
    stopped. With a team each step's batch is computed in shares on the CPU; without one, at once on its device.
    """

    loss: torch.Tensor

    def __init__(self, module: torch.nn.Module, loss_of: LossOf, recipe: Recipe, team: Team | None) -> None:
        super().__init__()
        # Lightning's own loop knows one backward pass for each step, not several at a time.
        self.automatic_optimization = False
        self.module = module
        self.mean = copy.deepcopy(module).requires_grad_(False).eval()
        self.recipe = recipe
        self.progress = Progress()
        self.register_buffer("loss", torch.zeros(()))
        self._loss_of, self._team = loss_of, team

    @property
    def over(self) -> bool:
        """Whether all steps are done."""
        return self.progress.steps >= self.recipe.steps

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, in one kernel."""
        recipe = self.recipe
        return torch.optim.AdamW(
            self.module.parameters(), lr=recipe.peak, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
        )

    def train_dataloader(self) -> Iterable[int]:
        """The numbers of the steps ahead, without an end: all that a step needs follows from its number.

        Lightning counts a list's batches from its beginning, not from where a checkpoint left off.
        """
        return count(self.progress.steps)

    def training_step(self, step: int, _: int) -> None:
        """One step: gradients, clipped; the optimizer; the running means."""
        assert step == self.progress.steps
        optimizer = self.optimizers()
        assert isinstance(optimizer, lightning.pytorch.core.optimizer.LightningOptimizer)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step, self.progress.restarted_at)
        loss = self._differentiate(step)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        optimizer.step()
        self._follow(loss, step)
        self.progress.steps += 1
        self.progress.pictures += self.recipe.batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the progress."""
        checkpoint["course"] = asdict(self.progress)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the progress."""
        self.progress = Progress(**checkpoint["course"])

    def restart(self, mean: dict[str, torch.Tensor], progress: Progress) -> None:
        """Goes on from another course's mean and progress, with a fresh optimizer and a warm-up of its own."""
        self.module.load_state_dict(mean)
        self.mean.load_state_dict(mean)
        self.progress = replace(progress, restarted_at=progress.steps)

    def _differentiate(self, step: int) -> torch.Tensor:
        if self._team is not None:

            def loss_of_share(share: int, size: int) -> torch.Tensor:
                return self._loss_of(Draw(step, size, generator_of(self.recipe.seed, step, share)))

            return self._team.differentiate(list(self.module.parameters()), self.recipe.batch, loss_of_share)
        self.module.zero_grad()
        generator = generator_of(self.recipe.seed, step, SHARES, self.device)
        loss = self._loss_of(Draw(step, self.recipe.batch, generator))
        self.manual_backward(loss)
        return loss.detach()

    @torch.no_grad()
    def _follow(self, loss: torch.Tensor, step: int) -> None:
        # Short at first, so that the mean forgets the random start.
        decay = min(_MEAN_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.mean.parameters()), list(self.module.parameters()), 1 - decay)
        self.loss += (loss - self.loss) / min(step - self.progress.restarted_at + 1, 100)


def learning_rate(recipe: Recipe, step: int, restarted_at: int = 0) -> float:
    """Warm-up, a long plateau, and a linear cool-down to nothing over the last fifth of the steps.

    What is past does not depend on the total, so that more steps may be asked for until the cool-down begins
    (Hägele et al. 2024).
    """
    warm = min(1.0, (step - restarted_at + 1) / _WARMUP)
    cool = min(1.0, (recipe.steps - step) / (_COOL_DOWN * recipe.steps))
    return recipe.peak * warm * cool

"""The course of one module's training: optimizer, running mean, budget of minutes, and checkpoints to go on from."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from renderer.miniature.parallel import Team, generator_of

logger = logging.getLogger(__name__)

_EMA = 0.999
_WARMUP = 100


class Course:
    """Trains a module until its minutes are spent; begins where the checkpoint in `file` left off, if there is one."""

    def __init__(
        self,
        module: torch.nn.Module,
        file: Path,
        minutes: float,
        peak: float,
        weight_decay: float,
        seed: int,
        team: Team,
    ) -> None:
        self._module, self._file, self._minutes, self._peak = module, file, minutes, peak
        self._seed, self._team = seed, team
        self._parameters = list(module.parameters())
        self._optimizer = torch.optim.AdamW(self._parameters, lr=peak, betas=(0.9, 0.99), weight_decay=weight_decay)
        self._mean = [parameter.detach().clone() for parameter in self._parameters]
        self.step, self.loss = 0, 0.0
        before = self._restore()
        self._start = time.monotonic() - before * 60

    @property
    def spent(self) -> float:
        """The minutes gone, those before a resume included."""
        return (time.monotonic() - self._start) / 60

    @property
    def over(self) -> bool:
        """Whether all minutes are gone."""
        return self.spent >= self._minutes

    def advance(self, batch: int, loss_of: Callable[[torch.Generator, int], torch.Tensor]) -> None:
        """One step; `loss_of(generator, size)` is a share of the batch's mean loss, random by `generator` alone."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._peak, self.step, self.spent / self._minutes)

        def loss_of_share(share: int, size: int) -> torch.Tensor:
            return loss_of(generator_of(self._seed, self.step, share), size)

        loss = self._team.differentiate(self._parameters, batch, loss_of_share)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._follow()
        self.step += 1
        self.loss += (loss - self.loss) / min(self.step, 100)
        if self.step % 100 == 0:
            logger.info("step %d, %.1f minutes, loss %.4f", self.step, self.spent, self.loss)

    def save(self) -> None:
        """Writes the checkpoint whole or not at all."""
        partial_file = self._file.with_suffix(".partial")
        state = {
            "module": self._module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "mean": self._mean,
            "step": self.step,
            "loss": self.loss,
            "minutes": self.spent,
        }
        torch.save(state, partial_file)
        partial_file.replace(self._file)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the module has the running mean of its parameters, which paints better than the last step's."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    @torch.no_grad()
    def exchange(self) -> None:
        """Exchanges the module's parameters and their mean; twice is as if never."""
        for parameter, mean in zip(self._parameters, self._mean, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(mean)
            mean.copy_(kept)

    @torch.no_grad()
    def _follow(self) -> None:
        # Short at first, so that the mean forgets the random start.
        decay = min(_EMA, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._mean, [parameter.detach() for parameter in self._parameters], 1 - decay)

    def _restore(self) -> float:
        """Takes the checkpoint up; the minutes that it had spent."""
        if not self._file.exists():
            return 0.0
        state = torch.load(self._file, weights_only=True)
        self._module.load_state_dict(state["module"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._mean, self.step, self.loss = state["mean"], state["step"], state["loss"]
        return float(state["minutes"])


def learning_rate(peak: float, step: int, share: float) -> float:
    """A linear warmup by steps, then a cosine by the share of the minutes gone, down to a hundredth of the peak."""
    return peak * min(1.0, (step + 1) / _WARMUP) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, share))))

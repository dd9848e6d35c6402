"""Training within a budget of minutes: how far it is, the learning rate there, and state that survives a stop."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch


class Budget:
    """A number of minutes, of which some were already spent before a resume."""

    def __init__(self, minutes: float, spent: float = 0.0) -> None:
        self.minutes = minutes
        self._start = time.monotonic() - spent * 60

    @property
    def spent(self) -> float:
        """The minutes gone."""
        return (time.monotonic() - self._start) / 60

    @property
    def share(self) -> float:
        """The share of the budget gone, 1 at its end or beyond it."""
        return min(1.0, self.spent / self.minutes) if self.minutes > 0 else 1.0


def learning_rate(peak: float, step: int, share: float, warmup: int = 100) -> float:
    """A linear warmup by steps, then a cosine by the share of the budget gone, down to a hundredth of the peak."""
    return peak * min(1.0, (step + 1) / warmup) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * share)))


class Ema:
    """A running mean of a module's parameters, short at first so that it forgets the random start."""

    def __init__(self, module: torch.nn.Module, decay: float) -> None:
        self._module, self._decay = module, decay
        self.values = [p.detach().clone() for p in module.parameters()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the mean towards the module."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in self._module.parameters()], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the module's parameters and their mean; twice is as if never."""
        for parameter, value in zip(self._module.parameters(), self.values, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(kept)


def save_state(file: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint whole or not at all."""
    partial_file = file.with_suffix(".partial")
    torch.save(state, partial_file)
    partial_file.replace(file)


def load_state(file: Path) -> dict[str, Any] | None:
    """The checkpoint, if there is one."""
    return torch.load(file, weights_only=True) if file.exists() else None

"""The moving average of what is trained, which is often better than its last values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Follows parameters by an exponential moving average, in fp32, on their device."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        self.values: dict[str, Tensor] = {}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Takes in the values after a step, counted from 0. At first the average is short, to forget the beginning."""
        if not self.values:
            self.values = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
            return
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, parameter in self._parameters.items():
            self.values[name].lerp_(parameter, 1 - decay)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Goes on from values that were kept."""
        self.values = {name: value.to(self._parameters[name].device, copy=True) for name, value in values.items()}

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Within, the parameters have the average's values; afterwards their own, bit for bit."""
        own = {name: self._parameters[name].data for name in self.values}
        try:
            for name, value in self.values.items():
                self._parameters[name].data = value.clone()
            yield
        finally:
            for name, value in own.items():
                self._parameters[name].data = value

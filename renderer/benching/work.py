"""The pictures that are painted: the same noise, texts, steps and guidance for all who paint them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from renderer.kolors.card import Precision, Sampler
from renderer.kolors.encoder import Encoded
from renderer.kolors.sampling import Conditions, noise

SAMPLER: Sampler = "euler"
"""Kolors' own, which all of them have."""


@dataclass(frozen=True, slots=True)
class Work:
    """One guided picture after another, of consecutive seeds, all of one prompt and one negative (CPU tensors)."""

    device: torch.device
    precision: Precision
    width: int
    height: int
    guidance: float
    prompt: Encoded
    negative: Encoded

    def noise(self, batch: int) -> Tensor:
        """fp32 [batch, 4, height/8, width/8] on the device: drawn for each picture from its own seed."""
        generators = (torch.Generator("cpu").manual_seed(seed) for seed in range(batch))
        return torch.cat([noise(generator, self.width, self.height) for generator in generators]).to(self.device)

    @property
    def time_ids(self) -> Tensor:
        """fp32 [6] on the device."""
        size = (self.height, self.width)
        return torch.tensor([*size, 0, 0, *size], dtype=torch.float32, device=self.device)

    def conditions(self, batch: int, dtype: torch.dtype) -> Conditions:
        """What a denoising of so many pictures is told, on the device."""
        states, pooled = _repeated(self.prompt, batch, self.device, dtype)
        return Conditions(states, pooled, self.time_ids, *_repeated(self.negative, batch, self.device, dtype))


def _repeated(text: Encoded, batch: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    states, pooled = (torch.stack([it] * batch).to(device, dtype) for it in text)
    return states, pooled

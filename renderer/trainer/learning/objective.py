"""What is learned: the noise in noisy latents, at any of the 1100 timesteps of Kolors' schedule."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from renderer.kolors.samplers import BETA_END, BETA_START, TRAIN_STEPS


@cache
def signal_shares() -> Tensor:
    """ᾱ at each timestep [1100], fp32: the share of the latents' variance that is left of the picture.

    Computed in fp64; the last one is 0.0011827 (Kwai-Kolors/Kolors, scheduler_config.json: scaled_linear betas).
    """
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """√ᾱ·latents + √(1-ᾱ)·noise, [batch, 4, h, w], each picture at the timestep of its own [batch]."""
    share = signal_shares().to(latents.device)[timesteps].view(-1, 1, 1, 1)
    return share.sqrt() * latents + (1 - share).sqrt() * noise


def errors(predicted: Tensor, noise: Tensor) -> Tensor:
    """The mean squared error of each picture's predicted noise [batch], in fp32."""
    return (predicted.float() - noise.float()).square().flatten(1).mean(1)


def min_snr_weights(timesteps: Tensor, gamma: float) -> Tensor:
    """min(SNR, γ) / SNR [batch]: the min-SNR weighting for a model that predicts noise (Hang et al. 2023, eq. 8)."""
    share = signal_shares().to(timesteps.device)[timesteps]
    ratio = share / (1 - share)
    return ratio.clamp(max=gamma) / ratio

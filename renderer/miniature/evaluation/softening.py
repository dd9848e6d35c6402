"""Drawings made as soft, noisy and slightly off as a small model paints, without changing what they show."""

from __future__ import annotations

import torch
from torch.nn import functional

_SHIFT = 4
_REACH = 4


def soften(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures [N, 3, H, W] in -1 … 1, each moved, tinted a little and noisy; most of them also less sharp.

    Of every eight, two stay sharp, three are blurred and three coarsened. The generator is on the CPU, so that every
    device draws the same lots.
    """
    moved = _move(pictures, generator)
    sharp, blurred = len(moved) // 4, len(moved) * 5 // 8
    parts = [moved[:sharp], _blur(moved[sharp:blurred], generator), _coarsen(moved[blurred:], generator)]
    return _noise(_tint(torch.cat(parts), generator), generator)


def _move(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Every picture by up to four pixels each way; its border is drawn out."""
    size = pictures.shape[-1]
    padded = functional.pad(pictures, (_SHIFT,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * _SHIFT + 1, (len(pictures), 2), generator=generator).tolist()
    cut = [each[:, top : top + size, left : left + size] for each, (top, left) in zip(padded, corners, strict=True)]
    return torch.stack(cut)


def _blur(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One Gaussian for all, at most a pixel and a half wide."""
    sigma = 0.4 + 1.1 * float(torch.rand(1, generator=generator))
    weights = torch.exp(-torch.arange(-_REACH, _REACH + 1).square() / (2 * sigma**2))
    weights /= weights.sum()
    height, width = pictures.shape[-2:]
    padded = functional.pad(pictures, (_REACH,) * 4, mode="replicate")
    # Sums of moved copies: for one narrow filter that is faster on a processor than a convolution.
    across = sum(weight * padded[..., k : k + width] for k, weight in enumerate(weights.tolist()))
    blurred: torch.Tensor = sum(weight * across[..., k : k + height, :] for k, weight in enumerate(weights.tolist()))
    return blurred


def _coarsen(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One smaller size for all, three eighths or more, and back: what an autoencoder loses."""
    size = pictures.shape[-1]
    small = round(size * (0.4 + 0.5 * float(torch.rand(1, generator=generator))))
    shrunk = functional.interpolate(pictures, (small, small), mode="bilinear", antialias=True)
    return functional.interpolate(shrunk, (size, size), mode="bicubic")


def _tint(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Contrast and each channel's light by a few hundredths: no color becomes another."""
    contrast = 1 + 0.16 * (torch.rand(len(pictures), 1, 1, 1, generator=generator) - 0.5)
    light = 0.1 * (torch.rand(len(pictures), 3, 1, 1, generator=generator) - 0.5)
    tinted: torch.Tensor = pictures * contrast.to(pictures.device) + light.to(pictures.device)
    return tinted


def _noise(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    strength = 0.05 * torch.rand(len(pictures), 1, 1, 1, generator=generator)
    noise = torch.randn(pictures.shape, generator=generator) * strength
    return (pictures + noise.to(pictures.device)).clamp(-1, 1)

"""Decoding a large picture tile by tile, where memory doesn't suffice for the whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from renderer.kolors.fitting.needs import TILE
from renderer.kolors.sampling import LATENT_FACTOR

OVERLAP = 16
"""Latents that neighbours share at least, in which one fades into the other: 128 pixels."""


def decode_in_tiles(decode: Callable[[Tensor], Tensor], latents: Tensor) -> Tensor:
    """fp32 [1, 3, 8h, 8w] from latents [1, 4, h, w] by a decoder that only ever sees tiles.

    Not quite the whole picture's numbers: the decoder's norms and its attention look at a tile alone. A picture that is
    no larger than a tile is decoded whole.
    """
    *_, height, width = latents.shape
    ramp = torch.linspace(0, 1, OVERLAP * LATENT_FACTOR + 2)[1:-1]
    total = torch.zeros(1, 3, height * LATENT_FACTOR, width * LATENT_FACTOR, device=latents.device)
    weights = torch.zeros(1, 1, *total.shape[2:], device=latents.device)
    for top in _starts(height):
        for left in _starts(width):
            picture = decode(latents[..., top : top + TILE, left : left + TILE]).float()
            weight = _fading(picture.shape[-2], ramp)[:, None] * _fading(picture.shape[-1], ramp)
            weight = weight.to(latents.device)
            y, x = top * LATENT_FACTOR, left * LATENT_FACTOR
            place = (..., slice(y, y + picture.shape[-2]), slice(x, x + picture.shape[-1]))
            total[place] += picture * weight
            weights[place] += weight
    return total / weights


def _starts(length: int) -> list[int]:
    """Where tiles begin that cover a side, evenly spaced."""
    if length <= TILE:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [round(number * (length - TILE) / (count - 1)) for number in range(count)]


def _fading(length: int, ramp: Tensor) -> Tensor:
    """How much a tile counts along one side: less towards its ends, and everywhere more than nothing."""
    weight = torch.ones(length)
    size = min(len(ramp), length)
    weight[:size] *= ramp[:size]
    weight[-size:] *= ramp[:size].flip(0)
    return weight

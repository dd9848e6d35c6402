"""Decoding by tiles: every pixel once, no seams, and never more than a tile at a time."""

from __future__ import annotations

import pytest
import torch

from renderer.kolors import tiles
from renderer.kolors.sampling import LATENT_FACTOR
from renderer.kolors.tiles import decode_in_tiles


def enlarged(latents):
    """A decoder that looks at nothing but the place itself."""
    return latents[:, :3].repeat_interleave(LATENT_FACTOR, -1).repeat_interleave(LATENT_FACTOR, -2)


@pytest.mark.parametrize("size", [(64, 64), (65, 64), (128, 128), (90, 200), (8, 300), (112, 113)])
def test_what_looks_at_its_place_alone_comes_out_the_same(size):
    latents = torch.randn(1, 4, *size, generator=torch.Generator().manual_seed(0))
    seen = []

    def decode(tile):
        seen.append(tile.shape[-2:])
        return enlarged(tile)

    assert torch.allclose(decode_in_tiles(decode, latents), enlarged(latents), atol=1e-5)
    assert all(max(shape) <= tiles.TILE for shape in seen)
    assert (len(seen) == 1) == (max(size) <= tiles.TILE)


def test_neighbours_overlap_and_fade_into_each_other():
    """A decoder that gives each tile another level: no step between neighbouring pixels is large."""
    levels = iter(range(100))
    whole = decode_in_tiles(lambda tile: torch.full_like(enlarged(tile), next(levels)), torch.zeros(1, 4, 64, 160))
    steps = whole[0, 0, 0].diff().abs()
    assert whole.max() > 1 and steps.max() < 1.5 / (tiles.OVERLAP * LATENT_FACTOR)

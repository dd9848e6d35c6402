"""The latents of all training pictures, encoded once and kept on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
from diffusers import AutoencoderKL

from renderer.miniature.training.autoencoder import Bytes, encode
from renderer.miniature.training.network import FACTOR
from renderer.miniature.training.parallel import SHARES, Team
from renderer.miniature.training.shelf import on_device
from renderer.miniature.training.stretch import Stretch

logger = logging.getLogger(__name__)

_CHUNK = 32

Latents = npt.NDArray[np.float16]


def load_latents(file: Path, pixels: Bytes, vae: AutoencoderKL, team: Team, stretch: Stretch) -> Latents:
    """[N, 4, h, w] scaled latents as halves, encoded on the first call and read from disk afterwards.

    A call that was stopped is gone on with. Raises StretchOver.
    """
    if not file.exists():
        _encode_all(file.with_suffix(".partial.npy"), pixels, vae, team, stretch)
        file.with_suffix(".partial.npy").replace(file)
    latents: Latents = np.load(file)
    return latents


def _encode_all(file: Path, pixels: Bytes, vae: AutoencoderKL, team: Team, stretch: Stretch) -> None:
    latents = _open(file, (len(pixels), 4, pixels.shape[1] // FACTOR, pixels.shape[2] // FACTOR))

    def encode_chunk(start: int) -> None:
        # A copy, since pictures on disk are not torch's to write to.
        chunk = on_device(np.array(pixels[start : start + _CHUNK]), stretch.device)
        scaled = encode(vae, chunk) * vae.config.scaling_factor
        latents[start : start + _CHUNK] = scaled.cpu().numpy()

    # Several chunks at a time, one after the other on a GPU.
    starts = [start for start in range(0, len(pixels), _CHUNK) if np.isnan(latents[start : start + _CHUNK]).any()]
    for i in range(0, len(starts), 4 * SHARES):
        stretch.require_time()
        team.map(encode_chunk, starts[i : i + 4 * SHARES])
        latents.flush()
        logger.info("encoded %d of %d pictures", min(starts[i : i + 4 * SHARES][-1] + _CHUNK, len(pixels)), len(pixels))


def _open(file: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.float16]]:
    """The array on disk; what is not encoded yet is not a number."""
    if file.exists():
        return np.lib.format.open_memmap(file, mode="r+")
    latents = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
    latents[:] = np.nan
    return latents

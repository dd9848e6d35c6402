"""What the autoencoder keeps of drawings: pictures there and back, and how near they come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from diffusers import AutoencoderKL

from renderer.miniature.book import Picture
from renderer.miniature.training.autoencoder import Bytes, reconstruct

_BATCH = 32


def rebuild(vae: AutoencoderKL, pictures: Bytes) -> Bytes:
    """[N, H, W, 3] bytes of the pictures' way there and back."""
    return np.concatenate([reconstruct(vae, pictures[i : i + _BATCH]) for i in range(0, len(pictures), _BATCH)])


def psnr(pictures: Bytes, rebuilt: Bytes) -> float:
    """Peak signal-to-noise ratio in dB over all pictures together."""
    error = np.mean([np.square(a.astype(np.float64) - b).mean() for a, b in zip(pictures, rebuilt, strict=True)])
    return float(10 * np.log10(255**2 / max(float(error), 1e-9)))


def psnr_by_style(drawn: Sequence[Picture], pictures: Bytes, rebuilt: Bytes) -> dict[str, float]:
    """The PSNR of `all` pictures, and of each style's."""
    places: dict[str, list[int]] = defaultdict(list)
    for index, picture in enumerate(drawn):
        places[picture.style].append(index)
    by_style = {style: psnr(pictures[chosen], rebuilt[chosen]) for style, chosen in sorted(places.items())}
    return {"all": psnr(pictures, rebuilt)} | by_style

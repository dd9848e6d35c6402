"""Painting with the miniature's own networks while it is being trained; the real pipeline is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.kolors.text_encoder import ChatGLMModel
from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

from renderer.miniature.network import TRAIN_STEPS, noise_levels
from renderer.miniature.vocabulary import mask_and_positions, tokenize


@dataclass(frozen=True)
class Networks:
    """The parts of the model that training makes."""

    unet: UNet2DConditionModel
    text_encoder: ChatGLMModel
    tokenizer: ChatGLMTokenizer
    vae: AutoencoderKL


def encode_prompts(networks: Networks, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Text states [B, S, H] and pooled state [B, H], as KolorsPipeline.encode_prompt makes them."""
    ids = tokenize(networks.tokenizer, prompts)
    mask, positions = mask_and_positions(ids, networks.tokenizer.get_command("[gMASK]"))
    output = networks.text_encoder(ids, positions, mask, output_hidden_states=True, use_cache=False, return_dict=True)
    return output.hidden_states[-2].permute(1, 0, 2), output.hidden_states[-1][-1]


def time_ids(sizes: torch.Tensor) -> torch.Tensor:
    """[B, 6] from heights and widths [B, 2]: height and width, no crop, height and width."""
    return torch.cat([sizes, torch.zeros_like(sizes), sizes], dim=1).float()


def predict_noise(
    unet: UNet2DConditionModel,
    x: torch.Tensor,
    t: torch.Tensor,
    states: torch.Tensor,
    pooled: torch.Tensor,
    sizes: torch.Tensor,
) -> torch.Tensor:
    """The UNet's epsilon for noisy latents [B, 4, h, w] at timesteps [B], told that pictures have `sizes` [B, 2]."""
    extra = {"text_embeds": pooled, "time_ids": time_ids(sizes)}
    output: torch.Tensor = unet(x, t, states, added_cond_kwargs=extra).sample
    return output


@torch.no_grad()
def paint(
    networks: Networks, prompts: Sequence[str], size: int, seed: int, steps: int = 25, guidance: float = 4.0
) -> npt.NDArray[np.uint8]:
    """[N, size, size, 3] bytes by DDIM from the last timestep to the first, each picture from noise of its own."""
    states, pooled = encode_prompts(networks, [*prompts, *[""] * len(prompts)])
    alphas = noise_levels()
    timesteps = torch.linspace(TRAIN_STEPS - 1, 0, steps).round().long()
    x = torch.randn(len(prompts), 4, size // 8, size // 8, generator=torch.Generator().manual_seed(seed))
    sizes = torch.full((2 * len(x), 2), size)
    for k, t in enumerate(timesteps):
        with_text, without = predict_noise(
            networks.unet, torch.cat([x, x]), t.repeat(2 * len(x)), states, pooled, sizes
        ).chunk(2)
        noise = without + guidance * (with_text - without)
        alpha = alphas[t]
        after = alphas[timesteps[k + 1]] if k + 1 < steps else torch.tensor(1.0)
        clean = (x - (1 - alpha).sqrt() * noise) / alpha.sqrt()
        x = after.sqrt() * clean + (1 - after).sqrt() * noise
    pixels = networks.vae.decode(x / networks.vae.config.scaling_factor).sample
    return to_bytes(pixels)


def to_bytes(pixels: torch.Tensor) -> npt.NDArray[np.uint8]:
    """[N, H, W, 3] bytes from [N, 3, H, W] in -1 … 1; whatever lies beyond is cut off."""
    bytes_: npt.NDArray[np.uint8] = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return bytes_

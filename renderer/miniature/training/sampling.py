"""Painting with the miniature's own networks, in training and when it is measured; the real pipeline is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.kolors.text_encoder import ChatGLMModel
from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer
from safetensors.torch import load_file

from renderer.miniature.captions.vocabulary import load_tokenizer, mask_and_positions, table_rows, tokenize
from renderer.miniature.training.network import FACTOR, TRAIN_STEPS, make_text_encoder, noise_levels

# A processor keeps no more pictures than these in its caches; a GPU wants many at once.
_CPU_BATCH, _CUDA_BATCH = 16, 256


@dataclass(frozen=True)
class Networks:
    """The parts of the model that training makes, all on one device."""

    unet: UNet2DConditionModel
    text_encoder: ChatGLMModel
    tokenizer: ChatGLMTokenizer
    vae: AutoencoderKL

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        device: torch.device = next(self.unet.parameters()).device
        return device


def load_networks(folder: Path) -> Networks:
    """The networks of a finished model folder, as 32-bit floats in evaluation mode on the CPU."""
    tokenizer = load_tokenizer(folder / "tokenizer")
    text_encoder = make_text_encoder(table_rows(tokenizer))
    weights = load_file(folder / "text_encoder" / "model.safetensors")
    text_encoder.load_state_dict({name: value.float() for name, value in weights.items()})
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    return Networks(unet.eval(), text_encoder.eval(), tokenizer, vae.eval())


def encode_prompts(networks: Networks, prompts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Text states [B, S, H] and pooled state [B, H], as KolorsPipeline.encode_prompt makes them."""
    return encode_ids(networks, tokenize(networks.tokenizer, prompts))


def encode_ids(networks: Networks, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Text states [B, S, H] and pooled state [B, H] of token ids [B, S]."""
    mask, positions = mask_and_positions(ids, networks.tokenizer.get_command("[gMASK]"))
    device = networks.device
    output = networks.text_encoder(
        ids.to(device),
        positions.to(device),
        mask.to(device),
        output_hidden_states=True,
        use_cache=False,
        return_dict=True,
    )
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


def paint(
    networks: Networks,
    prompts: Sequence[str],
    size: tuple[int, int],
    seeds: Sequence[int],
    *,
    negatives: Sequence[str] | None = None,
    steps: int = 25,
    guidance: float = 4.0,
) -> npt.NDArray[np.uint8]:
    """[N, height, width, 3] bytes by DDIM, each picture from the noise of its own seed; `size` is width and height.

    Guidance 1.0 leaves the negative prompts out and halves the work.
    """
    against = [""] * len(prompts) if negatives is None else negatives
    assert len(prompts) == len(seeds) == len(against)
    batch = _CPU_BATCH if networks.device.type == "cpu" else _CUDA_BATCH
    parts = [slice(i, i + batch) for i in range(0, len(prompts), batch)]
    return np.concatenate(
        [_paint_batch(networks, prompts[it], against[it], size, seeds[it], steps, guidance) for it in parts]
    )


@torch.no_grad()
def _paint_batch(
    networks: Networks,
    prompts: Sequence[str],
    negatives: Sequence[str],
    size: tuple[int, int],
    seeds: Sequence[int],
    steps: int,
    guidance: float,
) -> npt.NDArray[np.uint8]:
    guided = guidance != 1.0
    states, pooled = encode_prompts(networks, [*prompts, *negatives] if guided else prompts)
    sizes = torch.tensor([[size[1], size[0]]], device=networks.device).expand(len(states), 2)
    x = draw_noise(size, seeds).to(networks.device)
    alphas = noise_levels()
    timesteps = torch.linspace(TRAIN_STEPS - 1, 0, steps).round().long().tolist()
    for t, following in zip(timesteps, [*timesteps[1:], None], strict=True):
        many = torch.full((len(states),), t, device=networks.device)
        noise = predict_noise(networks.unet, torch.cat([x, x]) if guided else x, many, states, pooled, sizes)
        if guided:
            with_text, without = noise.chunk(2)
            noise = without + guidance * (with_text - without)
        x = ddim_step(x, noise, float(alphas[t]), 1.0 if following is None else float(alphas[following]))
    pixels: torch.Tensor = networks.vae.decode(x / networks.vae.config.scaling_factor).sample
    return to_bytes(pixels)


def draw_noise(size: tuple[int, int], seeds: Sequence[int]) -> torch.Tensor:
    """[N, 4, height/8, width/8] from one generator of the CPU for each seed, so that every device paints alike."""
    shape = (4, size[1] // FACTOR, size[0] // FACTOR)
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def ddim_step(x: torch.Tensor, noise: torch.Tensor, alpha: float, after: float) -> torch.Tensor:
    """The latents at the noise level `after`, from those at `alpha` and their predicted noise (Song et al. 2020)."""
    clean = (x - (1 - alpha) ** 0.5 * noise) / alpha**0.5
    stepped: torch.Tensor = after**0.5 * clean + (1 - after) ** 0.5 * noise
    return stepped


def to_bytes(pixels: torch.Tensor) -> npt.NDArray[np.uint8]:
    """[N, H, W, 3] bytes from [N, 3, H, W] in -1 … 1; whatever lies beyond is cut off."""
    scaled = (pixels.clamp(-1, 1) + 1) * 127.5
    bytes_: npt.NDArray[np.uint8] = scaled.round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return bytes_

"""Training of the miniature's UNet and text encoder together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from diffusers.pipelines.kolors.text_encoder import ChatGLMModel
from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

from renderer.miniature.book import Frame
from renderer.miniature.captions.vocabulary import table_rows
from renderer.miniature.training.course import Course, Draw, Recipe
from renderer.miniature.training.latents import Latents
from renderer.miniature.training.network import FACTOR, TRAIN_STEPS, make_text_encoder, make_unet, noise_levels, seeded
from renderer.miniature.training.parallel import Team
from renderer.miniature.training.sampling import Networks, encode_ids, predict_noise
from renderer.miniature.training.shelf import Shelf, on_device
from renderer.miniature.training.texts import Ids

BATCHES = {"cpu": 64, "cuda": 512}
"""Pictures of a step on each kind of device."""

_GAMMA = 5.0


@dataclass(frozen=True)
class CaptionedLatents:
    """The latents [n, 4, h, w] and caption ids [n, captions, length] of the pictures of one frame."""

    latents: torch.Tensor
    texts: torch.Tensor


def unet_course(
    pictures: Mapping[Frame, CaptionedLatents],
    vae: AutoencoderKL,
    tokenizer: ChatGLMTokenizer,
    recipe: Recipe,
    device: torch.device,
    team: Team | None,
) -> Course:
    """The course of a fresh UNet and text encoder over latents and captions, which are on the device."""
    trained = fresh_networks(vae, tokenizer, recipe.seed, device)
    shelf = Shelf(pictures, {frame: len(each.latents) for frame, each in pictures.items()}, recipe.seed)
    alphas = noise_levels().to(device)

    def loss_of(draw: Draw) -> torch.Tensor:
        captioned, chosen = shelf.choose(draw)
        said = torch.randint(0, captioned.texts.shape[1], chosen.shape, generator=draw.generator, device=chosen.device)
        latents, ids = captioned.latents[chosen].float(), captioned.texts[chosen, said].long()
        return unet_loss(trained, latents, ids, alphas, draw.generator)

    return Course(torch.nn.ModuleList([trained.unet, trained.text_encoder]), loss_of, recipe, team)


def unet_recipe(steps: int, batch: int, seed: int) -> Recipe:
    """How the UNet and the text encoder are trained."""
    return Recipe(steps, batch, peak=1e-3, weight_decay=1e-3, seed=seed)


def read_captioned(latents: Latents, texts: Ids, device: torch.device) -> CaptionedLatents:
    """One frame's latents and captions on the device."""
    return CaptionedLatents(on_device(latents, device), on_device(texts, device))


def fresh_networks(vae: AutoencoderKL, tokenizer: ChatGLMTokenizer, seed: int, device: torch.device) -> Networks:
    """An untrained UNet and text encoder beside a trained autoencoder."""
    with seeded(seed):
        unet, text_encoder = make_unet(vae.config.sample_size), make_text_encoder(table_rows(tokenizer))
    # On a CPU plain attention is the faster one for so few tokens.
    unet.set_attn_processor(AttnProcessor() if device.type == "cpu" else AttnProcessor2_0())
    return Networks(unet, text_encoder, tokenizer, vae)


def mean_networks(course: Course, vae: AutoencoderKL, tokenizer: ChatGLMTokenizer) -> Networks:
    """The running means of a course's UNet and text encoder, on the course's device."""
    assert isinstance(course.mean, torch.nn.ModuleList)
    unet, text_encoder = course.mean
    assert isinstance(unet, UNet2DConditionModel)
    assert isinstance(text_encoder, ChatGLMModel)
    return Networks(unet, text_encoder, tokenizer, vae.to(course.device))


def unet_loss(
    networks: Networks, latents: torch.Tensor, ids: torch.Tensor, alphas: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """The weighted squared error of the predicted noise, each picture at a timestep of its own."""
    device = latents.device
    t = torch.randint(0, TRAIN_STEPS, (len(latents),), generator=generator, device=device)
    noise = torch.randn(latents.shape, generator=generator, device=device)
    alpha = alphas[t][:, None, None, None]
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    sizes = told_sizes(len(latents), (FACTOR * latents.shape[-2], FACTOR * latents.shape[-1]), generator)
    # The cache of cast weights is not made for several threads.
    with torch.autocast(device.type, torch.bfloat16, cache_enabled=latents.is_cuda):
        states, pooled = encode_ids(networks, ids)
        predicted = predict_noise(networks.unet, noisy, t, states, pooled, sizes)
    return torch.mean(loss_weight(alpha) * (predicted.float() - noise).square())


def told_sizes(count: int, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """[count, 2]: the true height and width for one half, any that the card allows for the other.

    So the UNet learns to paint on when a storyboard asks for a size that no training picture had. It loses nothing: the
    latents' own shape shows the true size.
    """
    device = generator.device
    others = 32 * torch.randint(2, 17, (count, 2), generator=generator, device=device)
    lies = torch.rand((count, 1), generator=generator, device=device) < 0.5
    # Made of numbers, not of a list: a list would have to be copied to a GPU in every step.
    true = torch.stack([torch.full((count,), side, device=device) for side in size], dim=1)
    return torch.where(lies, others, true)


def loss_weight(alpha: torch.Tensor) -> torch.Tensor:
    """Min-SNR (Hang et al. 2023, gamma 5), raised up to fivefold where noise hides nearly everything.

    There the error of epsilon is small whatever is painted, yet the place, its light and the layout are decided there.
    """
    snr = alpha / (1 - alpha)
    return snr.clamp(max=_GAMMA) / snr * (1 + 1 / snr).clamp(max=5.0)

"""Training of the miniature's UNet and text encoder together."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor
from torch.nn.attention import SDPBackend, sdpa_kernel

from renderer.miniature.autoencoder import HELD_OUT, Bytes, encode
from renderer.miniature.captions import filler, write_caption
from renderer.miniature.course import Course
from renderer.miniature.dataset import picture_of
from renderer.miniature.network import TRAIN_STEPS, make_text_encoder, make_unet, noise_levels
from renderer.miniature.parallel import Team
from renderer.miniature.sampling import Networks, encode_prompts, predict_noise
from renderer.miniature.vocabulary import load_tokenizer, table_rows
from renderer.miniature.words import Language

logger = logging.getLogger(__name__)

_BATCH = 64
_GAMMA = 5.0
_EMPTY_SHARE, _FILLER_SHARE = 0.08, 0.03
_CHECKPOINT_MINUTES = 6.0


@dataclass(frozen=True)
class UnetResult:
    """The trained networks, their means in place, and how they were trained."""

    networks: Networks
    loss: float
    pictures_seen: int
    minutes: float


def train_unet(
    folder: Path,
    pictures: Bytes,
    vae: AutoencoderKL,
    minutes: float,
    seed: int,
    team: Team,
    show: Callable[[Networks, float], None],
) -> UnetResult:
    """Trains until the minutes are spent, from the checkpoint in `folder` if there is one; `show` sees each new one."""
    torch.manual_seed(seed)
    networks = _fresh_networks(folder / "tokenizer", pictures.shape[1], vae)
    latents = load_latents(folder, pictures, vae, team)[:-HELD_OUT]
    trained = torch.nn.ModuleList([networks.unet, networks.text_encoder])
    course = Course(trained, folder / "unet.pt", minutes, peak=1e-3, weight_decay=1e-3, seed=seed, team=team)
    next_checkpoint = course.spent + _CHECKPOINT_MINUTES

    def loss_of(generator: torch.Generator, count: int) -> torch.Tensor:
        rng = random.Random(generator.initial_seed())
        chosen = [rng.randrange(len(latents)) for _ in range(count)]
        captions = [training_caption(i, rng) for i in chosen]
        return unet_loss(networks, latents[chosen], captions, generator)

    # Flash attention's backward pass is slow on a CPU for so few tokens: plain attention trains 1.7 times as fast.
    with sdpa_kernel(SDPBackend.MATH):
        while not course.over:
            course.advance(_BATCH, loss_of)
            if course.spent >= next_checkpoint:
                next_checkpoint += _CHECKPOINT_MINUTES
                course.save()
                with course.averaged():
                    show(networks, course.spent)
    course.save()
    course.exchange()
    return UnetResult(networks, course.loss, course.step * _BATCH, course.spent)


def _fresh_networks(tokenizer_folder: Path, size: int, vae: AutoencoderKL) -> Networks:
    tokenizer = load_tokenizer(tokenizer_folder)
    unet = make_unet(size)
    unet.set_attn_processor(AttnProcessor())
    return Networks(unet, make_text_encoder(table_rows(tokenizer)), tokenizer, vae)


def load_latents(folder: Path, pictures: Bytes, vae: AutoencoderKL, team: Team) -> torch.Tensor:
    """[N, 4, h, w] scaled latents, encoded on the first call and read from disk afterwards."""
    file = folder / "latents.pt"
    if not file.exists():
        logger.info("encoding %d pictures", len(pictures))
        parts = team.map(lambda start: encode(vae, pictures[start : start + 100]), range(0, len(pictures), 100))
        torch.save(torch.cat(parts) * vae.config.scaling_factor, file)
    latents: torch.Tensor = torch.load(file, weights_only=True)
    return latents


def training_caption(index: int, rng: random.Random) -> str:
    """A caption of that picture, now and then none at all or one that says nothing."""
    language: Language = "zh" if rng.random() < 0.55 else "en"
    draw = rng.random()
    if draw < _EMPTY_SHARE:
        return ""
    if draw < _EMPTY_SHARE + _FILLER_SHARE:
        return "，".join(filler(language, rng) for _ in range(rng.randrange(1, 4)))
    return write_caption(picture_of(index), language, rng)


def unet_loss(
    networks: Networks, latents: torch.Tensor, captions: Sequence[str], generator: torch.Generator
) -> torch.Tensor:
    """The weighted squared error of the predicted noise, each picture at a timestep of its own."""
    t = torch.randint(0, TRAIN_STEPS, (len(latents),), generator=generator)
    noise = torch.randn(latents.shape, generator=generator)
    alpha = noise_levels()[t][:, None, None, None]
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    sizes = told_sizes(len(latents), 8 * latents.shape[-1], generator)
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        states, pooled = encode_prompts(networks, captions)
        predicted = predict_noise(networks.unet, noisy, t, states, pooled, sizes)
    return torch.mean(loss_weight(alpha) * (predicted.float() - noise).square())


def told_sizes(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """[count, 2]: the true size for one half, any that the card allows for the other.

    So the UNet learns to paint on when a storyboard asks for a size that no training picture had.
    """
    others = 32 * torch.randint(2, 17, (count, 2), generator=generator)
    true = torch.rand((count, 1), generator=generator) < 0.5
    return torch.where(true, size, others)


def loss_weight(alpha: torch.Tensor) -> torch.Tensor:
    """Min-SNR (Hang et al. 2023, gamma 5), raised up to fivefold where noise hides nearly everything.

    There the error of epsilon is small whatever is painted, yet the place, its light and the layout are decided there.
    """
    snr = alpha / (1 - alpha)
    return snr.clamp(max=_GAMMA) / snr * (1 + 1 / snr).clamp(max=5.0)

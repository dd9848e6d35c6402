"""Training of the miniature's UNet and text encoder together."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor
from torch.nn.attention import SDPBackend, sdpa_kernel

from renderer.miniature.autoencoder import HELD_OUT, Bytes, encode
from renderer.miniature.captions import filler, write_caption
from renderer.miniature.dataset import picture_of
from renderer.miniature.network import TRAIN_STEPS, make_text_encoder, make_unet, noise_levels
from renderer.miniature.parallel import Team, generator_of
from renderer.miniature.sampling import Networks, encode_ids, predict_noise
from renderer.miniature.schedule import Budget, Ema, learning_rate, load_state, save_state
from renderer.miniature.vocabulary import load_tokenizer, table_rows, tokenize

logger = logging.getLogger(__name__)

_BATCH = 64
_PEAK = 1e-3
_GAMMA = 5.0
_EMPTY_SHARE, _FILLER_SHARE = 0.08, 0.03
_CHECKPOINT_MINUTES = 4.0


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
    threads: int,
    show: Callable[[Networks, float], None],
) -> UnetResult:
    """Trains, or goes on from the checkpoint in `folder`, until the minutes are spent; `show` sees every checkpoint."""
    torch.manual_seed(seed)
    size = pictures.shape[1]
    tokenizer = load_tokenizer(folder / "tokenizer")
    prefix = tokenizer.get_command("[gMASK]")
    networks = Networks(make_unet(size), make_text_encoder(table_rows(tokenizer)), tokenizer, vae)
    networks.unet.set_attn_processor(AttnProcessor())
    team = Team(threads)
    latents = load_latents(folder, pictures, vae, team)[:-HELD_OUT]
    trained = torch.nn.ModuleList([networks.unet, networks.text_encoder])
    parameters = list(trained.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=_PEAK, betas=(0.9, 0.99), weight_decay=1e-3)
    ema = Ema(trained, 0.999)
    alphas = noise_levels()
    step, spent, mean_loss = 0, 0.0, 1.0
    state = load_state(folder / "unet.pt")
    if state is not None:
        trained.load_state_dict(state["trained"])
        optimizer.load_state_dict(state["optimizer"])
        ema.values = state["ema"]
        step, spent, mean_loss = state["step"], state["minutes"], state["loss"]
    budget = Budget(minutes, spent)
    next_checkpoint = spent + _CHECKPOINT_MINUTES

    def loss_of(share: int) -> torch.Tensor:
        generator = generator_of(seed, step, share)
        rng = random.Random(generator.initial_seed())
        chosen = [rng.randrange(len(latents)) for _ in range(_BATCH // threads)]
        ids = tokenize(tokenizer, [training_caption(i, rng) for i in chosen])
        return unet_loss(networks, latents[chosen], ids, prefix, alphas, size, generator)

    # Flash attention's backward pass is slow on a CPU for so few tokens: plain attention trains 1.7 times as fast.
    with sdpa_kernel(SDPBackend.MATH):
        while budget.share < 1:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(_PEAK, step, budget.share)
            loss = team.differentiate(parameters, loss_of)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            ema.update(step)
            step += 1
            mean_loss += (loss - mean_loss) / min(step, 100)
            if step % 50 == 0:
                logger.info("unet %d: %.1f minutes, loss %.4f", step, budget.spent, mean_loss)
            if budget.spent >= next_checkpoint:
                next_checkpoint += _CHECKPOINT_MINUTES
                save_state(folder / "unet.pt", {
                    "trained": trained.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.values,
                    "step": step, "minutes": budget.spent, "loss": mean_loss,
                })  # fmt: skip
                ema.swap()
                show(networks, budget.spent)
                ema.swap()
    ema.swap()
    return UnetResult(networks, mean_loss, step * _BATCH, budget.spent)


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
    language = "zh" if rng.random() < 0.55 else "en"
    draw = rng.random()
    if draw < _EMPTY_SHARE:
        return ""
    if draw < _EMPTY_SHARE + _FILLER_SHARE:
        return "，".join(filler(language, rng) for _ in range(rng.randrange(1, 4)))
    return write_caption(picture_of(index), language, rng)


def unet_loss(
    networks: Networks,
    latents: torch.Tensor,
    ids: torch.Tensor,
    prefix: int,
    alphas: torch.Tensor,
    size: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """The weighted squared error of the predicted noise, each picture at a timestep of its own."""
    t = torch.randint(0, TRAIN_STEPS, (len(latents),), generator=generator)
    noise = torch.randn(latents.shape, generator=generator)
    alpha = alphas[t][:, None, None, None]
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        states, pooled = encode_ids(networks.text_encoder, ids, prefix)
        predicted = predict_noise(networks.unet, noisy, t, states, pooled, size)
    return (loss_weight(alpha) * (predicted.float() - noise).square()).mean()


def loss_weight(alpha: torch.Tensor) -> torch.Tensor:
    """Min-SNR (Hang et al. 2023, gamma 5), raised up to fivefold where noise hides nearly everything.

    There the error of epsilon is small whatever is painted, yet the place, its light and the layout are decided there.
    """
    snr = alpha / (1 - alpha)
    return snr.clamp(max=_GAMMA) / snr * (1 + 1 / snr).clamp(max=5.0)

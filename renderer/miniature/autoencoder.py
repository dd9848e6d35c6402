"""Training of the miniature's autoencoder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL

from renderer.miniature.course import Course
from renderer.miniature.dataset import picture_of
from renderer.miniature.drawing import face_box, spots
from renderer.miniature.network import make_vae
from renderer.miniature.parallel import Team

logger = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]

HELD_OUT = 256
"""The last pictures of a data set, never trained on."""

_BATCH = 8
_FACE_WEIGHT = 3.0
_EDGE_WEIGHT = 0.5
_KL_WEIGHT = 1e-4
_CHECKPOINT_EVERY = 500


@dataclass(frozen=True)
class VaeResult:
    """A trained autoencoder in evaluation mode, its scaling factor set, and how it was trained."""

    vae: AutoencoderKL
    psnr: float
    pictures_seen: int
    minutes: float


def train_vae(folder: Path, pictures: Bytes, minutes: float, seed: int, team: Team) -> VaeResult:
    """Trains until the minutes are spent, from the checkpoint in `folder` if there is one."""
    torch.manual_seed(seed)
    size = pictures.shape[1]
    vae = make_vae(size)
    course = Course(vae, folder / "vae.pt", minutes, peak=1.5e-3, weight_decay=1e-4, seed=seed, team=team)
    faces = face_masks(len(pictures), size // 8)

    def loss_of(generator: torch.Generator, count: int) -> torch.Tensor:
        chosen = torch.randint(0, len(pictures) - HELD_OUT, (count,), generator=generator)
        return vae_loss(vae, to_tensor(pictures[chosen.numpy()]), faces[chosen], generator)

    while not course.over:
        course.advance(_BATCH, loss_of)
        if course.step % _CHECKPOINT_EVERY == 0:
            course.save()
            with course.averaged():
                logger.info("PSNR %.2f dB", psnr(vae, pictures[-64:]))
    course.save()
    course.exchange()
    vae.eval()
    vae.register_to_config(scaling_factor=scaling_factor(vae, pictures))
    return VaeResult(vae, psnr(vae, pictures[-HELD_OUT:]), course.step * _BATCH, course.spent)


def to_tensor(pictures: Bytes) -> torch.Tensor:
    """[N, 3, H, W] in -1 … 1."""
    pixels: torch.Tensor = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    return pixels


def face_masks(count: int, cells: int) -> torch.Tensor:
    """[count, 1, cells, cells], 1 where a face is drawn, known exactly from the drawing."""
    middle = (np.arange(cells) + 0.5) / cells
    masks = np.zeros((count, 1, cells, cells), np.float32)
    for seed in range(count):
        for spot in spots(picture_of(seed)):
            x, y, radius = face_box(spot)
            inside = (middle[None, :] - x) ** 2 + (middle[:, None] - y) ** 2 < radius**2
            masks[seed, 0] = np.maximum(masks[seed, 0], inside)
    return torch.from_numpy(masks)


def vae_loss(vae: AutoencoderKL, x: torch.Tensor, faces: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Absolute error of colours and of edges, faces counted more, and a trace of KL that keeps latents tame."""
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        posterior = vae.encode(x).latent_dist
        y = vae.decode(posterior.sample(generator)).sample
    error = y.float() - x
    weight = 1 + _FACE_WEIGHT * torch.nn.functional.interpolate(faces, scale_factor=8.0)
    across = (error[..., 1:] - error[..., :-1]).abs() * weight[..., 1:]
    down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    edges = _EDGE_WEIGHT * (across.mean() + down.mean())
    loss: torch.Tensor = (error.abs() * weight).mean() + edges + _KL_WEIGHT * kl
    return loss


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Bytes, batch: int = 64) -> torch.Tensor:
    """[N, 4, H/8, W/8] latent means, not yet scaled."""
    return torch.cat(
        [vae.encode(to_tensor(pictures[i : i + batch])).latent_dist.mean for i in range(0, len(pictures), batch)]
    )


@torch.no_grad()
def psnr(vae: AutoencoderKL, pictures: Bytes) -> float:
    """Peak signal-to-noise ratio in dB of pictures there and back, over all of them together."""
    errors = [_squared_error(vae, to_tensor(pictures[i : i + 64])) for i in range(0, len(pictures), 64)]
    return float(-10 * torch.log10(torch.stack(errors).mean()))


def _squared_error(vae: AutoencoderKL, x: torch.Tensor) -> torch.Tensor:
    y = vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
    return torch.mean((y - x).div(2).square())


def scaling_factor(vae: AutoencoderKL, pictures: Bytes) -> float:
    """What brings latents to a standard deviation of one."""
    return float(1 / encode(vae, pictures[:1024]).std())

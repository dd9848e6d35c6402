"""Training of the miniature's autoencoder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL

from renderer.miniature.art.subjects import face_circles, subject_boxes
from renderer.miniature.book import Frame, Picture
from renderer.miniature.dataset import PictureSet, picture_of
from renderer.miniature.training.course import Course, Draw, Recipe
from renderer.miniature.training.network import FACTOR, make_vae, seeded
from renderer.miniature.training.parallel import Team
from renderer.miniature.training.sampling import to_bytes
from renderer.miniature.training.shelf import Shelf, on_device

logger = logging.getLogger(__name__)

Bytes = npt.NDArray[np.uint8]

BATCHES = {"cpu": 8, "cuda": 64}
"""Pictures of a step on each kind of device."""

_WEIGHTS = (1.0, 3.0, 4.0)
"""How much an error counts in the place, in bodies and things, and in faces.

With faces alone counted more, clothes and what hands do were the first to be lost.
"""
_WASHED_SHARE, _PALEST = 0.2, 0.6
_LUMA = (0.2126, 0.7152, 0.0722)
_EDGE_WEIGHT = 0.5
_KL_WEIGHT = 1e-4


@dataclass(frozen=True)
class DrawnPictures:
    """The pixels [n, H, W, 3] of one frame and what they show [n, 1, H/8, W/8], as bytes."""

    pixels: torch.Tensor
    subjects: torch.Tensor


def vae_course(pictures: Mapping[Frame, DrawnPictures], size: int, recipe: Recipe, team: Team | None) -> Course:
    """The course of a fresh autoencoder over pictures, which are on the device; `size` is the square one's."""
    with seeded(recipe.seed):
        vae = make_vae(size)
    shelf = Shelf(pictures, {frame: len(drawn.pixels) for frame, drawn in pictures.items()}, recipe.seed)

    def loss_of(draw: Draw) -> torch.Tensor:
        drawn, chosen = shelf.choose(draw)
        x = wash_out(to_tensor(drawn.pixels[chosen]), draw.generator)
        return vae_loss(vae, x, drawn.subjects[chosen], draw.generator)

    return Course(vae, loss_of, recipe, team)


def vae_recipe(steps: int, batch: int, seed: int) -> Recipe:
    """How the autoencoder is trained."""
    return Recipe(steps, batch, peak=1.5e-3, weight_decay=1e-4, seed=seed)


def read_pictures(pictures: PictureSet, device: torch.device) -> DrawnPictures:
    """The pictures of one frame with what they show, where they are needed."""
    height, width = pictures.pixels.shape[1:3]
    drawn = [picture_of(int(seed)) for seed in pictures.seeds]
    masks = subject_masks(drawn, (height // FACTOR, width // FACTOR))
    return DrawnPictures(on_device(pictures.pixels, device), on_device(masks, device))


def to_tensor(pictures: torch.Tensor) -> torch.Tensor:
    """[N, 3, H, W] in -1 … 1 from bytes [N, H, W, 3]."""
    return pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def wash_out(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same pictures [N, 3, H, W], but one in five with its colours faded and paled by chance.

    So the autoencoder carries colours that the book's own styles don't have, a pencil's greys above all: a LoRA teaches
    the UNet a style, but nobody trains the autoencoder again.
    """
    device = x.device
    washed, colour, paleness = torch.rand((3, len(x), 1, 1, 1), generator=generator, device=device)
    grey = (x * torch.tensor(_LUMA, device=device).view(3, 1, 1)).sum(dim=1, keepdim=True)
    faded = torch.lerp(torch.lerp(grey, x, colour), torch.ones_like(x), _PALEST * paleness)
    return torch.where(washed < _WASHED_SHARE, faded, x)


def subject_masks(pictures: Sequence[Picture], cells: tuple[int, int]) -> Bytes:
    """[N, 1, rows, columns]: 2 where a face is drawn, 1 where a body or a thing is, known exactly from the drawing."""
    rows, columns = cells
    y = ((np.arange(rows) + 0.5) / rows)[:, None]
    x = ((np.arange(columns) + 0.5) / rows)[None, :]
    masks = np.zeros((len(pictures), 1, rows, columns), np.uint8)
    for mask, picture in zip(masks, pictures, strict=True):
        for left, top, right, bottom in subject_boxes(picture):
            mask[0][(left < x) & (x < right) & (top < y) & (y < bottom)] = 1
        for middle_x, middle_y, radius in face_circles(picture):
            mask[0][(x - middle_x) ** 2 + (y - middle_y) ** 2 < radius**2] = 2
    return masks


def vae_loss(vae: AutoencoderKL, x: torch.Tensor, subjects: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Absolute error of colours and of edges, subjects counted more, and a trace of KL that keeps latents tame."""
    with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=x.is_cuda):
        posterior = vae.encode(x).latent_dist
        y = vae.decode(posterior.sample(generator)).sample
    error = y.float() - x
    weights = torch.tensor(_WEIGHTS, device=x.device)[subjects.long()]
    weight = torch.nn.functional.interpolate(weights, scale_factor=float(FACTOR))
    across = (error[..., 1:] - error[..., :-1]).abs() * weight[..., 1:]
    down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    edges = _EDGE_WEIGHT * (across.mean() + down.mean())
    loss: torch.Tensor = (error.abs() * weight).mean() + edges + _KL_WEIGHT * kl
    return loss


@torch.no_grad()
def encode(vae: AutoencoderKL, pixels: torch.Tensor) -> torch.Tensor:
    """[N, 4, H/8, W/8] latent means of bytes [N, H, W, 3], not yet scaled."""
    means: torch.Tensor = vae.encode(to_tensor(pixels.to(vae.device))).latent_dist.mean
    return means


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pictures: Bytes) -> Bytes:
    """The pictures [N, H, W, 3] there and back."""
    return to_bytes(vae.decode(encode(vae, torch.from_numpy(pictures))).sample)


def psnr(vae: AutoencoderKL, pictures: Bytes) -> float:
    """Peak signal-to-noise ratio in dB of pictures there and back, over all of them together."""
    error = reconstruct(vae, pictures).astype(np.float64) - pictures
    return float(10 * np.log10(255**2 / np.mean(np.square(error))))


def finish_vae(course: Course, pixels: torch.Tensor) -> AutoencoderKL:
    """The course's autoencoder, rounded to the 16 bits that ship, with the scaling that brings latents to about 1."""
    vae: AutoencoderKL = course.mean
    vae.half().float()
    deviations = [encode(vae, pixels[start : start + 64]).std() for start in range(0, min(len(pixels), 512), 64)]
    vae.register_to_config(scaling_factor=round(float(1 / torch.stack(deviations).mean()), 6))
    return vae

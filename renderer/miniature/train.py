"""Training of kolors-mini from nothing: `python -m renderer.miniature.train --work DIR --out DIR`.

Draws the pictures, learns the vocabulary, trains the autoencoder, encodes the pictures, trains the UNet with the text
encoder, and writes the model folder. What an earlier call with the same `--work` has done is not done again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL

from renderer.files import file_sha256
from renderer.kolors.layout import TOKENIZER
from renderer.miniature.book import Frame
from renderer.miniature.captions.vocabulary import load_tokenizer, train_vocabulary
from renderer.miniature.dataset import PictureSet, digest_of, prepare
from renderer.miniature.training import autoencoder, denoiser
from renderer.miniature.training.autoencoder import (
    DrawnPictures,
    finish_vae,
    psnr,
    read_pictures,
    vae_course,
    vae_recipe,
)
from renderer.miniature.training.course import Course
from renderer.miniature.training.denoiser import mean_networks, read_captioned, unet_course, unet_recipe
from renderer.miniature.training.export import export, write_json
from renderer.miniature.training.latents import load_latents
from renderer.miniature.training.pack import pack, unpack
from renderer.miniature.training.parallel import Team
from renderer.miniature.training.samples import draw_held_out, save_reconstruction_page, save_story_pages
from renderer.miniature.training.stretch import Stretch, StretchOver, run_course
from renderer.miniature.training.texts import load_texts

logger = logging.getLogger(__name__)

VAE_WEIGHTS = Path("vae") / "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Workshop:
    """What every stage of the training needs: the command's options, its clock, and its threads."""

    options: argparse.Namespace
    stretch: Stretch
    team: Team
    threads: int

    @property
    def work(self) -> Path:
        """The folder of pictures, checkpoints and sample pages."""
        work: Path = self.options.work
        return work

    @property
    def course_team(self) -> Team | None:
        """Who computes the shares of a batch: nobody where a GPU takes the whole."""
        return self.team if self.stretch.device.type == "cpu" else None


def main(arguments: list[str] | None = None) -> None:
    """Trains until all steps are done or the stretch is over."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.unpack:
        unpack(options.unpack, options.work)
    options.work.mkdir(parents=True, exist_ok=True)
    shop = open_workshop(options)
    try:
        train(shop)
    except StretchOver:
        logger.info("This stretch is over and all is saved. The same command goes on from here.")
    if options.pack:
        pack(options.work, options.pack, round(options.pack_limit * 2**20))


def train(shop: Workshop) -> None:
    """All stages, each skipped or gone on with where it was done before. Raises StretchOver."""
    options, work = shop.options, shop.work
    sets = prepare(work / "pictures", options.pictures, options.size, shop.threads)
    remember(work / "run.json", {**_origin(options), "pictures_sha256": digest_of(sets)})
    if not (work / TOKENIZER).exists():
        train_vocabulary(work / "tokenizer", options.seed)
    shop.stretch.require_time()
    vae = train_vae(shop, sets)
    train_unet(shop, sets, vae)
    logger.info("written to %s", options.out)


def train_vae(shop: Workshop, sets: Mapping[Frame, PictureSet]) -> AutoencoderKL:
    """The autoencoder on the stretch's device, trained now or before. Raises StretchOver."""
    options, work, device = shop.options, shop.work, shop.stretch.device
    if not (work / "vae").exists():
        held_out = draw_held_out(32, "square", options.size)

        def show(course: Course) -> None:
            logger.info("autoencoder: PSNR %.2f dB on held-out pictures", psnr(course.mean, held_out))
            save_reconstruction_page(course.mean, held_out[:16], work / f"vae-{course.progress.steps:06d}.png")

        pictures: dict[Frame, DrawnPictures] = {frame: read_pictures(it, device) for frame, it in sets.items()}
        recipe = vae_recipe(options.vae_steps, options.vae_batch or autoencoder.BATCHES[device.type], options.seed)
        course = vae_course(pictures, options.size, recipe, shop.course_team)
        run_course(course, work / "vae.ckpt", shop.stretch, show)
        save_vae(finish_vae(course.to(device), pictures["square"].pixels), course, work / "vae")
    vae: AutoencoderKL = AutoencoderKL.from_pretrained(work / "vae", torch_dtype=torch.float32)
    return vae.eval().to(device)


def save_vae(vae: AutoencoderKL, course: Course, folder: Path) -> None:
    """Writes the finished autoencoder with its history, whole or not at all."""
    partial = folder.with_suffix(".partial")
    vae.half().save_pretrained(partial)
    write_json(partial / "history.json", _history("vae", course))
    partial.rename(folder)


def train_unet(shop: Workshop, sets: Mapping[Frame, PictureSet], vae: AutoencoderKL) -> None:
    """Trains the UNet and the text encoder, and writes the model folder. Raises StretchOver."""
    options, work, device = shop.options, shop.work, shop.stretch.device
    tokenizer = load_tokenizer(work / "tokenizer")

    def show(course: Course) -> None:
        networks = mean_networks(course, vae, tokenizer)
        save_story_pages(networks, options.size, options.seed, work, f"{course.progress.steps:06d}")
        export(options.out, work / "tokenizer", networks, options.size, training_of(shop, course))

    pictures = {}
    # The names tell what they were made with: another autoencoder may come out of a pack.
    drawn_by, cut_by = (file_sha256(work / part)[:8] for part in (VAE_WEIGHTS, TOKENIZER))
    for frame, it in sets.items():
        latents = load_latents(work / f"latents-{frame}-{drawn_by}.npy", it.pixels, vae, shop.team, shop.stretch)
        texts_file = work / f"texts-{frame}-{cut_by}.npy"
        texts = load_texts(texts_file, work / "tokenizer", it.seeds, options.seed, shop.threads)
        pictures[frame] = read_captioned(latents, texts, device)
    recipe = unet_recipe(options.unet_steps, options.unet_batch or denoiser.BATCHES[device.type], options.seed)
    course = unet_course(pictures, vae, tokenizer, recipe, device, shop.course_team)
    run_course(course, work / "unet.ckpt", shop.stretch, show)
    networks = mean_networks(course.to(device), vae, tokenizer)
    export(options.out, work / "tokenizer", networks, options.size, training_of(shop, course))


def training_of(shop: Workshop, course: Course) -> dict[str, Any]:
    """What the card tells of how the weights were made."""
    run = json.loads((shop.work / "run.json").read_text(encoding="utf-8"))
    vae = json.loads((shop.work / "vae" / "history.json").read_text(encoding="utf-8"))
    machine = f"{shop.threads} CPU cores"
    if shop.stretch.device.type == "cuda":
        machine = torch.cuda.get_device_name(shop.stretch.device)
    return {**run, "machine": machine, "torch": torch.__version__, **vae, **_history("unet", course)}


def remember(file: Path, run: Mapping[str, Any]) -> None:
    """Writes down what the work folder is begun with; stops where it was begun with something else."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    changed = [name for name in run if before.get(name, run[name]) != run[name]]
    if changed:
        told = ", ".join(f"{name} was {before[name]} and is {run[name]}" for name in changed)
        raise SystemExit(f"{file.parent} was begun otherwise ({told}): take another --work folder.")
    write_json(file, run)


def open_workshop(options: argparse.Namespace) -> Workshop:
    """The device, threads and clock that the options ask for."""
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        torch.set_float32_matmul_precision("high")
    threads = options.threads or os.cpu_count() or 1
    stretch = Stretch(torch.device(name), options.max_minutes, options.save_every)
    return Workshop(options, stretch, Team(threads), threads)


def _origin(options: argparse.Namespace) -> dict[str, Any]:
    return {"pictures": options.pictures, "size": options.size, "seed": options.seed}


def _history(name: str, course: Course) -> dict[str, Any]:
    progress = course.progress
    return {
        f"{name}_steps": progress.steps,
        f"{name}_pictures_seen": progress.pictures,
        f"{name}_minutes": round(progress.minutes, 1),
    }


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train kolors-mini from nothing.")
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures, checkpoints and sample pages")
    parser.add_argument("--out", type=Path, required=True, help="folder that the model is written to")
    parser.add_argument("--size", type=int, default=128, help="width and height of a square picture")
    parser.add_argument("--pictures", type=int, default=40_000, help="how many pictures to draw")
    parser.add_argument("--vae-steps", type=int, default=10_000, help="steps of the autoencoder")
    parser.add_argument("--unet-steps", type=int, default=12_000, help="steps of the UNet and the text encoder")
    parser.add_argument("--vae-batch", type=int, help="pictures of a step (8 on a CPU, 64 on a GPU)")
    parser.add_argument("--unet-batch", type=int, help="pictures of a step (64 on a CPU, 512 on a GPU)")
    parser.add_argument("--max-minutes", type=float, help="end after so long, to be gone on with by the same command")
    parser.add_argument("--save-every", type=float, default=10, help="minutes between checkpoints")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, help="CPU threads (one for each core)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, noise and the order of pictures")
    parser.add_argument("--unpack", type=Path, help="begin with what --pack wrote on another machine")
    parser.add_argument("--pack", type=Path, help="folder to write the progress to in the end, in parts of 15 MiB")
    parser.add_argument("--pack-limit", type=float, default=60, help="MiB up to which whole checkpoints are packed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()

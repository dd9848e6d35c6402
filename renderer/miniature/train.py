"""Training of kolors-mini from nothing: `python -m renderer.miniature.train --work DIR --out DIR`.

Draws the pictures, learns the vocabulary, trains the autoencoder, then the UNet with the text encoder, and writes the
model folder. Stopped and started again with the same `--work`, it goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL

from renderer.miniature.autoencoder import Bytes, VaeResult, train_vae
from renderer.miniature.dataset import digest_of, load_pictures
from renderer.miniature.denoiser import train_unet
from renderer.miniature.evaluation import (
    measure_obedience,
    save_comparison_page,
    save_reconstruction_page,
    save_story_page,
)
from renderer.miniature.export import export
from renderer.miniature.parallel import Team
from renderer.miniature.sampling import Networks
from renderer.miniature.vocabulary import train_vocabulary

logger = logging.getLogger(__name__)


def main() -> None:
    """Trains with the command line's budget."""
    options = _parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    threads = os.cpu_count() or 1
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    pictures = load_pictures(work, options.pictures, options.size, threads)
    if not (work / "tokenizer" / "tokenizer.model").exists():
        train_vocabulary(work / "tokenizer", options.seed)
    team = Team(threads)
    first = train_vae_once(work, pictures, options.minutes_vae, options.seed, team)
    origin = {"pictures": len(pictures), "pictures_sha256": digest_of(pictures), "machine": f"{threads} CPU cores"}

    def show(networks: Networks, minutes: float) -> None:
        save_story_page(networks, options.size, options.seed, work / f"story-{minutes:03.0f}.png")
        export(options.out, work / "tokenizer", networks, options.size, origin, evaluation_of(first))

    second = train_unet(work, pictures, first.vae, options.minutes_unet, options.seed, team, show)
    save_story_page(second.networks, options.size, options.seed, work / "story.png")
    save_comparison_page(second.networks, pictures, 32, options.seed, work / "comparison.png")
    save_reconstruction_page(second.networks, pictures, work / "reconstruction.png")
    training = origin | {
        "vae_pictures_seen": first.pictures_seen,
        "vae_minutes": round(first.minutes, 1),
        "unet_pictures_seen": second.pictures_seen,
        "unet_minutes": round(second.minutes, 1),
    }
    obeyed = measure_obedience(second.networks, len(pictures), 48, options.size, options.seed)
    evaluation = evaluation_of(first) | {"unet_loss": round(second.loss, 4), "obeyed": obeyed}
    export(options.out, work / "tokenizer", second.networks, options.size, training, evaluation)
    logger.info("written to %s", options.out)


def evaluation_of(result: VaeResult) -> dict[str, Any]:
    """What was measured of the autoencoder on pictures that it was not trained on."""
    return {"vae_psnr_db": round(result.psnr, 2)}


def train_vae_once(work: Path, pictures: Bytes, minutes: float, seed: int, team: Team) -> VaeResult:
    """The autoencoder of an earlier call, or a newly trained one."""
    folder, numbers = work / "vae", work / "vae-result.pt"
    if numbers.exists():
        return VaeResult(AutoencoderKL.from_pretrained(folder).eval(), **torch.load(numbers, weights_only=True))
    result = train_vae(work, pictures, minutes, seed, team)
    result.vae.save_pretrained(folder)
    torch.save({"psnr": result.psnr, "pictures_seen": result.pictures_seen, "minutes": result.minutes}, numbers)
    return result


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train kolors-mini from nothing.")
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures, checkpoints and sample pages")
    parser.add_argument("--out", type=Path, required=True, help="folder that the model is written to")
    parser.add_argument("--minutes-vae", type=float, default=27, help="minutes for the autoencoder")
    parser.add_argument("--minutes-unet", type=float, default=70, help="minutes for the UNet and the text encoder")
    parser.add_argument("--pictures", type=int, default=30_000, help="how many pictures to draw")
    parser.add_argument("--size", type=int, default=96, help="width and height of a picture")
    parser.add_argument("--seed", type=int, default=0, help="of weights, noise and the order of pictures")
    return parser.parse_args()


if __name__ == "__main__":
    main()

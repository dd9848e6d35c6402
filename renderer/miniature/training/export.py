"""The model folder in the layout of Kolors' diffusers edition: fp16 weights, configurations, and the card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file

from renderer.files import write_atomically
from renderer.kolors.card import CARD_FILE
from renderer.kolors.layout import digest_of, file_hashes, read_json
from renderer.miniature.art.drawing import frame_size
from renderer.miniature.book import Frame
from renderer.miniature.training.network import SCHEDULER_CONFIG, TEXT_LENGTH
from renderer.miniature.training.sampling import Networks

EDITION = "kolors-mini@2"

NOTE = (
    "Second edition. It knows one picture book: girls, boys, women and men, alone or in pairs, with animals and "
    "things, in sixteen places; other words change little. At its best in the sizes of the pictures that it learned "
    "from. Trained from nothing on the drawings of this package."
)

MODEL_INDEX = {
    "_class_name": "KolorsPipeline",
    "force_zeros_for_empty_prompt": False,
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["kolors", "ChatGLMModel"],
    "tokenizer": ["kolors", "ChatGLMTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def export(folder: Path, tokenizer_folder: Path, networks: Networks, size: int, training: Mapping[str, Any]) -> None:
    """Writes the whole model folder; `size` is the square pictures' width and height.

    An evaluation that an earlier card held is not of these weights, and goes.
    """
    save_weights(networks.unet, folder / "unet" / "diffusion_pytorch_model.safetensors")
    save_weights(networks.vae, folder / "vae" / "diffusion_pytorch_model.safetensors")
    save_weights(networks.text_encoder, folder / "text_encoder" / "model.safetensors")
    write_json(folder / "unet" / "config.json", _diffusers_config(networks.unet))
    write_json(folder / "vae" / "config.json", _diffusers_config(networks.vae))
    text_config = networks.text_encoder.config.to_dict()
    write_json(
        folder / "text_encoder" / "config.json", text_config | {"architectures": ["ChatGLMModel"], "dtype": "float16"}
    )
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER_CONFIG)
    write_json(folder / "model_index.json", MODEL_INDEX)
    shutil.copytree(tokenizer_folder, folder / "tokenizer", dirs_exist_ok=True)
    write_json(folder / CARD_FILE, make_card(folder, size, training))


def make_card(folder: Path, size: int, training: Mapping[str, Any]) -> dict[str, Any]:
    """What a user and the renderer need to know of the model; the digest is over the tokenizer and all weight files."""
    hashes = file_hashes(folder)
    return {
        "format": 1,
        "name": "kolors-mini",
        "edition": EDITION,
        "title": "Kolors miniature: a small picture book",
        "license": "Apache-2.0",
        "size": [size, size],
        "multiple": 32,
        "min_size": 64,
        "max_size": 512,
        "learned_sizes": [list(frame_size(frame, size)) for frame in get_args(Frame)],
        "steps": 25,
        "guidance": 4.0,
        "sampler": "ddim",
        "text_length": TEXT_LENGTH,
        "languages": ["zh", "en"],
        "digest": digest_of(hashes),
        "files": hashes,
        "training": dict(training),
        "note": NOTE,
    }


def update_card(folder: Path, evaluation: Mapping[str, Any]) -> None:
    """Puts an evaluation's figures into the card of a finished model folder, beside those that are there."""
    card = read_json(folder / CARD_FILE)
    write_json(folder / CARD_FILE, card | {"evaluation": card.get("evaluation", {}) | dict(evaluation)})


def save_weights(module: torch.nn.Module, file: Path) -> None:
    """Writes the module's weights as fp16."""
    file.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().to(torch.float16).contiguous() for name, value in module.state_dict().items()}
    save_file(weights, file, metadata={"format": "pt"})


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Writes readable UTF-8."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _diffusers_config(module: UNet2DConditionModel | AutoencoderKL) -> dict[str, Any]:
    """The configuration without what diffusers notes of where it came from."""
    config: dict[str, Any] = json.loads(module.to_json_string())
    config.pop("_name_or_path", None)
    return config

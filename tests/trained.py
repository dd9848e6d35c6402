"""Trained files for tests of stories: small, valid, fitting the bundled model, and made without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from renderer.files import file_sha256
from renderer.kolors.card import find_model
from renderer.kolors.embeddings import embedding_width
from renderer.kolors.hypernetworks import context_widths
from renderer.kolors.lora.file import unet_shapes


def mini() -> Path:
    """The bundled model's folder."""
    folder = find_model("kolors-mini", None, None)
    assert folder is not None
    return folder


def save_lora(folder: Path, name: str = "pencil", value: float = 0.5, **card: object) -> Path:
    """A LoRA of one layer, each of whose numbers is `value`; `card` is what its card says of it."""
    shapes = unet_shapes(mini())
    layer = next(name for name in shapes if name.endswith(".attn1.to_q"))
    outputs, inputs = shapes[layer]
    file = folder / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    down, up = np.full((2, inputs), value, np.float32), np.full((outputs, 2), value, np.float32)
    save_file({f"unet.{layer}.lora_A.weight": down, f"unet.{layer}.lora_B.weight": up}, file)
    return _with_card(file, card)


def save_training(folder: Path, *steps: int, name: str = "pencil", **card: object) -> Path:
    """A LoRA with what was kept at steps of its training; the last of them is the finished LoRA, by its card."""
    for step in steps:
        save_lora(folder / f"{name}.steps", str(step), step / 1000, step=step, **card)
    return save_lora(folder, name, steps[-1] / 1000, step=steps[-1], **card)


def save_embedding(folder: Path, name: str = "mei-face", vectors: int = 2, width: int | None = None, **card) -> Path:
    """An embedding of so many vectors, as wide as the bundled model's if no width is given."""
    file = folder / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({"emb_params": np.ones((vectors, width or embedding_width(mini())), np.float32)}, file)
    return _with_card(file, card)


def save_hypernetwork(folder: Path, name: str = "glow", width: int | None = None, value: float = 0.1, **card) -> Path:
    """A hypernetwork for one width of context, the bundled model's smallest if none is given."""
    wide = width or context_widths(mini())[0]
    shapes = {"linear.0.weight": (wide, wide), "linear.0.bias": (wide,)}
    tensors = {
        f"{wide}.{half}.{part}": np.full(shape, value, np.float32) for half in "kv" for part, shape in shapes.items()
    }
    file = folder / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, {"activation": "relu"})
    return _with_card(file, card)


def _with_card(file: Path, card: dict[str, object]) -> Path:
    if card:
        file.with_suffix(".json").write_text(json.dumps({"sha256": file_sha256(file), **card}), encoding="utf-8")
    return file

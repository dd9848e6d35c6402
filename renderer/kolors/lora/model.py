"""The model that a LoRA is for: the one whose layers tell what the names in its file mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from renderer.errors import LoraError
from renderer.kolors.card import KOLORS, find_model, model_names, require_model
from renderer.kolors.files.lineage import lineage_of
from renderer.kolors.layout import missing_parts
from renderer.kolors.lora.file import LoraHeader, Shape, check_fit_shapes, inspect_lora, lora_sha256, unet_shapes

KOLORS_UNET = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 5632,
}
"""The UNet's configuration in Kwai-Kolors/Kolors, `unet/config.json`."""


class Fitting(NamedTuple):
    """A model that a LoRA fits: its name, and the shapes of its UNet's weights by layer."""

    model: str
    shapes: dict[str, Shape]


def fitting_model(path: Path, model: str = "") -> Fitting:
    """The model that a LoRA file is for: `model` where given, else the first that it fits.

    Tried are the model that its card or header names, those on this machine, then Kolors' own layout, which is known
    without its weights. Raises LoraError where none fits, ModelError where `model` isn't here.
    """
    header = inspect_lora(path)
    if model:
        folder, card = require_model(model)
        shapes = unet_shapes(folder)
        check_fit_shapes(header, shapes)
        return Fitting(card.name, shapes)
    tried: list[str] = []
    for candidate in _candidates(lineage_of(path, lora_sha256(path)).base_model.partition("@")[0]):
        if _fits(header, candidate.shapes):
            return candidate
        tried.append(candidate.model)
    raise LoraError(f"{path}: fits no model known here ({', '.join(tried)}). Name its model with --model.")


def kolors_shapes() -> dict[str, Shape]:
    """The shapes of Kolors' weights by layer, without the weights."""
    import torch

    from renderer.kolors.weights import build_unet

    with torch.device("meta"):
        unet = build_unet(KOLORS_UNET)
    parameters = ((name, tuple(it.shape)) for name, it in unet.named_parameters())
    return {name.removesuffix(".weight"): shape for name, shape in parameters if len(shape) > 1}


def _candidates(named: str) -> Iterator[Fitting]:
    """Models of this machine, the one of that name first, then Kolors as it is known without its weights."""
    for name in sorted(model_names(), key=lambda name: name != named):
        folder = find_model(name)
        if folder is not None and not missing_parts(folder):
            yield Fitting(name, unet_shapes(folder))
    yield Fitting(KOLORS.name, kolors_shapes())


def _fits(header: LoraHeader, shapes: dict[str, Shape]) -> bool:
    try:
        check_fit_shapes(header, shapes)
    except LoraError:
        return False
    return True

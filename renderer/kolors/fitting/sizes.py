"""How many numbers a model holds and computes with, read from its configurations and its files' headers.

What painting takes beside the weights follows from the layout: the largest tensors that live at the same time, counted
by running UNet and autoencoder without numbers (the tests do it again at Kolors' full size). Needs no torch.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from renderer.errors import LoraError, ModelError
from renderer.kolors.card import KOLORS, mending, read_card
from renderer.kolors.files.header import DamagedFile, read_header
from renderer.kolors.files.pickled import pickled_shapes
from renderer.kolors.layout import Component, read_json, weight_files

_PART = re.compile(r"(.+\.(?:resnets|transformer_blocks)\.\d+)(\.attn2\.to_[kv](?=\.))?\.")
_ROUNDED = re.compile(r"\.transformer_blocks\.\d+\..*\.weight$")


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """Counts of numbers, whatever their type.

    Of weights: `unet` (with the projection of text states), `rounded` (those of them that fp8 stores in 8 bits),
    `staying` (those that stay on a device to which the rest is streamed), `largest` (the largest part that is
    streamed), `vae`. Of what is computed: `working` for each latent of each row of a batch, `deep` likewise for deep
    features that are kept, `kept` keys and values for each piece of text, `states` for each piece, `decoding` for each
    pixel. `length` is the text's, in pieces.
    """

    unet: int
    rounded: int
    staying: int
    largest: int
    vae: int
    working: float
    deep: int
    kept: int
    states: int
    decoding: int
    length: int


KOLORS_SIZES = ModelSizes(
    unet=2_579_458_820,
    rounded=2_183_987_200,
    staying=66_158_340,
    largest=49_164_800,
    vae=83_653_863,
    working=5040.0,
    deep=640,
    kept=166_400,
    states=6144,
    decoding=896,
    length=KOLORS.text_length,
)
"""The real Kolors, also where its weights are not on this machine."""


def part_of(name: str) -> str | None:
    """The part of the UNet that is streamed as one, for a weight's name; None for weights that stay on the device.

    Parts are a residual block or a transformer block; keys and values of the text come apart from it, since they are
    computed before the first step and not again.
    """
    found = _PART.match(name)
    return found[1] + (found[2] or "") if found else None


def sizes_of(folder: Path) -> ModelSizes:
    """Those of a model folder. Reads headers only, once for each folder in a process. Raises ModelError."""
    return _sizes_of(folder.absolute())


@cache
def _sizes_of(folder: Path) -> ModelSizes:
    unet, vae = (read_json(folder / name / "config.json") for name in ("unet", "vae"))
    weights = dict(_weights(folder, "unet"))
    try:
        return ModelSizes(
            **_weight_counts(weights),
            **_working_counts(unet),
            vae=sum(size for _, size in _weights(folder, "vae")),
            decoding=_decoding(vae["block_out_channels"]),
            length=read_card(folder).text_length,
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ModelError(f"{folder}: its configuration is not Kolors' ({error!r}). {mending(folder)}") from error


def _weight_counts(weights: dict[str, int]) -> dict[str, int]:
    parts: Counter[str | None] = Counter()
    for name, size in weights.items():
        parts[part_of(name)] += size
    return {
        "unet": parts.total(),
        "rounded": sum(size for name, size in weights.items() if _ROUNDED.search(name) and ".norm" not in name),
        "staying": parts.pop(None, 0),
        "largest": max(parts.values(), default=0),
    }


def _working_counts(config: dict[str, Any]) -> dict[str, Any]:
    """Of a UNet by its configuration: what lives at the same time, at the two places where that can be the most.

    One is the feed-forward of the second level's transformer blocks on the way up, a quarter as many places with 8, 4
    and 4 times the channels, beside the level's own and the first level's skips; the other is the first convolution of
    the first level on the way up, with its input in both orders.
    """
    first, second = config["block_out_channels"][:2]
    layers = config["layers_per_block"]
    return {
        "working": float(max(6.375 * second + (layers + 1) * first, 4 * second + (layers + 5) * first)),
        "deep": second,
        "kept": 2 * sum(_text_widths(config)),
        "states": config["encoder_hid_dim"] + config["cross_attention_dim"],
    }


def _text_widths(config: dict[str, Any]) -> Iterator[int]:
    """The widths of all attentions to the text: on the way down, in the middle, on the way up."""
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    depths = config["transformer_layers_per_block"]
    depths = [depths] * len(widths) if isinstance(depths, int) else depths
    for kind, width, depth in zip(config["down_block_types"], widths, depths, strict=True):
        if "CrossAttn" in kind:
            yield width * depth * (2 * layers + 1)
    yield widths[-1] * depths[-1]


def _decoding(widths: list[int]) -> int:
    """At the first residual block of full size: its input, what its convolution is given in both orders, its output."""
    return 3 * widths[1] + widths[0]


def _weights(folder: Path, component: Component) -> Iterator[tuple[str, int]]:
    for file in weight_files(folder, component):
        try:
            for name, shape in _shapes(file).items():
                yield name, math.prod(shape)
        except (DamagedFile, LoraError, OSError) as error:
            raise ModelError(f"{file}: {error}. {mending(folder)}") from error


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    if file.suffix == ".safetensors":
        return {name: entry.shape for name, entry in read_header(file).tensors.items()}
    return pickled_shapes(file)

"""A LoRA's layers, read from a file of any of the four spellings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from renderer.errors import LoraError
from renderer.kolors.lora.file import LoraHeader, LoraLayer, Shape, check_fit_shapes, inspect_lora, lora_sha256
from renderer.kolors.lora.names import Part, parse_key, spellings
from renderer.take import TakeLora


class Pair(NamedTuple):
    """A layer's LoRA, on the CPU, of the file's own type: its weight gains scale·up·down.

    `down` [rank, inputs, …], `up` [outputs, rank, …]. A DoRA's `magnitude` has the weight's number of sides, all 1 but
    the outputs (the lengths of the weight's rows; an early form of LyCORIS has columns: all 1 but the inputs).
    """

    down: Tensor
    up: Tensor
    scale: float
    magnitude: Tensor | None = None

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def of_columns(self) -> bool:
        """Whether the magnitude holds the lengths of the weight's columns, not of its rows."""
        return self.magnitude is not None and self.magnitude.shape[0] == 1 and self.up.shape[0] != 1


def read_lora(lora: TakeLora, shapes: Mapping[str, Shape]) -> dict[str, Pair]:
    """A LoRA's pairs by the UNet's layer, whichever of the four spellings its file uses.

    Raises LoraError where the file is missing, is another one than was planned, or doesn't fit.
    """
    header = check_lora(lora, shapes)
    spelled = spellings(shapes)
    parts: dict[str, dict[Part, Tensor]] = {}
    for name, tensor in _tensors(header.path):
        key = parse_key(name)
        assert key is not None, "inspect_lora knows every tensor"
        if not torch.isfinite(tensor).all():
            raise LoraError(f"{header.path}: damaged: {name} holds numbers that are not finite")
        parts.setdefault(key.layer, {})[key.part] = tensor.detach()
    return {
        spelled[layer]: Pair(
            part["down"],
            part["up"],
            scale_of(lora, header, layer, part.get("alpha")),
            _magnitude(part.get("magnitude"), header.layers[layer]),
        )
        for layer, part in parts.items()
    }


def check_lora(lora: TakeLora, shapes: Mapping[str, Shape]) -> LoraHeader:
    """The header of a take's LoRA, checked: there, unchanged since it was planned, fitting. Raises LoraError."""
    if lora.path is None or not lora.path.is_file():
        raise LoraError(f'The LoRA "{lora.name}" is not on this machine (sha256 {lora.sha256[:12]}…).')
    header = inspect_lora(lora.path)
    if lora_sha256(lora.path) != lora.sha256:
        raise LoraError(f"{lora.path}: changed since the takes were planned. Render again.")
    check_fit_shapes(header, dict(shapes))
    if lora.rank is not None and header.ranks != (lora.rank,):
        found = ", ".join(map(str, header.ranks))
        raise LoraError(f"{lora.path}: its rank is {found}, not {lora.rank} as the story says. Remove `rank:`.")
    return header


def scale_of(lora: TakeLora, header: LoraHeader, layer: str, alpha: Tensor | None = None) -> float:
    """What up·down is multiplied with at strength 1, so that the layer is exactly as trained.

    In this order: DiffSynth 1.x's `lora_alpha` where authored (W += lora_alpha·up·down); authored alpha / rank; the
    file's `.alpha` tensor / rank; its `lora_adapter_metadata` (diffusers and peft); else 1, which is alpha = rank.
    """
    rank = header.layers[layer].rank
    if lora.diffsynth_alpha is not None:
        return lora.diffsynth_alpha
    if lora.alpha is not None:
        return lora.alpha / rank
    if alpha is not None:
        return float(alpha) / rank
    return _peft_scale(header, layer, rank)


def adapter_metadata(header: LoraHeader) -> dict[str, Any]:
    """What diffusers or peft wrote of the adapter into the file's header, {} where nothing. Raises LoraError."""
    try:
        stated = json.loads(header.metadata.get("lora_adapter_metadata", "{}"))
        return {name.removeprefix("unet."): value for name, value in stated.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise LoraError(f"{header.path}: its lora_adapter_metadata can't be read: {error}") from error


def _peft_scale(header: LoraHeader, layer: str, rank: int) -> float:
    config = adapter_metadata(header)
    try:
        alpha = config.get("lora_alpha", rank)
        for pattern, value in (config.get("alpha_pattern") or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", layer):  # as peft matches it: a name, its end, or an expression
                alpha = value
                break
        return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)
    except (ValueError, TypeError, AttributeError, re.error) as error:
        raise LoraError(f"{header.path}: its lora_adapter_metadata can't be read: {error}") from error


def _magnitude(tensor: Tensor | None, layer: LoraLayer) -> Tensor | None:
    if tensor is None:
        return None
    ones = (1,) * (len(layer.down) - 2)
    return tensor.reshape((1, -1, *ones) if layer.of_columns else (-1, 1, *ones))


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as opened:
                yield from ((name, opened.get_tensor(name)) for name in opened.keys())
        else:
            yield from torch.load(path, map_location="cpu", weights_only=True).items()
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise LoraError(f"{path}: can't be read: {error}") from error

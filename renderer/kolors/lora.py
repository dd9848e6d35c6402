"""LoRAs merged into the UNet's weights for painting, and taken out again exactly."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from renderer.errors import LoraError
from renderer.kolors.lora_file import LoraHeader, Shape, check_fit_shapes, inspect_lora, lora_sha256
from renderer.kolors.lora_names import Part, parse_key, spellings
from renderer.take import TakeLora

log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """A layer's LoRA, on the CPU: its weight gains scale·up·down. `down` [rank, inputs, …], `up` [outputs, rank, …]."""

    down: Tensor
    up: Tensor
    scale: float


class MergedUNet:
    """A UNet whose weights hold a stack of LoRAs. Each stack is merged into the untouched weights, which are kept."""

    def __init__(self, unet: nn.Module, shapes: Mapping[str, Shape]) -> None:
        self._unet = unet
        self._shapes = dict(shapes)
        self._untouched: dict[str, Tensor] = {}
        self._stack: tuple[TakeLora, ...] = ()
        self._read: dict[TakeLora, dict[str, Pair]] = {}

    def use(self, loras: tuple[TakeLora, ...]) -> None:
        """Merges this stack instead of the one before. LoRAs of strength 0 are skipped; with no other left, the weights
        are the model's own, bit for bit. Raises LoraError.
        """
        stack = tuple(lora for lora in loras if lora.strength != 0)
        if stack == self._stack:
            return
        self._read = {_unscaled(lora): self._pairs(lora) for lora in stack}
        try:
            self._merge([(lora.strength, self._read[_unscaled(lora)]) for lora in stack])
        except BaseException:
            self._merge([])
            self._stack = ()
            raise
        self._stack = stack

    def _pairs(self, lora: TakeLora) -> dict[str, Pair]:
        known = self._read.get(_unscaled(lora))
        return read_lora(lora, self._shapes) if known is None else known

    @torch.no_grad()
    def _merge(self, stack: list[tuple[float, dict[str, Pair]]]) -> None:
        touched = {layer for _, pairs in stack for layer in pairs}
        for layer in sorted(touched | self._untouched.keys()):
            parameter = self._unet.get_submodule(layer).weight
            assert isinstance(parameter, nn.Parameter)
            # Kept in the computer's memory: on a GPU a full LoRA would hold a gigabyte of Kolors' weights twice.
            untouched = self._untouched.setdefault(layer, parameter.data.cpu())
            base = untouched.to(parameter.device)
            if layer in touched:
                changes = (strength * _change(pairs[layer], base) for strength, pairs in stack if layer in pairs)
                base = sum(changes, start=base.float()).to(base.dtype)
            else:
                del self._untouched[layer]
            parameter.data = base


def read_lora(lora: TakeLora, shapes: Mapping[str, Shape]) -> dict[str, Pair]:
    """A LoRA's pairs by the UNet's layer, in fp32 on the CPU, whichever of the four spellings its file uses.

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
        parts.setdefault(key.layer, {})[key.part] = tensor.float()
    return {
        spelled[layer]: Pair(part["down"], part["up"], scale_of(lora, header, layer, part.get("alpha")))
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


def _peft_scale(header: LoraHeader, layer: str, rank: int) -> float:
    try:
        stated = json.loads(header.metadata.get("lora_adapter_metadata", "{}"))
        config: dict[str, Any] = {name.removeprefix("unet."): value for name, value in stated.items()}
        alpha = config.get("lora_alpha", rank)
        for pattern, value in (config.get("alpha_pattern") or {}).items():
            alpha = value if layer == pattern or layer.endswith(f".{pattern}") else alpha
        return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)
    except (ValueError, TypeError, AttributeError) as error:
        raise LoraError(f"{header.path}: its lora_adapter_metadata can't be read: {error}") from error


def _change(pair: Pair, weight: Tensor) -> Tensor:
    """fp32, in the shape of `weight`; a convolution's kernel counts as inputs of the down half."""
    up, down = (part.to(weight.device).flatten(1) for part in (pair.up, pair.down))
    return pair.scale * (up @ down).reshape(weight.shape)


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as opened:
                yield from ((name, opened.get_tensor(name)) for name in opened.keys())
        else:
            yield from torch.load(path, map_location="cpu", weights_only=True).items()
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise LoraError(f"{path}: can't be read: {error}") from error


def _unscaled(lora: TakeLora) -> TakeLora:
    """The same LoRA at strength 1: what is read of its file doesn't depend on the strength."""
    return TakeLora("", lora.sha256, 1.0, lora.alpha, lora.rank, lora.diffsynth_alpha, lora.path)

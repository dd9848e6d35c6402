"""LoRAs merged into the UNet's weights for painting, and taken out again exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from renderer.kolors.kernels.packing import PackedConv2d
from renderer.kolors.layout import weight_files
from renderer.kolors.lora.file import Shape
from renderer.kolors.lora.layers import Pair, read_lora
from renderer.kolors.quick.float8 import WIDE, Float8Linear
from renderer.kolors.weight_files import WeightFiles
from renderer.take import TakeLora


class MergedUNet:
    """A UNet whose weights hold a stack of LoRAs. Each stack is merged into the untouched weights, which are kept.

    Of layers in 8 bits these are the numbers from before they were rounded, which are read from `folder` again: what is
    merged is rounded once, and what is taken out again leaves the bits that were there. Merging is computed on `device`
    (None: where the weights are), so that it gives the same numbers wherever they lie.
    """

    def __init__(
        self,
        unet: nn.Module,
        shapes: Mapping[str, Shape],
        folder: Path | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._unet, self._folder, self._device = unet, folder, device
        self._shapes = dict(shapes)
        self._untouched: dict[str, Tensor] = {}
        self._stack: tuple[TakeLora, ...] = ()
        self._read: dict[TakeLora, dict[str, Pair]] = {}

    def use(self, loras: tuple[TakeLora, ...]) -> None:
        """Merges this stack instead of the one before. LoRAs of strength 0 are skipped; with no other left, the weights
        are the model's own, bit for bit. Raises LoraError, and ModelError where the model's file can't be read again.
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
        self._keep(sorted(touched - self._untouched.keys()))
        for layer in sorted(self._untouched):
            module = self._unet.get_submodule(layer)
            parameter = module.weight
            assert isinstance(parameter, nn.Parameter)
            base = self._untouched[layer].to(self._device or parameter.device)
            if layer in touched:
                changes = (strength * change_of(pairs[layer], base) for strength, pairs in stack if layer in pairs)
                base = sum(changes, start=base.float()).to(base.dtype)
            else:
                del self._untouched[layer]
            # In place: it may be part of a block that is multiplied as a whole.
            if isinstance(module, Float8Linear | PackedConv2d):
                module.put(base)
            else:
                parameter.data.copy_(base)

    def _keep(self, layers: Iterable[str]) -> None:
        """Keeps the untouched weights of these layers, in the computer's memory: on a GPU a full LoRA would hold a
        gigabyte of Kolors' weights twice.
        """
        files: WeightFiles | None = None
        for layer in layers:
            module = self._unet.get_submodule(layer)
            if isinstance(module, Float8Linear):
                assert self._folder is not None, "weights in 8 bits need their file"
                files = files or WeightFiles(weight_files(self._folder, "unet"), torch.device("cpu"))
                self._untouched[layer] = files.read(f"{layer}.weight", WIDE)
            else:
                self._untouched[layer] = cast(Tensor, module.weight).to("cpu", copy=True)


def change_of(pair: Pair, weight: Tensor) -> Tensor:
    """What a layer's weight gains at strength 1, in fp32 and its shape; half of it at strength 0.5, and so on.

    A LoRA's is scale·up·down (a convolution's kernel counts as inputs of the down half). A DoRA's is m·V/‖V‖ - W with
    V = W + scale·up·down (https://arxiv.org/abs/2402.09353, equation 5): at strength 1 the weight is exactly as
    trained, and between 0 and 1 it goes straight from its own value there, as in ComfyUI.
    """
    up, down = (part.to(weight.device).float().flatten(1) for part in (pair.up, pair.down))
    change = pair.scale * (up @ down).reshape(weight.shape)
    if pair.magnitude is None:
        return change
    magnitude = pair.magnitude.to(weight.device).float()
    directions = weight.float() + change
    return directions / _lengths(directions, magnitude) * magnitude - weight.float()


def _lengths(weight: Tensor, magnitude: Tensor) -> Tensor:
    """Those of the weight's rows (or columns), in the magnitude's shape."""
    across = [side for side, size in enumerate(magnitude.shape) if size == 1]
    lengths: Tensor = torch.linalg.vector_norm(weight, dim=across, keepdim=True)
    return lengths.clamp_min(torch.finfo(lengths.dtype).tiny)  # a row of zeros stays one


def _unscaled(lora: TakeLora) -> TakeLora:
    """The same LoRA at strength 1: what is read of its file doesn't depend on the strength."""
    return TakeLora("", lora.sha256, 1.0, lora.alpha, lora.rank, lora.diffsynth_alpha, lora.path)

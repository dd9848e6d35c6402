"""LoRA files written in the three spellings."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from renderer.files import write_atomically
from renderer.kolors.files.tensor_file import pack
from renderer.kolors.lora.header import alpha_of, header_for, stated_alpha
from renderer.kolors.lora.layers import Pair
from renderer.kolors.lora.names import diffsynth1_names, kohya_names
from renderer.kolors.lora.targets import Target


class Unwritable(Exception):
    """A format has no place for something in the LoRA; the message says for what."""


def write_pairs(
    file: Path, pairs: Mapping[str, Pair], to: Target, layers: Collection[str], metadata: Mapping[str, str]
) -> None:
    """Writes a LoRA in a format, whole or not at all; the same content gives the same bytes.

    `pairs` go by the UNet's layer, `layers` are all of the UNet's. `metadata` is what to say of the training; what is
    said of the tensors is added. Raises Unwritable where the format can't hold the LoRA, OSError.
    """
    tensors = tensors_in(to, pairs, layers, alpha_of(pairs, metadata))
    if to == "diffsynth1":
        content = io.BytesIO()
        torch.save({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, content)
        write_atomically(file, content.getvalue())
        return
    packed = pack(tensors)
    write_atomically(file, packed.to_bytes(header_for(to, pairs, metadata, packed.sha256)))


def tensors_in(to: Target, pairs: Mapping[str, Pair], layers: Collection[str], alpha: float) -> dict[str, Tensor]:
    """A LoRA's tensors by a format's names. Raises Unwritable.

    A kohya file states each layer's own alpha, or `alpha` where a layer's scale is baked into its halves.
    """
    _check(to, pairs)
    names = {"kohya": kohya_names, "diffsynth1": diffsynth1_names, "diffusers": _own_names}[to](layers)
    nameless = [layer for layer in pairs if layer not in names]
    if nameless:
        raise Unwritable(f"it has no name for {nameless[0]}" + f" and {len(nameless) - 1} more" * (len(nameless) > 1))
    write = {"kohya": _kohya, "diffsynth1": _diffsynth1, "diffusers": _diffusers}[to]
    return {name: tensor for layer, pair in pairs.items() for name, tensor in write(names[layer], pair, alpha)}


def scaled(tensor: Tensor, factor: float) -> Tensor:
    """The product: in the tensor's type where that loses nothing, else in fp32."""
    if factor == 1:
        return tensor
    wide = tensor.to(torch.promote_types(tensor.dtype, torch.float32)) * factor
    narrow = wide.to(tensor.dtype)
    return narrow if torch.equal(narrow.to(wide.dtype), wide) else wide


class _Named(NamedTuple):
    name: str
    tensor: Tensor


def _own_names(layers: Collection[str]) -> dict[str, str]:
    return {layer: layer for layer in layers}


def _diffusers(name: str, pair: Pair, alpha: float) -> Iterator[_Named]:
    yield _Named(f"unet.{name}.lora_A.weight", pair.down)
    yield _Named(f"unet.{name}.lora_B.weight", scaled(pair.up, pair.scale))
    if pair.magnitude is not None:
        # peft keeps a Linear's flat, and a convolution's in the shape of what goes through it.
        flat = pair.magnitude.flatten()
        yield _Named(f"unet.{name}.lora_magnitude_vector", flat if pair.down.ndim == 2 else flat.view(1, -1, 1, 1))


def _kohya(name: str, pair: Pair, alpha: float) -> Iterator[_Named]:
    stated = stated_alpha(pair, alpha)
    yield _Named(f"lora_unet_{name}.alpha", torch.tensor(stated))
    yield _Named(f"lora_unet_{name}.lora_down.weight", pair.down)
    yield _Named(f"lora_unet_{name}.lora_up.weight", scaled(pair.up, pair.rank / stated if pair.scale == 1 else 1.0))
    if pair.magnitude is not None:
        yield _Named(f"lora_unet_{name}.dora_scale", pair.magnitude)


def _diffsynth1(name: str, pair: Pair, alpha: float) -> Iterator[_Named]:
    yield _Named(f"{name}.lora_A.default.weight", pair.down)
    yield _Named(f"{name}.lora_B.default.weight", scaled(pair.up, pair.scale))


def _check(to: Target, pairs: Mapping[str, Pair]) -> None:
    """Raises Unwritable for what a format has no words for."""
    doras = [pair for pair in pairs.values() if pair.magnitude is not None]
    if to == "diffsynth1" and doras:
        raise Unwritable("it can't say that this is a DoRA")
    if to == "diffsynth1" and any(max(pair.down.shape[2:], default=1) > 1 for pair in pairs.values()):
        raise Unwritable("DiffSynth 1.x can't load LoRAs of convolutions wider than one pixel")
    if to == "diffusers" and 0 < len(doras) < len(pairs):
        raise Unwritable(f"{len(doras)} of its {len(pairs)} layers are DoRAs, and peft knows all or none")
    if to == "diffusers" and any(pair.of_columns for pair in doras):
        raise Unwritable("its DoRA holds lengths of columns (an early form of LyCORIS), and peft's are of rows")

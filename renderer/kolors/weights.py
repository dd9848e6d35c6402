"""The weights of a model folder, loaded into DiffSynth's UNet and VAE."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from renderer.errors import ModelError
from renderer.kolors.attention import install_attention, put_together
from renderer.kolors.card import mending
from renderer.kolors.diffsynth import unet_class, vae_class
from renderer.kolors.layout import Component, read_json, weight_files
from renderer.kolors.quick.float8 import round_rows, use_float8
from renderer.kolors.weight_files import WeightFiles

VAE_SCALING = 0.13025
"""Kolors uses SDXL's autoencoder, whose latents are scaled by this (its `config.json`)."""
OLD_VAE_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
"""How VAE files written before diffusers 0.17 name the attention's layers."""


@dataclass(frozen=True, slots=True)
class Denoiser:
    """The UNet, and the projection from text states to the width of its cross-attention."""

    unet: nn.Module
    text_projection: nn.Linear


def load_denoiser(folder: Path, device: torch.device, dtype: torch.dtype, float8: bool = False) -> Denoiser:
    """The UNet with the attention seam in place, and `encoder_hid_proj`; with `float8`, the linear layers of its
    transformer blocks in 8 bits, each from its numbers in `dtype` as it is read. Raises ModelError.
    """
    config = read_json(folder / "unet" / "config.json")
    if config.get("encoder_hid_dim_type") != "text_proj":
        raise ModelError(
            f"{folder}: its UNet takes no ChatGLM text states (encoder_hid_proj): it is not Kolors'. {mending(folder)}"
        )
    with torch.device("meta"):
        unet = build_unet(config)
        projection = nn.Linear(config["encoder_hid_dim"], config["cross_attention_dim"])
    state = _read(WeightFiles(weight_files(folder, "unet"), device), dtype, use_float8(unet) if float8 else [])
    prefix = "encoder_hid_proj."
    projected = {name.removeprefix(prefix): state.pop(name) for name in list(state) if name.startswith(prefix)}
    fill(projection, projected, folder, "unet", prefix)
    fill(unet, state, folder, "unet")
    return Denoiser(unet, projection)


def _read(files: WeightFiles, dtype: torch.dtype, rounded: Iterable[str]) -> dict[str, Tensor]:
    """All tensors as `dtype`, but the weights of `rounded` layers in 8 bits, with their scales.

    Each lies as it will be used, before the next is read: what had to move afterwards would leave holes in a device's
    memory, a gigabyte of them at Kolors' size, that no picture's numbers fit into.
    """
    names = {f"{layer}.weight": f"{layer}.scale" for layer in rounded}
    state: dict[str, Tensor] = {}
    for name in files.names:
        state[name] = in_order(files.read(name, dtype))
        if name in names:
            state[name], state[names[name]] = round_rows(state[name])
            put_together(state, names[name])
        put_together(state, name)
    return state


def in_order(tensor: Tensor) -> Tensor:
    """A weight as it is computed with: kernels of convolutions channels last. Measured on the CPU, that takes a fifth
    less time for the UNet and a third less for the VAE.
    """
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def build_unet(config: dict[str, Any]) -> nn.Module:
    """DiffSynth's UNet for diffusers' configuration, with our attention; on the device of the surrounding context."""
    unet: nn.Module = unet_class()(**accepted(unet_class(), config))
    install_attention(unet)
    return unet


def load_vae(folder: Path, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The autoencoder; its `scaling_factor` is the configuration's, or SDXL's 0.13025. Raises ModelError."""
    config = {"scaling_factor": VAE_SCALING} | read_json(folder / "vae" / "config.json")
    with torch.device("meta"):
        vae: nn.Module = vae_class()(**accepted(vae_class(), config))
    files = WeightFiles(weight_files(folder, "vae"), device)
    state = {_vae_name(name): in_order(files.read(name, dtype)) for name in files.names}
    shapes = {name: parameter.shape for name, parameter in vae.named_parameters()}
    for name, tensor in state.items():
        if tensor.ndim == 4 and len(shapes.get(name, ())) == 2:  # old files store these layers as 1x1 convolutions
            state[name] = tensor[:, :, 0, 0]
    fill(vae, state, folder, "vae")
    return vae


def fill(module: nn.Module, state: dict[str, Tensor], folder: Path, component: Component, prefix: str = "") -> None:
    """Puts `state` into a module built on the meta device, empties it, and makes the module ready for use.

    Raises ModelError that names the first tensor which is missing, unknown, or of another shape.
    """
    wanted = module.state_dict()
    for names, words in (
        ([name for name in wanted if name not in state], "misses"),
        ([name for name in state if name not in wanted], "has, unknown to Kolors,"),
        (
            [name for name in wanted if name in state and wanted[name].shape != state[name].shape],
            "has in another shape",
        ),
    ):
        if names:
            count = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(f"{folder / component}: the file {words} {prefix}{names[0]}{count}. {mending(folder)}")
    module.load_state_dict(state, assign=True)
    state.clear()  # so that no weight is in memory twice once it lies in another order
    module.eval().requires_grad_(False)


def accepted(kind: Any, config: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """The part of a diffusers configuration that a DiffSynth class takes; it rejects the rest."""
    return {name: config[name] for name in inspect.signature(kind.__init__).parameters if name in config}


def _vae_name(name: str) -> str:
    for old, new in OLD_VAE_NAMES.items():
        name = name.replace(old, new)
    return name

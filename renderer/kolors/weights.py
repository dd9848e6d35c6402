"""The weights of a model folder, loaded into DiffSynth's UNet and VAE and diffusers' ChatGLM."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from renderer.errors import ModelError
from renderer.kolors.attention import install_attention
from renderer.kolors.card import mending
from renderer.kolors.diffsynth import unet_class, vae_class
from renderer.kolors.layout import Component, read_json, weight_files
from renderer.kolors.memory import is_out_of_memory

VAE_SCALING = 0.13025
"""Kolors uses SDXL's autoencoder, whose latents are scaled by this (its `config.json`)."""
OLD_VAE_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
"""How VAE files written before diffusers 0.17 name the attention's layers."""


@dataclass(frozen=True, slots=True)
class Denoiser:
    """The UNet, and the projection from text states to the width of its cross-attention."""

    unet: nn.Module
    text_projection: nn.Linear


def load_denoiser(folder: Path, device: torch.device, dtype: torch.dtype) -> Denoiser:
    """The UNet with the attention seam in place, and `encoder_hid_proj`. Raises ModelError."""
    config = read_json(folder / "unet" / "config.json")
    if config.get("encoder_hid_dim_type") != "text_proj":
        raise ModelError(
            f"{folder}: its UNet takes no ChatGLM text states (encoder_hid_proj): it is not Kolors'. {mending(folder)}"
        )
    state = read_state(weight_files(folder, "unet"), device, dtype)
    with torch.device("meta"):
        unet = build_unet(config)
        projection = nn.Linear(config["encoder_hid_dim"], config["cross_attention_dim"])
    prefix = "encoder_hid_proj."
    projected = {name.removeprefix(prefix): state.pop(name) for name in list(state) if name.startswith(prefix)}
    fill(projection, projected, folder, "unet", prefix)
    fill(unet, state, folder, "unet")
    return Denoiser(unet, projection)


def build_unet(config: dict[str, Any]) -> nn.Module:
    """DiffSynth's UNet for diffusers' configuration, with our attention; on the device of the surrounding context."""
    unet: nn.Module = unet_class()(**_accepted(unet_class(), config))
    install_attention(unet)
    return unet


def load_vae(folder: Path, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The autoencoder; its `scaling_factor` is the configuration's, or SDXL's 0.13025. Raises ModelError."""
    config = {"scaling_factor": VAE_SCALING} | read_json(folder / "vae" / "config.json")
    with torch.device("meta"):
        vae: nn.Module = vae_class()(**_accepted(vae_class(), config))
    state = {_vae_name(name): tensor for name, tensor in read_state(weight_files(folder, "vae"), device, dtype).items()}
    shapes = {name: parameter.shape for name, parameter in vae.named_parameters()}
    for name, tensor in state.items():
        if tensor.ndim == 4 and len(shapes.get(name, ())) == 2:  # old files store these layers as 1x1 convolutions
            state[name] = tensor[:, :, 0, 0]
    fill(vae, state, folder, "vae")
    return vae


def load_text_encoder(folder: Path, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """ChatGLM3 without its output layer, which states don't pass. Raises ModelError.

    Built on the meta device because ChatGLMModel leaves its parameters uninitialised: `fill` proves each one is set.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its use of torch.jit.script, at import
        from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel
    config = {"original_rope": True} | read_json(folder / "text_encoder" / "config.json")
    with torch.device("meta"):
        encoder: nn.Module = ChatGLMModel(ChatGLMConfig(**config), device="meta", empty_init=False)
    encoder.output_layer = nn.Identity()
    state = read_state(weight_files(folder, "text_encoder"), device, dtype)
    state = {name.removeprefix("transformer."): tensor for name, tensor in state.items()}
    # Not every edition stores this table. Its values are computed anew at each use; only its type and device are read.
    table = encoder.get_buffer("rotary_pos_emb.inv_freq")
    state.setdefault("rotary_pos_emb.inv_freq", torch.zeros(table.shape, device=device, dtype=dtype))
    fill(encoder, {name: it for name, it in state.items() if "output_layer." not in name}, folder, "text_encoder")
    return encoder


def read_state(files: Iterable[Path], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """All tensors of some weight files, on `device`; floating-point ones as `dtype`. Raises ModelError.

    safetensors files are mapped into memory: on the CPU, tensors that already have the type share the file's pages.
    Pickles are read with `weights_only=True`, which builds tensors and runs nothing.
    """
    state: dict[str, Tensor] = {}
    for file in files:
        try:
            read = _read_safetensors if file.suffix == ".safetensors" else _read_pickle
            state |= {name: _cast(tensor, dtype) for name, tensor in read(file, device)}
        except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError) as error:
            if is_out_of_memory(error):
                raise
            raise ModelError(f"{file}: can't be read: {error}. {mending(file)}") from error
    return state


def fill(module: nn.Module, state: dict[str, Tensor], folder: Path, component: Component, prefix: str = "") -> None:
    """Puts `state` into a module built on the meta device, and makes it ready for use.

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
    # Channels last: measured on the CPU, a fifth less time for the UNet and a third less for the VAE.
    module.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _read_safetensors(file: Path, device: torch.device) -> Iterator[tuple[str, Tensor]]:
    with safe_open(file, framework="pt", device=str(device)) as opened:
        for name in opened.keys():
            yield name, opened.get_tensor(name)


def _read_pickle(file: Path, device: torch.device) -> Iterator[tuple[str, Tensor]]:
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{file}: holds no plain set of weights. {mending(file)}")
    yield from ((name, tensor.to(device)) for name, tensor in state.items())


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _accepted(kind: Any, config: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """The part of a diffusers configuration that a DiffSynth class takes; it rejects the rest."""
    return {name: config[name] for name in inspect.signature(kind.__init__).parameters if name in config}


def _vae_name(name: str) -> str:
    for old, new in OLD_VAE_NAMES.items():
        name = name.replace(old, new)
    return name

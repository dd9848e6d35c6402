"""A model of Kolors' size whose weights are drawn on the device itself: no file, no download.

Arithmetic takes its time whatever the numbers are, as long as they stay finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from renderer.benching.clock import free_memory
from renderer.benching.parts import Parts
from renderer.errors import ModelError
from renderer.kolors.card import Precision
from renderer.kolors.chatglm import Layer, Place
from renderer.kolors.device import DTYPES, vae_dtype
from renderer.kolors.encoder import Encoded
from renderer.kolors.layout import Component
from renderer.kolors.lora.file import Shape
from renderer.kolors.quick.float8 import use_float8
from renderer.kolors.studio import Studio
from renderer.kolors.weights import Denoiser, build_unet, fill, in_order

NOWHERE = Path("random weights")
SEED = 20
"""Of all weights: the same on every call."""


def random_module(
    build: Callable[[], nn.Module], component: Component, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    """A module as it comes from files, with numbers of a scale that keeps what goes through it at about the same."""
    with torch.device("meta"):
        module = build()
    generator = torch.Generator(device).manual_seed(SEED)

    def drawn(name: str, shape: torch.Size) -> Tensor:
        numbers = torch.randn(shape, generator=generator, device=device, dtype=dtype)
        if len(shape) > 1:
            return numbers.mul_(shape[1:].numel() ** -0.5)
        return numbers.mul_(0.05).add_(0.0 if name.endswith("bias") else 1.0)

    state = {name: in_order(drawn(name, tensor.shape)) for name, tensor in module.state_dict().items()}
    fill(module, state, NOWHERE, component)
    return module


def require_room(parts: Parts, device: torch.device, precision: Precision, copies: int) -> None:
    """Raises ModelError where so many UNets with their VAEs don't fit into the device's free memory."""
    with torch.device("meta"):
        modules = [(build_unet(parts.unet), DTYPES[precision]), (parts.build_vae(), vae_dtype(device, precision))]
    needed = copies * sum(it.numel() * dtype.itemsize for module, dtype in modules for it in module.parameters())
    free = free_memory(device)
    if free is not None and free < needed:
        raise ModelError(
            f"The weights take {needed / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free on {device}. Choose "
            "--no-compare or another --precision, or leave out --random-weights to measure a model of this machine."
        )


class RandomStudio(Studio):
    """The studio with drawn weights in place of a folder's. No LoRA and no hypernetwork fits it."""

    def __init__(self, parts: Parts, device: torch.device) -> None:
        super().__init__(NOWHERE, device)
        self._parts = parts

    def _open_denoiser(self, precision: Precision, device: torch.device) -> Denoiser:
        denoiser = random_denoiser(self._parts, device, DTYPES[precision])
        if precision == "fp8":
            use_float8(denoiser.unet)
        return denoiser

    def _open_vae(self, dtype: torch.dtype) -> nn.Module:
        return random_module(self._parts.build_vae, "vae", self.device, dtype)

    def _shapes(self) -> dict[str, Shape]:
        return {}


def random_denoiser(parts: Parts, device: torch.device, dtype: torch.dtype) -> Denoiser:
    """UNet and projection as `load_denoiser` gives them."""
    config = parts.unet
    unet = random_module(lambda: build_unet(config), "unet", device, dtype)
    projection = random_module(
        lambda: nn.Linear(config["encoder_hid_dim"], config["cross_attention_dim"]), "unet", device, dtype
    )
    assert isinstance(projection, nn.Linear)
    return Denoiser(unet, projection)


class RandomReader:
    """ChatGLM3 as renders use it, a layer at a time; one drawn layer stands for all, which are of one shape."""

    def __init__(self, parts: Parts, length: int, device: torch.device, dtype: torch.dtype) -> None:
        config = parts.text
        self._layer = random_module(lambda: Layer(config), "text_encoder", device, dtype)
        self._count, self._shape = config["num_layers"], (length, config["hidden_size"])
        angles = torch.arange(length, device=device, dtype=torch.float)[:, None, None]
        frequencies = torch.linspace(1, 1e-4, config["kv_channels"] // 4, device=device)
        turns = torch.stack([(angles * frequencies).cos(), (angles * frequencies).sin()], dim=-1)
        self._place = Place(turns.to(dtype), None)
        self._device, self._dtype = device, dtype

    @torch.no_grad()
    def encode(self, seeds: Sequence[int]) -> list[Encoded]:
        """The states of a text of the full length for each seed, on the CPU."""
        found = []
        for seed in seeds:
            generator = torch.Generator(self._device).manual_seed(seed)
            hidden = torch.randn(self._shape, generator=generator, device=self._device, dtype=self._dtype)
            for _ in range(self._count - 1):
                hidden = self._layer(hidden, self._place)
            found.append(Encoded(hidden.cpu(), self._layer(hidden, self._place)[-1].cpu()))
        return found

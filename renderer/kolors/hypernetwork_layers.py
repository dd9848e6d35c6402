"""Hypernetworks at work: the networks of a file as torch modules, trainable, and in use by a UNet's attentions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn

from renderer.errors import HypernetworkError
from renderer.files import write_atomically
from renderer.kolors.attention import change_contexts
from renderer.kolors.files.contents import load
from renderer.kolors.files.tensor_file import pack
from renderer.kolors.hypernetworks import (
    HALVES,
    Activation,
    Design,
    check_hypernetwork,
    inspect_hypernetwork,
    named_tensors,
)
from renderer.take import TakeHypernetwork

WeightInit = Literal["normal", "xavier-uniform", "xavier-normal", "kaiming-uniform", "kaiming-normal"]
NORMAL_STD = 0.01
"""A1111's; small, so that training begins near a hypernetwork that changes nothing."""

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "elu": nn.ELU,
    "swish": nn.Hardswish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "mish": nn.Mish,
}


class Network(nn.Module):
    """A chain of linear layers, with what the design has between them, in the steps of A1111's `linear`; all zeros."""

    def __init__(self, sizes: Sequence[int], design: Design) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        activation = _ACTIVATIONS.get(design.activation)
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=2):
            is_last = number == len(sizes)
            steps.append(nn.Linear(inputs, outputs, device="meta"))  # where no random numbers are drawn
            if activation and (design.activate_output or not is_last):
                steps.append(activation())
            if design.layer_norm:
                steps.append(nn.LayerNorm(outputs, device="meta"))
            if design.dropout and not is_last:
                steps.append(nn.Dropout(design.dropout))
        self.linear = nn.Sequential(*steps).to_empty(device="cpu")
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, context: Tensor) -> Tensor:
        """What is added to the context: of its shape and type, computed in the type of the weights."""
        weight = cast(Tensor, self.linear[0].weight)
        return cast(Tensor, self.linear(context.to(weight.dtype))).to(context.dtype)

    def valued(self) -> list[nn.Linear | nn.LayerNorm]:
        """The layers that hold values, in order."""
        return [step for step in self.linear if isinstance(step, nn.Linear | nn.LayerNorm)]


class Hypernetwork(nn.Module):
    """Two networks for each width of context: keys and values are made of x + strength · network(x).

    A new one changes nothing: all its values are 0. Its state dict has our files' names.
    """

    def __init__(self, sizes: Mapping[int, Sequence[int]], design: Design) -> None:
        super().__init__()
        self.sizes, self.design = {width: tuple(own) for width, own in sizes.items()}, design
        for width, own in self.sizes.items():
            self.add_module(str(width), nn.ModuleDict({half: Network(own, design) for half in HALVES}))

    def forward(self, keys: Tensor, values: Tensor, strength: float = 1.0) -> tuple[Tensor, Tensor]:
        """What keys and values are made of, each [batch, tokens, width]; contexts of other widths stay as they are."""
        networks = self._modules.get(str(keys.shape[-1]))
        if networks is None:
            return keys, values
        for_keys, for_values = (cast(nn.ModuleDict, networks)[half] for half in HALVES)
        return keys + strength * for_keys(keys), values + strength * for_values(values)

    def initialize(self, init: WeightInit, generator: torch.Generator) -> None:
        """Gives it the values that training begins with, as A1111 does: biases 0, normalisations near 0 too."""
        for network in (it for it in self.modules() if isinstance(it, Network)):
            for layer in network.valued():
                nn.init.zeros_(layer.bias)
                is_norm = isinstance(layer, nn.LayerNorm)
                _initialize(layer.weight, "normal" if is_norm else init, self.design.activation, generator)


class HypernetworkStack:
    """The hypernetworks that a UNet's attentions use, one after the other in the order in which a take lists them."""

    def __init__(self, unet: nn.Module, folder: Path) -> None:
        self._unet, self._folder = unet, folder
        self._stack: tuple[TakeHypernetwork, ...] = ()
        self._read: dict[str, Hypernetwork] = {}

    def use(self, hypernetworks: tuple[TakeHypernetwork, ...]) -> None:
        """Puts this stack in place of the one before. Those of strength 0 are skipped; with no other left, attention
        computes what it does without any, bit for bit. Raises HypernetworkError.
        """
        stack = tuple(it for it in hypernetworks if it.strength != 0)
        if stack == self._stack:
            return
        self._read = {it.sha256: self._read.get(it.sha256) or self._load(it) for it in stack}
        change_contexts(self._unet, [partial(self._read[it.sha256], strength=it.strength) for it in stack])
        self._stack = stack

    def _load(self, hypernetwork: TakeHypernetwork) -> Hypernetwork:
        like = next(self._unet.parameters())
        return read_hypernetwork(check_hypernetwork(hypernetwork, self._folder).path).to(like.device, like.dtype)


def layer_sizes(widths: Sequence[int], structure: Sequence[float]) -> dict[int, tuple[int, ...]]:
    """The sizes of a hypernetwork's layers by width of context, for a structure of multiples such as (1, 2, 1)."""
    assert len(structure) > 1 and structure[0] == structure[-1] == 1, "what is added has the context's width"
    return {width: tuple(max(1, int(width * multiple)) for multiple in structure) for width in widths}


def read_hypernetwork(path: Path) -> Hypernetwork:
    """The hypernetwork of a file, in fp32 on the CPU, not for training. Raises HypernetworkError."""
    header = inspect_hypernetwork(path)
    tensors = named_tensors(load(path, HypernetworkError))
    hypernetwork = Hypernetwork(header.sizes, header.design)
    for (width, half), found in header.networks.items():
        network = hypernetwork.get_submodule(f"{width}.{half}")
        assert isinstance(network, Network)
        for layer, name in zip(network.valued(), found.names, strict=True):
            layer.weight.data, layer.bias.data = (tensors[f"{name}.{part}"].float() for part in ("weight", "bias"))
    for name, parameter in hypernetwork.named_parameters():
        if not torch.isfinite(parameter).all():
            raise HypernetworkError(f"{path}: damaged: {name} holds numbers that are not finite")
    return hypernetwork.eval().requires_grad_(False)


def write_hypernetwork(path: Path, hypernetwork: Hypernetwork, metadata: Mapping[str, str]) -> str:
    """Writes a hypernetwork and what is known of it; the file's sha256. Raises OSError.

    The same content gives the same bytes; whole or not at all.
    """
    design, sizes = hypernetwork.design, hypernetwork.sizes
    structure = [size / width for width in list(sizes)[:1] for size in sizes[width]]
    stated = {
        "structure": json.dumps([int(multiple) if multiple.is_integer() else multiple for multiple in structure]),
        "activation": design.activation,
        "layer_norm": json.dumps(design.layer_norm),
        "dropout": json.dumps(design.dropout),
        "activate_output": json.dumps(design.activate_output),
    }
    state = {name: tensor.float() for name, tensor in hypernetwork.state_dict().items()}
    content = pack(state).to_bytes({**metadata, **stated})
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def _initialize(weight: Tensor, init: WeightInit, activation: Activation, generator: torch.Generator) -> None:
    gain: Literal["leaky_relu", "relu"] = "leaky_relu" if activation == "leakyrelu" else "relu"
    if init == "normal":
        nn.init.normal_(weight, std=NORMAL_STD, generator=generator)
    elif init == "xavier-uniform":
        nn.init.xavier_uniform_(weight, generator=generator)
    elif init == "xavier-normal":
        nn.init.xavier_normal_(weight, generator=generator)
    elif init == "kaiming-uniform":
        nn.init.kaiming_uniform_(weight, nonlinearity=gain, generator=generator)
    else:
        nn.init.kaiming_normal_(weight, nonlinearity=gain, generator=generator)

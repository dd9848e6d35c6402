"""Hypernetwork files: small networks that change what attention makes its keys and values of. Needs no torch.

For each width of context there are two networks, for keys and for values, each a chain of linear layers. Our files are
safetensors with fp32 tensors `<width>.<k|v>.linear.<number>.<weight|bias>`, numbered as A1111 numbers a network's steps
(activation, normalisation and dropout count too). Their metadata says structure, activation, layer_norm, dropout and
activate_output, and may say name, base_model, recipe, step and trigger_words. Read besides: A1111's pickles, which hold
by width a pair of such networks
(https://github.com/AUTOMATIC1111/stable-diffusion-webui, modules/hypernetworks/hypernetwork.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from renderer.errors import HypernetworkError
from renderer.kolors.files.contents import outline, require_planned
from renderer.kolors.files.kinds import misplaced
from renderer.kolors.files.pickled import Shape
from renderer.kolors.layout import weight_files
from renderer.kolors.lora.file import unet_shapes
from renderer.take import TakeHypernetwork

Activation = Literal["linear", "relu", "leakyrelu", "elu", "swish", "tanh", "sigmoid", "mish"]
"""Between a network's layers, by A1111's names; its "swish" is torch's Hardswish."""
Half = Literal["k", "v"]
HALVES: tuple[Half, Half] = ("k", "v")

_TENSOR = re.compile(r"(?P<width>\d{1,6})\.(?P<half>[kv])\.linear\.?(?P<number>\d{1,6})\.(?P<part>weight|bias)")
"""The dot before the number is missing in files from before A1111's options."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a network has beside its linear layers.

    After each layer but the last come the activation (after the last too with `activate_output`), then, with
    `layer_norm`, a normalisation, also after the last; `dropout` is the share of a hidden layer's values that are
    dropped while it is trained.
    """

    activation: Activation = "relu"
    layer_norm: bool = False
    dropout: float = 0.0
    activate_output: bool = False


class Network(NamedTuple):
    """One network: its layers' sizes from the context's width to the same again, whether they are normalised, and the
    names in the file of those with values (linear and normalising), in order, without `.weight` and `.bias`.
    """

    sizes: tuple[int, ...]
    layer_norm: bool
    names: tuple[str, ...]


@dataclass(frozen=True)
class HypernetworkHeader:
    """What a hypernetwork's file says of itself: `networks` by width of context and half, and what else is in it."""

    path: Path
    design: Design
    networks: dict[tuple[int, Half], Network]
    metadata: dict[str, str]

    @property
    def sizes(self) -> dict[int, tuple[int, ...]]:
        """By width of context, smallest first, the sizes of its networks' layers."""
        return {width: self.networks[width, "k"].sizes for width in sorted({width for width, _ in self.networks})}


def inspect_hypernetwork(path: Path) -> HypernetworkHeader:
    """What is in a hypernetwork's file, from its header alone.

    Raises HypernetworkError where it is missing, damaged, no hypernetwork, of an unknown form, or would run code.
    """
    found = outline(path, HypernetworkError)
    foreign = misplaced(found.content, "hypernetwork")
    if foreign:
        raise HypernetworkError(f"{path}: {foreign}.")
    shapes = {name: shape for name, shape in named_tensors(found.content).items() if isinstance(shape, Shape)}
    networks = {place: _network(path, place[0], names, shapes) for place, names in _places(path, shapes).items()}
    kinds = {network.layer_norm for network in networks.values()}
    halves = [(networks.get((width, "k")), networks.get((width, "v"))) for width, _ in networks]
    if len(kinds) > 1 or any(k is None or v is None or k.sizes != v.sizes for k, v in halves):
        raise HypernetworkError(f"{path}: damaged: its networks don't belong together")
    return HypernetworkHeader(path, _design(path, found.metadata, kinds.pop()), networks, found.metadata)


def check_hypernetwork(hypernetwork: TakeHypernetwork, folder: Path) -> HypernetworkHeader:
    """The header of a take's hypernetwork, checked: there, unchanged since it was planned, fitting the model.

    Raises HypernetworkError.
    """
    name, sha256, path = hypernetwork.name, hypernetwork.sha256, hypernetwork.path
    header = inspect_hypernetwork(require_planned("hypernetwork", name, sha256, path, HypernetworkError))
    check_hypernetwork_fit(header, folder)
    return header


def check_hypernetwork_fit(header: HypernetworkHeader, folder: Path) -> None:
    """Raises HypernetworkError where it is for widths of context that the model's UNet doesn't have.

    A folder without its UNet's weights has nothing to compare with, and raises nothing.
    """
    known = context_widths(folder) if weight_files(folder, "unet") else tuple(header.sizes)
    if not {*header.sizes} <= {*known}:
        own, models = (", ".join(map(str, widths)) for widths in (header.sizes, known))
        raise HypernetworkError(
            f"{header.path}: made for another model: it is for contexts of width {own}, this model's are {models}. "
            "Use one that was trained on this model."
        )


def context_widths(folder: Path) -> tuple[int, ...]:
    """The widths of a picture's and a text's tokens as a model attends to them, smallest first. Raises ModelError."""
    return tuple(sorted({shape[1] for name, shape in unet_shapes(folder).items() if name.endswith(".to_k")}))


def named_tensors(content: Mapping[Any, Any]) -> dict[str, Any]:
    """A file's content under our files' names, whichever its form."""
    named: dict[str, Any] = {}
    for name, part in content.items():
        if isinstance(part, tuple | list) and not isinstance(part, Shape) and all(isinstance(it, dict) for it in part):
            halves = zip(HALVES, part, strict=False)
            named |= {f"{name}.{half}.{own}": tensor for half, tensors in halves for own, tensor in tensors.items()}
        else:
            named[str(name)] = part
    return named


def _places(path: Path, shapes: Mapping[str, Shape]) -> dict[tuple[int, Half], list[str]]:
    """By width and half the names of the layers, in order."""
    found: dict[tuple[int, Half], dict[int, str]] = {}
    for name in shapes:
        match = _TENSOR.fullmatch(name)
        if match is None:
            raise HypernetworkError(f"{path}: not a hypernetwork: it holds a tensor {name}")
        half: Half = "k" if match["half"] == "k" else "v"
        found.setdefault((int(match["width"]), half), {})[int(match["number"])] = name.rpartition(".")[0]
    if not found:
        raise HypernetworkError(f"{path}: not a hypernetwork: there are no networks in it")
    return {place: [names[number] for number in sorted(names)] for place, names in found.items()}


def _network(path: Path, width: int, names: list[str], shapes: Mapping[str, Shape]) -> Network:
    """A chain of linear layers, each perhaps with its normalisation behind it. Raises HypernetworkError."""
    sizes, norms = [width], list[bool]()
    for name in names:
        weight, bias = shapes.get(f"{name}.weight", Shape()), shapes.get(f"{name}.bias", Shape())
        if len(weight) == 2 and weight == (*bias, sizes[-1]):
            sizes.append(weight[0])
            norms.append(False)
        elif weight == bias == (sizes[-1],) and norms and not norms[-1]:
            norms[-1] = True
        else:
            raise HypernetworkError(f"{path}: damaged: {name} doesn't fit to what comes before it")
    if sizes[-1] != width or len({*norms}) != 1:
        raise HypernetworkError(f"{path}: damaged: {names[-1]} is not the last layer of a network")
    return Network(tuple(sizes), norms[0], tuple(names))


def _design(path: Path, stated: Mapping[str, str], layer_norm: bool) -> Design:
    """What the tensors don't tell. A1111's files without a word on it have no activation; or, older, one at the end."""
    activation = stated.get("activation", stated.get("activation_func", "linear"))
    known = next((it for it in get_args(Activation) if it == activation), None)
    if known is None:
        names = ", ".join(get_args(Activation))
        raise HypernetworkError(f'{path}: its activation "{activation[:40]}" is not known here. Known: {names}.')
    is_pickle = path.suffix != ".safetensors"
    activates = stated.get("activate_output", str(is_pickle)).lower() == "true"
    return Design(known, layer_norm, _share(stated.get("dropout", "0")), activates)


def _share(text: str) -> float:
    """A dropout; 0 where it is none."""
    try:
        return share if 0 <= (share := float(text)) < 1 else 0.0
    except ValueError:
        return 0.0

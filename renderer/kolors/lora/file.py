"""LoRA files: where they are, what is in them, and whether they fit a model. Needs no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from renderer.errors import LoraError, ModelError
from renderer.files import file_sha256
from renderer.kolors.card import mending
from renderer.kolors.files.header import DamagedFile, read_header
from renderer.kolors.files.kinds import misplaced
from renderer.kolors.files.pickled import pickled_shapes
from renderer.kolors.layout import weight_files
from renderer.kolors.lora.foreign import foreign
from renderer.kolors.lora.names import Format, parse_key, spellings

ENDINGS = (".safetensors", ".ckpt", ".pt", ".bin")
"""What LoRA files end in, in the order in which a name is tried."""
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoraLayer:
    """One layer's low-rank pair: `down` [rank, inputs, …] and `up` [outputs, rank, …].

    A DoRA's `magnitude` is [outputs], or [outputs, 1, …], or [1, inputs, …] in an early form of LyCORIS.
    """

    down: Shape
    up: Shape
    magnitude: Shape | None = None

    @property
    def rank(self) -> int:
        return self.down[0]

    @property
    def of_columns(self) -> bool:
        """Whether the magnitude holds the lengths of the weight's columns, not of its rows."""
        return self.magnitude is not None and self.magnitude[:1] == (1,) and self.up[0] != 1


@dataclass(frozen=True)
class LoraHeader:
    """What a LoRA file says of itself: `layers` by the file's own names, and a safetensors file's metadata."""

    path: Path
    format: Format
    layers: dict[str, LoraLayer]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The distinct ranks, smallest first."""
        return tuple(sorted({layer.rank for layer in self.layers.values()}))

    @property
    def dora(self) -> bool:
        """Whether any layer brings its weight's rows to lengths of its own (DoRA)."""
        return any(layer.magnitude is not None for layer in self.layers.values())


def find_lora(name: str, folders: Sequence[Path]) -> Path | None:
    """The LoRA file of that name, with or without its ending, in the first folder that has it."""
    for folder in folders:
        for candidate in (folder / name, *(folder / f"{name}{ending}" for ending in ENDINGS)):
            if candidate.suffix in ENDINGS and candidate.is_file():
                return candidate
    return None


def lora_sha256(path: Path) -> str:
    """sha256 (64 hex digits) of the file's content. Raises LoraError."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise LoraError(f"{path}: can't be read: {error.strerror or error}") from error


def inspect_lora(path: Path) -> LoraHeader:
    """What is in a LoRA file, from its header alone. Raises LoraError: damaged, no LoRA, foreign, or running code."""
    try:
        return _header(path, *_shapes(path))
    except DamagedFile as error:
        raise LoraError(f"{path}: damaged: {error}. Fetch the file again.") from error
    except OSError as error:
        raise LoraError(f"{path}: can't be read: {error.strerror or error}") from error


def check_fit(header: LoraHeader, model_folder: Path) -> None:
    """Raises LoraError where a layer of the LoRA is not in the model's UNet, or of another shape there.

    A folder without its UNet's weights has nothing to compare with, and raises nothing.
    """
    if weight_files(model_folder, "unet"):
        check_fit_shapes(header, unet_shapes(model_folder))


def check_fit_shapes(header: LoraHeader, shapes: dict[str, Shape]) -> None:
    """As `check_fit`, with the UNet's weight shapes by layer."""
    misfits = list(_misfits(header, shapes))
    if not misfits:
        return
    shown = "; ".join(misfits[:3]) + (f"; and {len(misfits) - 3} more" if len(misfits) > 3 else "")
    if len(misfits) == len(header.layers):
        raise LoraError(f"{header.path}: made for another architecture: none of its layers fits this model ({shown})")
    count = f"{len(misfits)} of {len(header.layers)} layers don't fit this model"
    raise LoraError(f"{header.path}: made for another model: {count} ({shown})")


@cache
def unet_shapes(folder: Path) -> dict[str, Shape]:
    """The shape of each weight of a model's UNet, by layer (diffusers' names). Raises ModelError."""
    shapes: dict[str, Shape] = {}
    for file in weight_files(folder, "unet"):
        try:
            shapes |= _shapes(file)[0]
        except (DamagedFile, LoraError, OSError) as error:
            raise ModelError(f"{file}: {error}. {mending(folder)}") from error
    return {name.removesuffix(".weight"): shape for name, shape in shapes.items() if _is_layer(name, shape)}


def _shapes(path: Path) -> tuple[dict[str, Shape], dict[str, str]]:
    """A weight file's tensors' shapes by name, and its metadata."""
    if path.suffix != ".safetensors":
        return pickled_shapes(path), {}
    header = read_header(path)
    return {name: tensor.shape for name, tensor in header.tensors.items()}, header.metadata


def _is_layer(name: str, shape: Shape) -> bool:
    return name.endswith(".weight") and len(shape) > 1 and not name.startswith("encoder_hid_proj.")


def _header(path: Path, shapes: dict[str, Shape], metadata: dict[str, str]) -> LoraHeader:
    keys = {name: parse_key(name) for name in shapes}
    unknown = [name for name, key in keys.items() if key is None]
    why = misplaced(shapes, "LoRA") or foreign(list(shapes), unknown)
    if why:
        raise LoraError(f"{path}: {why}")
    parts: dict[str, dict[str, Shape]] = {}
    formats: Counter[Format] = Counter()
    for name, key in keys.items():
        assert key is not None
        # peft writes a convolution's as [1, outputs, 1, 1].
        is_flat = key.part == "magnitude" and key.format == "peft"
        parts.setdefault(key.layer, {})[key.part] = (math.prod(shapes[name]),) if is_flat else shapes[name]
        formats[key.format] += key.part in ("down", "up")
    if not formats.total():
        others = "only DoRA magnitudes and scales" if parts else "no LoRA weights"
        raise LoraError(f"{path}: not a LoRA: there are {others} in it")
    layers = {layer: _layer(path, layer, found) for layer, found in parts.items()}
    return LoraHeader(path, formats.most_common(1)[0][0], layers, metadata)


def _layer(path: Path, layer: str, found: dict[str, Shape]) -> LoraLayer:
    if "down" not in found or "up" not in found:
        raise LoraError(f"{path}: damaged: of {layer} only one half is there")
    down, up = found["down"], found["up"]
    if math.prod(found.get("alpha", ())) != 1:
        raise LoraError(f"{path}: damaged: the alpha of {layer} is not one number")
    if len(down) < 2 or len(up) < 2 or down[0] != up[1] or math.prod(up[2:]) != 1:
        raise LoraError(f"{path}: damaged: the halves of {layer} don't belong together ({down} and {up})")
    return LoraLayer(down, up, found.get("magnitude"))


def _misfits(header: LoraHeader, shapes: dict[str, Shape]) -> Iterator[str]:
    spelled = spellings(shapes)
    for name, layer in header.layers.items():
        target = spelled.get(name)
        if target is None:
            yield f"{name}: no such layer"
        elif (layer.up[0], math.prod(layer.down[1:])) != (shapes[target][0], math.prod(shapes[target][1:])):
            own = (layer.up[0], *layer.down[1:])
            yield f"{name}: {_sides(own)} in the LoRA, {_sides(shapes[target])} in the model"
        elif layer.magnitude is not None and math.prod(layer.magnitude) != shapes[target][layer.of_columns]:
            yield f"{name}: a DoRA magnitude of {_sides(layer.magnitude)} for {_sides(shapes[target])} in the model"


def _sides(shape: Shape) -> str:
    return "x".join(map(str, shape))

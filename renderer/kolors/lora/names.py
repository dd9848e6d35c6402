"""How LoRA files name the UNet's layers: four spellings, and which layer each name means.

The maps are derived from the UNet's own layers, so they hold for any number of blocks and layers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

Format = Literal["diffsynth1", "diffusers", "peft", "kohya"]
Part = Literal["down", "up", "alpha", "magnitude"]

_MAGNITUDE = r"lora_magnitude_vector(?:\.default)?(?:\.weight)?"
_PATTERNS: tuple[tuple[Format, re.Pattern[str]], ...] = (
    ("diffsynth1", re.compile(r"(?P<name>blocks\.\d+\..+)\.lora_(?P<part>[AB])\.default\.weight")),
    ("kohya", re.compile(r"lora_unet_(?P<name>.+)\.(?:lora_(?P<part>down|up)\.weight|(?P<other>alpha|dora_scale))")),
    (
        "peft",
        re.compile(
            r"(?:base_model\.model\.)?(?:unet\.)?(?P<name>.+)\."
            rf"(?:lora_(?P<part>[AB])(?:\.default)?\.weight|(?P<other>{_MAGNITUDE}))"
        ),
    ),
    ("diffusers", re.compile(r"(?:unet\.)?(?P<name>.+)\.(?:lora\.(?P<part>down|up)\.weight|(?P<other>alpha))")),
)
_PARTS: dict[str, Part] = {"A": "down", "B": "up", "down": "down", "up": "up"}


class LoraKey(NamedTuple):
    """A tensor's name in a LoRA file, taken apart; `layer` is spelled as the file spells it."""

    format: Format
    layer: str
    part: Part


class Place(NamedTuple):
    """A block of the UNet: its diffusers name, SDXL's original name as kohya spells it, DiffSynth 1.x's number."""

    name: str
    kohya: str
    number: int


def parse_key(key: str) -> LoraKey | None:
    """What a tensor's name says, or None where it is no LoRA's."""
    for spelling, pattern in _PATTERNS:
        match = pattern.fullmatch(key)
        if match:
            found = match.groupdict()
            other: Part = "alpha" if found.get("other") == "alpha" else "magnitude"
            return LoraKey(spelling, found["name"], _PARTS[found["part"]] if found["part"] else other)
    return None


def spellings(layers: Collection[str]) -> dict[str, str]:
    """Every spelling of every layer (diffusers' names, such as `mid_block.resnets.0.conv1`), to that layer."""
    spelled: dict[str, str] = {}
    for layer in layers:
        spelled[layer] = layer
        spelled[layer.replace(".", "_")] = layer
        if layer.endswith(".to_out.0"):
            spelled[layer.removesuffix(".0")] = layer
    for names in (kohya_names(layers), diffsynth1_names(layers)):
        spelled |= {name: layer for layer, name in names.items()}
    return spelled


def kohya_names(layers: Collection[str]) -> dict[str, str]:
    """What kohya's trainer for SDXL calls each layer, after SDXL's original layout, without `lora_unet_`."""
    names = {layer: name for layer, name in _KOHYA_ENDS.items() if layer in layers}
    for layer, block, inner in _inside(layers):
        original = "op" if "downsamplers" in block.name else _KOHYA_INNER.get(inner, inner)
        names[layer] = f"{block.kohya}_{original.replace('.', '_')}"
    return names


def diffsynth1_names(layers: Collection[str]) -> dict[str, str]:
    """What DiffSynth 1.x calls each layer: blocks by number, the feed-forward's halves `act_fn.proj` and `ff`."""
    names = {layer: name for layer, name in _DIFFSYNTH1_ENDS.items() if layer in layers}
    for layer, block, inner in _inside(layers):
        for theirs, ours in _DIFFSYNTH1_INNER.items():
            inner = inner.replace(ours, theirs)
        names[layer] = f"blocks.{block.number}.{inner}"
    return names


def _inside(layers: Collection[str]) -> Iterator[tuple[str, Place, str]]:
    """The layers that lie in a block: their names, the block, their names inside it."""
    for block in places(layers):
        start = block.name + "."
        yield from ((layer, block, layer.removeprefix(start)) for layer in layers if layer.startswith(start))


def places(layers: Collection[str]) -> Iterator[Place]:
    """The UNet's blocks in the order of its forward pass.

    SDXL numbers input and output blocks by residual block or sampler; DiffSynth 1.x numbers every step, also those
    that push a skip connection (after each input block) or pop one (before each output block).
    """
    found = {match.group() for layer in layers if (match := _BLOCK.match(layer))}
    index, number = 0, 1  # input block 0 is conv_in, which DiffSynth 1.x doesn't number
    for level in range(_count(found, r"down_blocks\.(\d+)\.")):
        start = f"down_blocks.{level}"
        for block in range(_count(found, rf"down_blocks\.{level}\.resnets\.(\d+)")):
            for column, kind in enumerate(_present(found, start, block)):
                yield Place(f"{start}.{kind}.{block}", f"input_blocks_{number}_{column}", index)
                index += 1
            index, number = index + 1, number + 1
        if f"{start}.downsamplers.0" in found:
            yield Place(f"{start}.downsamplers.0", f"input_blocks_{number}_0", index)
            index, number = index + 2, number + 1
    for column, kind in enumerate(("resnets.0", "attentions.0", "resnets.1")):
        yield Place(f"mid_block.{kind}", f"middle_block_{column}", index)
        index += 1
    number = 0
    for level in range(_count(found, r"up_blocks\.(\d+)\.")):
        start = f"up_blocks.{level}"
        for block in range(_count(found, rf"up_blocks\.{level}\.resnets\.(\d+)")):
            index, column = index + 1, 0
            for column, kind in enumerate(_present(found, start, block)):
                yield Place(f"{start}.{kind}.{block}", f"output_blocks_{number}_{column}", index)
                index += 1
            number += 1
        if f"{start}.upsamplers.0" in found:
            yield Place(f"{start}.upsamplers.0", f"output_blocks_{number - 1}_{column + 1}", index)
            index += 1


_BLOCK = re.compile(r"(down_blocks\.\d+|mid_block|up_blocks\.\d+)\.(resnets|attentions|downsamplers|upsamplers)\.\d+")
_KOHYA_INNER = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
"""Residual blocks' layers in SDXL's original names (which their attentions share with diffusers)."""
_KOHYA_ENDS = {
    "conv_in": "input_blocks_0_0",
    "conv_out": "out_2",
    "time_embedding.linear_1": "time_embed_0",
    "time_embedding.linear_2": "time_embed_2",
    "add_embedding.linear_1": "label_emb_0_0",
    "add_embedding.linear_2": "label_emb_0_2",
}
_DIFFSYNTH1_INNER = {"to_out": "to_out.0", "act_fn.proj": "ff.net.0.proj", "ff": "ff.net.2"}
_DIFFSYNTH1_ENDS = {
    "conv_in": "conv_in",
    "conv_out": "conv_out",
    "time_embedding.linear_1": "time_embedding.0",
    "time_embedding.linear_2": "time_embedding.2",
    "add_embedding.linear_1": "add_time_embedding.0",
    "add_embedding.linear_2": "add_time_embedding.2",
}
"""Read from DiffSynth-Studio 1.x, `models/sd_unet.py` and `models/sdxl_unet.py`."""


def _present(found: Collection[str], start: str, block: int) -> list[str]:
    return [kind for kind in ("resnets", "attentions") if f"{start}.{kind}.{block}" in found]


def _count(found: Collection[str], pattern: str) -> int:
    return max((int(match.group(1)) + 1 for name in found if (match := re.match(pattern, name))), default=0)

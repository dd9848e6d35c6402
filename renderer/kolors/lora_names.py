"""How LoRA files name the UNet's layers: four spellings, and which layer each name means.

The maps are derived from the UNet's own layers, so they hold for any number of blocks and layers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

Format = Literal["diffsynth1", "diffusers", "peft", "kohya"]
Part = Literal["down", "up", "alpha"]

_PATTERNS: tuple[tuple[Format, re.Pattern[str]], ...] = (
    ("diffsynth1", re.compile(r"(?P<name>blocks\.\d+\..+)\.lora_(?P<part>[AB])\.default\.weight")),
    ("kohya", re.compile(r"lora_unet_(?P<name>.+)\.(?:lora_(?P<part>down|up)\.weight|(?P<alpha>alpha))")),
    ("peft", re.compile(r"(?:base_model\.model\.)?(?:unet\.)?(?P<name>.+)\.lora_(?P<part>[AB])(?:\.default)?\.weight")),
    ("diffusers", re.compile(r"(?:unet\.)?(?P<name>.+)\.(?:lora\.(?P<part>down|up)\.weight|(?P<alpha>alpha))")),
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
            return LoraKey(spelling, found["name"], "alpha" if found.get("alpha") else _PARTS[found["part"]])
    return None


def spellings(layers: Collection[str]) -> dict[str, str]:
    """Every spelling of every layer (diffusers' names, such as `mid_block.resnets.0.conv1`), to that layer."""
    blocks = list(places(layers))
    spelled: dict[str, str] = {}
    for layer in layers:
        spelled[layer] = layer
        spelled[layer.replace(".", "_")] = layer
        if layer.endswith(".to_out.0"):
            spelled[layer.removesuffix(".0")] = layer
        if layer in _KOHYA_ENDS:
            spelled[_KOHYA_ENDS[layer]] = layer
    for block in blocks:
        for layer in (it for it in layers if it.startswith(block.name + ".")):
            inner = layer[len(block.name) + 1 :]
            original = "op" if "downsamplers" in block.name else _KOHYA_INNER.get(inner, inner)
            spelled[f"{block.kohya}_{original.replace('.', '_')}"] = layer
            spelled[f"blocks.{block.number}.{inner.replace('to_out.0', 'to_out')}"] = layer
    return spelled


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


def _present(found: Collection[str], start: str, block: int) -> list[str]:
    return [kind for kind in ("resnets", "attentions") if f"{start}.{kind}.{block}" in found]


def _count(found: Collection[str], pattern: str) -> int:
    return max((int(match.group(1)) + 1 for name in found if (match := re.match(pattern, name))), default=0)

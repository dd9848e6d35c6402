"""One random LoRA, written in each of the formats that are found in the wild."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from renderer.kolors.lora_file import lora_sha256
from renderer.kolors.lora_names import places
from renderer.take import TakeLora

RANK, ALPHA = 4, 2.0
TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


def attention_layers(shapes):
    return [name for name in shapes if name.endswith(TARGETS) and ".attn" in name]


def random_lora(shapes, seed=0, rank=RANK, layers=None):
    """{layer: (down [rank, inputs, …], up [outputs, rank, …])} for all attention layers."""
    generator = torch.Generator().manual_seed(seed)
    pairs = {}
    for layer in layers or attention_layers(shapes):
        outputs, *inputs = shapes[layer]
        ones = (1,) * (len(inputs) - 1)
        down = torch.randn(rank, *inputs, generator=generator) * 0.3
        pairs[layer] = down, torch.randn(outputs, rank, *ones, generator=generator) * 0.3
    return pairs


def save_diffsynth1(path: Path, pairs, shapes):
    numbers = {place.name: place.number for place in places(shapes)}
    state = {}
    for layer, (down, up) in pairs.items():
        block = next(name for name in numbers if layer.startswith(name + "."))
        name = f"blocks.{numbers[block]}{layer.removeprefix(block)}".replace("to_out.0", "to_out")
        state[f"{name}.lora_A.default.weight"] = down
        state[f"{name}.lora_B.default.weight"] = up
    torch.save(state, path)
    return path


def save_peft(path: Path, pairs, shapes, prefix="unet.", alpha=ALPHA, **config):
    state = {}
    for layer, (down, up) in pairs.items():
        state[f"{prefix}{layer}.lora_A.weight"], state[f"{prefix}{layer}.lora_B.weight"] = down, up
    stated = {f"{prefix}r": RANK, f"{prefix}lora_alpha": alpha} | {f"{prefix}{name}": it for name, it in config.items()}
    save_file(state, path, {"format": "pt", "lora_adapter_metadata": json.dumps(stated)})
    return path


def save_diffusers(path: Path, pairs, shapes):
    state = {}
    for layer, (down, up) in pairs.items():
        state[f"unet.{layer}.lora.down.weight"], state[f"unet.{layer}.lora.up.weight"] = down, up
        state[f"unet.{layer}.alpha"] = torch.tensor(ALPHA)
    save_file(state, path)
    return path


def save_kohya(path: Path, pairs, shapes, original=True):
    """kohya's names, after SDXL's original layout or after diffusers'."""
    kohya = {place.name: place.kohya for place in places(shapes)}
    state = {}
    for layer, (down, up) in pairs.items():
        block = next(name for name in kohya if layer.startswith(name + "."))
        start = kohya[block] if original else block.replace(".", "_")
        name = f"lora_unet_{start}{layer.removeprefix(block).replace('.', '_')}"
        state[f"{name}.lora_down.weight"], state[f"{name}.lora_up.weight"] = down, up
        state[f"{name}.alpha"] = torch.tensor(ALPHA)
    save_file(state, path, {"ss_network_dim": str(RANK), "ss_network_alpha": str(ALPHA)})
    return path


def use(path: Path, strength=1.0, **scale) -> TakeLora:
    return TakeLora(path.stem, lora_sha256(path), strength, path=path, **scale)

"""One random LoRA, written in each of the formats that are found in the wild, and how UNets answer with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from renderer.kolors.layout import read_json
from renderer.kolors.lora.file import lora_sha256, unet_shapes
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.lora.names import places
from renderer.kolors.weights import load_denoiser
from renderer.take import TakeLora
from renderer.trainer.export import LoraFacts, TrainedLayer

torch.set_num_threads(1)

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


def random_layers(shapes, alpha=ALPHA, dora=False, seed=0, rank=RANK, layers=None):
    """As `random_lora`, as a training leaves it: {layer: TrainedLayer}."""
    generator = torch.Generator().manual_seed(seed + 1)
    trained = {}
    for layer, (down, up) in random_lora(shapes, seed, rank, layers).items():
        magnitude = 0.5 + torch.rand(up.shape[0], generator=generator) if dora else None
        trained[layer] = TrainedLayer(down, up, alpha, magnitude)
    return trained


def facts(**changes) -> LoraFacts:
    """What is known of a training, some of it changed."""
    known: dict[str, Any] = dict(
        name="pencil",
        title="Pencil",
        base_model="tiny@1",
        recipe="pencil.yaml",
        recipe_digest="aa" * 32,
        data_digest="bb" * 32,
        step=300,
        steps=500,
        seed=7,
        pictures=12,
        resolution=(96, 64),
        licence="CC0-1.0",
        trigger_words=("铅笔画风格", "pencil"),
        losses={"train": 0.125, "validation": 0.25},
        rank=RANK,
        alpha=ALPHA,
        date="2026-01-02T03:04:05Z",
    )
    return LoraFacts(**(known | changes))


def example(config, seed=0):
    """Latents, timestep, text states, pooled vector and time ids for a UNet of this configuration."""
    generator = torch.Generator().manual_seed(seed)
    pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
    added = {
        "text_embeds": torch.randn(2, pooled, generator=generator),
        "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 2),
    }
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    return latents, torch.tensor(500), torch.randn(2, 5, config["encoder_hid_dim"], generator=generator), added


@torch.no_grad()
def predict_ours(folder, loras=()):
    """What our UNet says of `example`, with LoRAs merged by our loader."""
    denoiser = load_denoiser(folder, torch.device("cpu"), torch.float32)
    MergedUNet(denoiser.unet, unet_shapes(folder)).use(tuple(loras))
    latents, timestep, states, added = example(read_json(folder / "unet/config.json"))
    return denoiser.unet(latents, timestep, denoiser.text_projection(states), added_cond_kwargs=added)


@torch.no_grad()
def predict_diffusers(folder, file=None):
    """The same of diffusers' UNet, with a LoRA file loaded by its KolorsPipeline.

    That pipeline knows SDXL's original names, as kohya writes them, only where it is given the UNet's configuration.
    """
    from diffusers import KolorsPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    pipeline = KolorsPipeline(vae=None, text_encoder=None, tokenizer=None, unet=unet, scheduler=None)
    if file is not None:
        pipeline.load_lora_weights(str(file), unet_config=unet.config)
    latents, timestep, states, added = example(read_json(folder / "unet/config.json"))
    return pipeline.unet(latents, timestep, states, added_cond_kwargs=added).sample

"""The parts of a model by their configurations: those of a folder, or Kolors' own at full size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from renderer.kolors.diffsynth import unet_class, vae_class
from renderer.kolors.layout import read_json
from renderer.kolors.lora.model import KOLORS_UNET
from renderer.kolors.weights import VAE_SCALING, accepted


@dataclass(frozen=True, slots=True)
class Parts:
    """Configurations as `config.json` has them, for the UNet, the VAE and ChatGLM3."""

    unet: dict[str, Any]
    vae: dict[str, Any]
    text: dict[str, Any]

    def build_plain_unet(self) -> nn.Module:
        """DiffSynth's UNet with its own attention; on the device of the surrounding context."""
        unet: nn.Module = unet_class()(**accepted(unet_class(), self.unet))
        return unet

    def build_vae(self) -> nn.Module:
        """DiffSynth's autoencoder; on the device of the surrounding context."""
        vae: nn.Module = vae_class()(**accepted(vae_class(), self.vae))
        return vae


def parts_of(folder: Path | None) -> Parts:
    """The parts of a model folder, or (None) of Kolors. Raises ModelError."""
    if folder is None:
        return FULL_SIZE
    unet, vae, text = (read_json(folder / name / "config.json") for name in ("unet", "vae", "text_encoder"))
    return Parts(unet, {"scaling_factor": VAE_SCALING} | vae, text)


FULL_SIZE = Parts(
    unet=KOLORS_UNET | {"encoder_hid_dim": 4096, "encoder_hid_dim_type": "text_proj"},
    vae={
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "scaling_factor": VAE_SCALING,
    },
    text={
        "num_layers": 28,
        "padded_vocab_size": 65_024,
        "hidden_size": 4096,
        "ffn_hidden_size": 13_696,
        "kv_channels": 128,
        "num_attention_heads": 32,
        "multi_query_attention": True,
        "multi_query_group_num": 2,
        "add_qkv_bias": True,
    },
)
"""Kwai-Kolors/Kolors-diffusers: `config.json` in `unet`, `vae` and `text_encoder`."""

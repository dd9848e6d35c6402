"""Kolors' architecture by configuration, with small numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel

TEXT_WIDTH = 192
TEXT_LENGTH = 64
SPARE_ROWS = 64
"""Rows of the vocabulary table after the last special token, kept free for textual inversion."""

TRAIN_STEPS, BETA_START, BETA_END = 1100, 0.00085, 0.014

SCHEDULER_CONFIG: dict[str, Any] = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": BETA_END,
    "beta_schedule": "scaled_linear",
    "beta_start": BETA_START,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "interpolation_type": "linear",
    "num_train_timesteps": TRAIN_STEPS,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
}

FACTOR = 8
"""Pixels of a latent's side."""

_TIME_WIDTH = 32


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, torch's global generator begins at the seed; afterwards it is as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def make_vae(size: int) -> AutoencoderKL:
    """A fresh autoencoder: factor 8, four latent channels, untouched scaling."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=size,
        block_out_channels=(16, 32, 96, 128),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        mid_block_add_attention=False,
    )


def make_unet(size: int) -> UNet2DConditionModel:
    """A fresh UNet in SDXL's layout with Kolors' projection of the text states."""
    return UNet2DConditionModel(
        sample_size=size // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(96, 128, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 1),
        attention_head_dim=(3, 4, 5),
        cross_attention_dim=128,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=_TIME_WIDTH,
        projection_class_embeddings_input_dim=TEXT_WIDTH + 6 * _TIME_WIDTH,
        encoder_hid_dim=TEXT_WIDTH,
        encoder_hid_dim_type="text_proj",
    )


def make_text_encoder(rows: int) -> ChatGLMModel:
    """A fresh ChatGLM of three layers over a vocabulary table of `rows`, drawn from torch's global generator."""
    config = ChatGLMConfig(
        num_layers=3,
        padded_vocab_size=rows,
        hidden_size=TEXT_WIDTH,
        ffn_hidden_size=2 * TEXT_WIDTH,
        kv_channels=32,
        num_attention_heads=6,
        multi_query_attention=True,
        multi_query_group_num=2,
        seq_length=TEXT_LENGTH,
        add_qkv_bias=True,
        bias_dropout_fusion=False,
        original_rope=True,
    )
    model = ChatGLMModel(config)
    # ChatGLMModel leaves its weights unset, whatever the memory held: set every one of them.
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
        else:
            torch.nn.init.ones_(parameter)
    return model


def noise_levels() -> torch.Tensor:
    """The share of signal (ᾱ) at each of the 1100 training steps."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()

"""Model folders in Kolors' exact layout, with tiny random weights, for tests."""

from __future__ import annotations

import io
import json
import random
import warnings
from pathlib import Path

import sentencepiece
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from renderer.kolors.card import ModelCard, write_card

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel

torch.set_num_threads(1)  # for weights this small, threads cost more than they give

LENGTH = 32
WIDTH = 48
WORDS = (
    *"一个紫色短发小女孩，穿着粉色连衣裙 红色 沙发 夜晚 森林 蓝色 天空 小狗".split(),
    *"a red cat on the sofa".split(),
)

CARD = ModelCard(
    name="tiny",
    edition="tiny@1",
    size=(32, 32),
    multiple=8,
    min_size=16,
    max_size=128,
    steps=4,
    guidance=4.0,
    sampler="ddim",
    text_length=LENGTH,
)


def make_folder(folder: Path, card: ModelCard | None = CARD, layers_per_block: int = 1) -> Path:
    """A whole model: tokenizer, text encoder, UNet, autoencoder, scheduler and card. The same weights each time."""
    pieces = _tokenizer(folder / "tokenizer")
    generator = torch.Generator().manual_seed(1234)
    for name, module in (
        ("unet", _unet(layers_per_block)),
        ("vae", _vae()),
        ("text_encoder", _text_encoder(pieces + 16)),
    ):
        _randomize(module, generator)
        module.save_pretrained(folder / name)
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"_class_name": "EulerDiscreteScheduler"}))
    if card is not None:
        write_card(folder, card)
    return folder


def edit_weights(file: Path, **values: float) -> None:
    """Fills the named tensors (with _ for .) of a safetensors file with a value."""
    state = load_file(file)
    for name in state:
        if name.replace(".", "_") in values:
            state[name] = torch.full_like(state[name], values[name.replace(".", "_")])
    save_file(state, file)


def _randomize(module: torch.nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1:
                spread = parameter[0].numel() ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
            else:
                around = 0.0 if name.endswith("bias") else 1.0
                parameter.copy_(around + 0.05 * torch.randn(parameter.shape, generator=generator))


def _unet(layers_per_block: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=4,
        block_out_channels=(32, 32, 64),
        layers_per_block=layers_per_block,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        attention_head_dim=(1, 2, 4),
        cross_attention_dim=40,
        norm_num_groups=16,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=WIDTH + 6 * 8,
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="text_proj",
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        scaling_factor=0.13025,
    )


def _text_encoder(rows: int) -> ChatGLMModel:
    config = ChatGLMConfig(
        num_layers=3,
        padded_vocab_size=rows,
        hidden_size=WIDTH,
        ffn_hidden_size=2 * WIDTH,
        kv_channels=16,
        num_attention_heads=3,
        multi_query_attention=True,
        multi_query_group_num=1,
        seq_length=LENGTH,
        add_qkv_bias=True,
        original_rope=True,
    )
    return ChatGLMModel(config)


def _tokenizer(folder: Path) -> int:
    chooser = random.Random(0)
    sentences = ["".join(chooser.sample(WORDS, 5)) for _ in range(200)] + [" ".join(WORDS)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=120,
        model_type="bpe",
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    folder.mkdir(parents=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ChatGLMTokenizer"}))
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()

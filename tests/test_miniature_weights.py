"""The weights that ship: whole, small, readable by all who read Kolors, and obedient."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from renderer.kolors.card import read_card
from renderer.kolors.layout import digest_of, file_hashes
from renderer.miniature.captions.vocabulary import load_tokenizer, mask_and_positions, tokenize
from renderer.miniature.training.network import SPARE_ROWS
from renderer.miniature.training.sampling import load_networks, paint

WEIGHTS = Path(__file__).resolve().parents[1] / "renderer" / "miniature" / "weights" / "kolors-mini"


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((WEIGHTS / "model.json").read_text(encoding="utf-8"))
    return read


def state(component: str) -> dict[str, torch.Tensor]:
    (file,) = (WEIGHTS / component).glob("*.safetensors")
    return load_file(file)


def config(component: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((WEIGHTS / component / "config.json").read_text(encoding="utf-8"))
    return read


def accepted(kind: type, settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key in inspect.signature(kind).parameters}


def test_card_names_the_weights_that_are_there(card: dict[str, Any]) -> None:
    assert card["edition"].startswith("kolors-mini@")
    assert card["files"] == file_hashes(WEIGHTS)
    assert card["digest"] == digest_of(card["files"])
    assert card["training"]["unet_pictures_seen"] > 100_000
    assert card["evaluation"]["vae_psnr_db"]["all"] > 20


def test_weights_are_small_finite_halves() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) <= 30e6
    for component in ("unet", "vae", "text_encoder"):
        for name, tensor in state(component).items():
            assert tensor.dtype == torch.float16, name
            assert torch.isfinite(tensor).all(), name


def test_vocabulary_has_spare_rows() -> None:
    tokenizer = load_tokenizer(WEIGHTS / "tokenizer")
    rows = state("text_encoder")["embedding.word_embeddings.weight"].shape[0]
    assert rows == tokenizer.vocab_size + SPARE_ROWS == config("text_encoder")["padded_vocab_size"]


def test_training_reads_prompts_as_kolors_pipeline_does(card: dict[str, Any]) -> None:
    tokenizer = load_tokenizer(WEIGHTS / "tokenizer")
    texts = ["动漫风格，一个紫色短发小女孩", "A little girl, by the sea", "", "未见过的字：龘 🙂", "very " * 200]
    length = card["text_length"]
    expected = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    ids = tokenize(tokenizer, texts)
    mask, positions = mask_and_positions(ids, tokenizer.get_command("[gMASK]"))
    assert torch.equal(ids, expected["input_ids"])
    assert torch.equal(mask, expected["attention_mask"])
    assert torch.equal(positions, expected["position_ids"])
    assert int(ids.max()) < tokenizer.vocab_size


def test_diffsynth_unet_agrees_with_diffusers() -> None:
    from diffsynth.models.stable_diffusion_xl_unet import SDXLUNet2DConditionModel

    ours = SDXLUNet2DConditionModel(**accepted(SDXLUNet2DConditionModel, config("unet"))).eval()
    report = ours.load_state_dict({k: v.float() for k, v in state("unet").items()}, strict=False)
    assert not report.missing_keys
    assert sorted(report.unexpected_keys) == ["encoder_hid_proj.bias", "encoder_hid_proj.weight"]

    theirs = load_networks(WEIGHTS).unet
    generator = torch.Generator().manual_seed(0)
    x, states, pooled = (torch.randn(s, generator=generator) for s in ((2, 4, 12, 12), (2, 64, 192), (2, 192)))
    extra = {"text_embeds": pooled, "time_ids": torch.tensor([[96.0, 96, 0, 0, 96, 96]] * 2)}
    t = torch.tensor([20, 900])
    with torch.no_grad():
        expected = theirs(x, t, states, added_cond_kwargs=extra).sample
        got = ours(x, t, theirs.encoder_hid_proj(states), added_cond_kwargs=extra)
    got = got if isinstance(got, torch.Tensor) else got[0]
    assert torch.allclose(got, expected, atol=1e-4)


def test_diffsynth_vae_agrees_with_diffusers_and_keeps_pictures(card: dict[str, Any]) -> None:
    from diffsynth.models.stable_diffusion_vae import StableDiffusionVAE

    ours = StableDiffusionVAE(**accepted(StableDiffusionVAE, config("vae"))).eval()
    ours.load_state_dict({k: v.float() for k, v in state("vae").items()})
    networks = load_networks(WEIGHTS)
    width, height = card["size"]
    painted = paint(networks, ["一个小女孩，在海边，白天"], (width, height), [0], steps=8)
    x = torch.from_numpy(painted).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        mean = ours.encode(x).mean
        kept = ours.decode(mean)
        expected = networks.vae.decode(networks.vae.encode(x).latent_dist.mean).sample
        error = (kept.clamp(-1, 1) - x).div(2).square().mean()
    assert torch.allclose(kept, expected, atol=1e-3)
    assert -10 * torch.log10(error) > 20
    assert 0.5 < float((mean * ours.scaling_factor).std()) < 2


def test_prompts_decide_what_is_painted() -> None:
    size = read_card(WEIGHTS).size
    prompts = (
        "一个小女孩，在星空下，许愿",
        "一个小女孩，在雪地里，白天，微笑",
        "a little girl in a red dress, in the park, by day, half body",
        "a little girl in a blue dress, in the park, by day, half body",
    )
    painted = paint(load_networks(WEIGHTS), prompts, size, [0] * 4, steps=10).astype(np.float32)
    stars, snow, red, blue = painted
    # At night the corners, where no figure stands, are dark and blue; snow is bright.
    top = size[1] // 6
    assert stars[:top].mean() < 90 < 150 < snow[:top].mean()
    # The clothes are where the prompt says they are, and of its color.
    assert redness(red) > redness(blue) + 20
    # Neighbouring pixels of a picture are alike, those of noise are not.
    for picture in painted:
        assert np.abs(np.diff(picture, axis=1)).mean() < 30
        assert picture.std() > 25


def redness(picture: np.ndarray) -> float:
    """How much more red than blue there is where a half figure wears its dress."""
    height, width = picture.shape[:2]
    dress = picture[int(height * 0.84) :, int(width * 0.38) : int(width * 0.62)]
    return float(dress[..., 0].mean() - dress[..., 2].mean())

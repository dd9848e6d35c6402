"""The miniature: its picture book, its captions, and the weights that ship."""

from __future__ import annotations

import inspect
import json
import random
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from renderer.kolors.layout import digest_of, file_hashes
from renderer.miniature import book, words
from renderer.miniature.book import Picture, sample_picture
from renderer.miniature.captions import full_caption, write_caption
from renderer.miniature.dataset import load_pictures, picture_of
from renderer.miniature.drawing import draw_picture
from renderer.miniature.network import SPARE_ROWS
from renderer.miniature.obedience import obeyed_shares
from renderer.miniature.words import Language

WEIGHTS = Path(__file__).resolve().parents[1] / "renderer" / "miniature" / "weights" / "kolors-mini"
LANGUAGES: tuple[Language, ...] = ("zh", "en")

pictures = [picture_of(seed) for seed in range(600)]


def all_captions(picture: Picture) -> list[tuple[Language, str]]:
    rng = random.Random(7)
    return [(language, write_caption(picture, language, rng)) for language in LANGUAGES for _ in range(4)]


# The picture book.


def test_same_seed_gives_same_picture_and_caption() -> None:
    assert sample_picture(random.Random(3)) == sample_picture(random.Random(3))
    assert sample_picture(random.Random(3)) != sample_picture(random.Random(4))
    assert all_captions(pictures[3]) == all_captions(pictures[3])


def test_same_seed_draws_same_pixels(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    first = load_pictures(tmp_path / "first", 6, 32, 1)
    again = load_pictures(tmp_path / "again", 6, 32, 2)
    assert first.shape == (6, 32, 32, 3)
    assert np.array_equal(first, again)
    assert len({picture.tobytes() for picture in first}) == 6


def test_places_are_drawn_at_their_times_only() -> None:
    assert {(p.place, p.time) for p in pictures} == {(place, t) for place, times in book.TIMES.items() for t in times}


def test_only_full_figures_in_the_living_room_sit() -> None:
    sitting = [p for p in pictures if p.figures[0].posture == "sitting"]
    assert sitting
    assert {(p.place, p.framing) for p in sitting} == {("living_room", "full")}


def test_pairs_are_a_girl_and_a_boy_and_never_close() -> None:
    pairs = [p for p in pictures if len(p.figures) == 2]
    assert 0.1 < len(pairs) / len(pictures) < 0.3
    assert {tuple(f.subject for f in p.figures) for p in pairs} == {("girl", "boy")}
    assert "close" not in {p.framing for p in pairs}


def test_drawn_pictures_obey_their_own_attributes() -> None:
    pytest.importorskip("resvg_py")
    alone = [p for p in pictures if len(p.figures) == 1][:2]
    drawn = [draw_picture(p, 48) for p in alone]
    assert set(obeyed_shares(alone, drawn).values()) == {1.0}
    assert obeyed_shares(alone, drawn[::-1])["place"] == 0.0


# Captions.


def test_captions_name_clothes_and_posture_only_where_they_show() -> None:
    for picture in pictures:
        for language, caption in all_captions(picture):
            if picture.framing == "close":
                for options in words.OUTFIT[language].values():
                    assert not any(word in caption for word in options), caption
            if picture.framing != "full":
                for options in words.POSTURE[language].values():
                    assert not any(word in caption for word in options if "{" not in word), caption
                assert "沙发" not in caption and "sofa" not in caption and "couch" not in caption


def test_captions_name_no_other_place() -> None:
    # Words that belong to one place alone; "at home" and "夜晚" may be true of several.
    landmarks = {"park": "公园", "seaside": "海", "classroom": "教室", "stage": "舞台", "snow": "雪"}
    for picture in pictures:
        for language, caption in all_captions(picture):
            if language == "zh":
                for place, word in landmarks.items():
                    assert (word not in caption) or picture.place == place, caption


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_attribute_value_is_named_by_some_caption(language: Language) -> None:
    captions = [(p, full_caption(p, language)) for p in pictures]
    tables: list[tuple[str, Any, words.Words]] = [
        ("subject", book.Subject, words.SUBJECT[language]),
        ("hair_color", book.HairColor, words.HAIR_COLOR[language]),
        ("hair_length", book.HairLength, words.HAIR_LENGTH[language]),
        ("outfit", book.Outfit, words.OUTFIT[language]),
        ("outfit_color", book.OutfitColor, words.OUTFIT_COLOR[language]),
        ("expression", book.Expression, words.EXPRESSION[language]),
        ("action", book.Action, words.ACTION[language]),
    ]
    for attribute, values, table in tables:
        for value in get_args(values):
            shown = [c for p, c in captions if getattr(p.figures[0], attribute) == value or len(p.figures) == 2]
            assert any(table[value][0] in caption for caption in shown), (attribute, value)
    for attribute, values, table in (
        ("place", book.Place, words.PLACE[language]),
        ("time", book.Time, words.TIME[language]),
        ("framing", book.Framing, words.FRAMING[language]),
    ):
        for value in get_args(values):
            assert any(table[value][0] in c for p, c in captions if getattr(p, attribute) == value), (attribute, value)


def test_captions_vary() -> None:
    rng = random.Random(0)
    assert len({write_caption(pictures[0], "zh", rng) for _ in range(50)}) > 40


# The weights that ship.


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((WEIGHTS / "model.json").read_text(encoding="utf-8"))
    return read


def state(component: str) -> dict[str, torch.Tensor]:
    files = list((WEIGHTS / component).glob("*.safetensors"))
    assert len(files) == 1
    return load_file(files[0])


def config(component: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((WEIGHTS / component / "config.json").read_text(encoding="utf-8"))
    return read


def accepted(kind: type, settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key in inspect.signature(kind).parameters}


def test_card_names_the_weights_that_are_there(card: dict[str, Any]) -> None:
    assert card["edition"] == "kolors-mini@1"
    assert card["files"] == file_hashes(WEIGHTS)
    assert card["digest"] == digest_of(card["files"])
    assert card["training"]["unet_pictures_seen"] > 100_000
    assert card["evaluation"]["vae_psnr_db"] > 20


def test_weights_are_small_finite_halves() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) <= 30e6
    for component in ("unet", "vae", "text_encoder"):
        for name, tensor in state(component).items():
            assert tensor.dtype == torch.float16, name
            assert torch.isfinite(tensor).all(), name


def test_vocabulary_has_spare_rows() -> None:
    from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

    tokenizer = ChatGLMTokenizer(vocab_file=str(WEIGHTS / "tokenizer" / "tokenizer.model"))
    rows = state("text_encoder")["embedding.word_embeddings.weight"].shape[0]
    assert rows == tokenizer.vocab_size + SPARE_ROWS == config("text_encoder")["padded_vocab_size"]


def test_training_reads_prompts_as_kolors_pipeline_does(card: dict[str, Any]) -> None:
    from renderer.miniature.vocabulary import load_tokenizer, mask_and_positions, tokenize

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
    from diffusers import UNet2DConditionModel

    ours = SDXLUNet2DConditionModel(**accepted(SDXLUNet2DConditionModel, config("unet"))).eval()
    report = ours.load_state_dict({k: v.float() for k, v in state("unet").items()}, strict=False)
    assert not report.missing_keys
    assert sorted(report.unexpected_keys) == ["encoder_hid_proj.bias", "encoder_hid_proj.weight"]

    theirs = UNet2DConditionModel.from_pretrained(WEIGHTS / "unet", torch_dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(0)
    x, states, pooled = (torch.randn(s, generator=generator) for s in ((2, 4, 12, 12), (2, 64, 192), (2, 192)))
    extra = {"text_embeds": pooled, "time_ids": torch.tensor([[96.0, 96, 0, 0, 96, 96]] * 2)}
    t = torch.tensor([20, 900])
    with torch.no_grad():
        expected = theirs(x, t, states, added_cond_kwargs=extra).sample
        got = ours(x, t, theirs.encoder_hid_proj(states), added_cond_kwargs=extra)
    got = got if isinstance(got, torch.Tensor) else got[0]
    assert torch.allclose(got, expected, atol=1e-4)


def test_vae_loads_into_diffsynth_and_keeps_pictures() -> None:
    from diffsynth.models.stable_diffusion_vae import StableDiffusionVAE

    from renderer.miniature.autoencoder import to_tensor

    pytest.importorskip("resvg_py")
    vae = StableDiffusionVAE(**accepted(StableDiffusionVAE, config("vae"))).eval()
    vae.load_state_dict({k: v.float() for k, v in state("vae").items()})
    # Seeds far beyond the data set's: pictures that were never trained on.
    x = to_tensor(np.stack([draw_picture(picture_of(seed), 96) for seed in range(10**6, 10**6 + 8)]))
    with torch.no_grad():
        mean = vae.encode(x).mean
        error = (vae.decode(mean).clamp(-1, 1) - x).div(2).square().mean()
    assert -10 * torch.log10(error) > 20
    assert 0.7 < float((mean * vae.scaling_factor).std()) < 1.4


def test_prompts_decide_what_is_painted() -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    from renderer.miniature.network import make_text_encoder
    from renderer.miniature.sampling import Networks, paint
    from renderer.miniature.vocabulary import load_tokenizer, table_rows

    tokenizer = load_tokenizer(WEIGHTS / "tokenizer")
    text_encoder = make_text_encoder(table_rows(tokenizer))
    text_encoder.load_state_dict({k: v.float() for k, v in state("text_encoder").items()})
    networks = Networks(
        UNet2DConditionModel.from_pretrained(WEIGHTS / "unet", torch_dtype=torch.float32).eval(),
        text_encoder.eval(),
        tokenizer,
        AutoencoderKL.from_pretrained(WEIGHTS / "vae", torch_dtype=torch.float32).eval(),
    )
    prompts = (
        "一个小女孩，在星空下，许愿",
        "一个小女孩，在雪地里，白天，微笑",
        "a little girl in a red dress, in the park, by day, half body",
        "a little girl in a blue dress, in the park, by day, half body",
    )
    stars, snow, red, blue = paint(networks, prompts, 96, seed=0, steps=10).astype(np.float32)
    # At night the corners, where no figure stands, are dark and blue; snow is bright.
    assert stars[:16].mean() < 90 < 150 < snow[:16].mean()
    # The clothes are where the prompt says they are, and of its color.
    assert redness(red) > redness(blue) + 20
    # Neighbouring pixels of a picture are alike, those of noise are not.
    for picture in (stars, snow, red, blue):
        assert np.abs(np.diff(picture, axis=1)).mean() < 30
        assert picture.std() > 25


def redness(picture: np.ndarray) -> float:
    """How much more red than blue there is where a half figure wears its dress."""
    dress = picture[80:96, 36:60]
    return float(dress[..., 0].mean() - dress[..., 2].mean())

"""Latents and text states: what they are, and that the cache changes none of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning")

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from renderer.errors import RunFolderError, TrainingError
from renderer.kolors.encoder import Prompt, encode_prompts
from renderer.trainer.learning.cached import CachedStates
from renderer.trainer.learning.crops import center_view
from renderer.trainer.learning.draws import Draws, Group
from renderer.trainer.learning.states import LiveStates
from tests.trainings import CPU, make_dataset, make_models, make_recipe

torch.set_num_threads(1)

BUSY = (
    "image: {size: 32, crop: random, flip: true, upscale: true}\ntrain: {caption_shuffle: true, caption_dropout: 0.3}"
)


class Told:
    """Remembers which stages were told, and how far each came."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[int, int]] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.stages[stage] = (done, total)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, models):
    return make_recipe(tmp_path_factory.mktemp("recipe"), models, BUSY)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def draws(recipe, dataset):
    return list(Draws(recipe, [Group(dataset.samples)]).needed(0, 12))


@pytest.fixture(scope="module")
def live(recipe):
    return LiveStates(recipe, CPU, torch.float32)


def cached(folder, recipe, device=CPU, dtype=torch.float32):
    return CachedStates(folder, recipe, device, dtype)


def files(folder):
    return sorted(file for file in folder.rglob("*.safetensors"))


# What they are.


def test_latents_are_diffusers_mean_scaled(recipe, dataset, live):
    sample = dataset.samples[0]
    vae = AutoencoderKL.from_pretrained(recipe.model_folder / "vae")
    with torch.no_grad():
        pixels = torch.from_numpy(np.array(Image.open(sample.path))).permute(2, 0, 1)[None] / 127.5 - 1
        expected = vae.encode(pixels).latent_dist.mean[0] * vae.config.scaling_factor
    latents = live.latents(sample, center_view((32, 32), (32, 32)))
    assert latents.shape == (4, 4, 4)
    torch.testing.assert_close(latents, expected, rtol=1e-4, atol=1e-5)


def test_texts_are_read_as_the_painter_reads_them(recipe, live):
    for text in ("一个女孩，红色", ""):
        (expected,) = encode_prompts(recipe.model_folder, [Prompt(text)], 32, CPU, torch.float32).values()
        states = live.text(text)
        assert torch.equal(states.states, expected.states)
        assert torch.equal(states.pooled, expected.pooled)


def test_autocast_around_them_changes_nothing(dataset, live):
    sample, view = dataset.samples[1], center_view((48, 32), (32, 32))
    plain = live.latents(sample, view), live.text("夜晚").states
    with torch.autocast("cpu", torch.bfloat16):
        within = live.latents(sample, view), live.text("夜晚").states
    assert all(torch.equal(one, other) for one, other in zip(plain, within, strict=True))


def test_picture_that_is_gone_is_named(dataset, live):
    gone = replace(dataset.samples[0], path=Path("pictures/gone.png"))
    with pytest.raises(TrainingError, match=r"pictures/gone\.png: can't be read any more"):
        live.latents(gone, center_view((32, 32), (32, 32)))


# The cache.


def test_cached_states_equal_live_ones_bit_for_bit(tmp_path, recipe, draws, live):
    states, told = cached(tmp_path, recipe), Told()
    states.fill(draws, True, told)
    assert len({draw.view.mirrored for draw in draws}) == 2
    for draw in draws:
        assert torch.equal(states.latents(draw.sample, draw.view), live.latents(draw.sample, draw.view))
        assert all(
            torch.equal(one, other) for one, other in zip(states.text(draw.text), live.text(draw.text), strict=True)
        )
    views, texts = len({(draw.sample, draw.view) for draw in draws}), len({draw.text for draw in draws})
    assert told.stages == {"latents": (views, views), "texts": (texts, texts)}
    assert len(files(tmp_path)) == views + texts


def test_what_is_cached_is_not_computed_again(tmp_path, recipe, draws):
    cached(tmp_path, recipe).fill(draws[:8], True, Told())
    before = {file: file.stat().st_mtime_ns for file in files(tmp_path)}
    nothing, rest = Told(), Told()
    cached(tmp_path, recipe).fill(draws[:8], True, nothing)
    assert nothing.stages == {}
    cached(tmp_path, recipe).fill(draws, True, rest)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert sum(total for _, total in rest.stages.values()) == len(files(tmp_path)) - len(before)


@pytest.mark.parametrize("damage", [b"", b"torn"])
def test_damaged_file_is_computed_again(tmp_path, recipe, draws, live, damage):
    states = cached(tmp_path, recipe)
    states.fill(draws[:1], True, Told())
    for file in files(tmp_path):
        file.write_bytes(damage or file.read_bytes()[:-4])
    states.fill(draws[:1], True, Told())
    assert torch.equal(states.latents(draws[0].sample, draws[0].view), live.latents(draws[0].sample, draws[0].view))


def test_texts_are_left_out_where_they_can_not_be_cached(tmp_path, recipe, draws):
    cached(tmp_path, recipe).fill(draws[:2], False, Told())
    assert files(tmp_path / "latents")
    assert not files(tmp_path / "texts")


def test_another_model_or_type_has_files_of_its_own(tmp_path, recipe, draws):
    counts = []
    retrained = replace(recipe, card=recipe.card.model_copy(update={"digest": "1" * 64}))
    for states in (
        cached(tmp_path, recipe),
        cached(tmp_path, replace(recipe, edition="tiny@2")),
        cached(tmp_path, retrained),
    ):
        states.fill(draws[:1], True, Told())
        counts.append(len(files(tmp_path)))
    assert counts == [2, 4, 6]
    cached(tmp_path, recipe, dtype=torch.float64).fill(draws[:1], True, Told())
    assert len(files(tmp_path)) == 7  # latents are of fp32, whatever is trained in


def test_full_disk_is_told_before_anything_is_computed(tmp_path, recipe, draws, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 2 * 10**6))
    with pytest.raises(TrainingError, match=r"the caches need \d+ MB and the disk has 2 MB left.*cache: false"):
        cached(tmp_path, recipe).fill(draws, True, Told())
    assert files(tmp_path) == []


def test_folder_that_can_not_be_made_is_told(tmp_path, recipe, draws):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RunFolderError, match="cache: false"):
        cached(tmp_path / "cache", recipe).fill(draws, True, Told())


def test_resumed_training_needs_only_what_is_still_to_come(recipe, dataset):
    whole = Draws(recipe, [Group(dataset.samples)])
    assert list(whole.needed(5, 12)) == list(whole.needed(0, 12))[5:]

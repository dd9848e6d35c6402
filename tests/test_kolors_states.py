"""States of prompts: read by ChatGLM3 once, kept on disk under all that decides them, never trusted blindly."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from renderer.kolors import encoder, pipeline, states
from renderer.kolors.encoder import Prompt
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.states import States
from renderer.kolors.tensor_cache import Cache
from tests.test_kolors_painter import paint, take
from tests.tiny_kolors import CARD, make_folder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("models") / "tiny", CARD.model_copy(update={"digest": "1" * 64}))


@pytest.fixture
def read(monkeypatch):
    """The texts that ChatGLM3 is asked to read, one list for each time."""
    asked = []

    def counted(folder, prompts, *rest):
        asked.append([prompt.text for prompt in prompts])
        return encoder.encode_prompts(folder, prompts, *rest)

    monkeypatch.setattr(states, "encode_prompts", counted)
    return asked


def states_of(folder, *texts, precision="fp32"):
    found = States(folder, CPU)
    found.make_ready([(precision, Prompt(text)) for text in texts], lambda *_: None, lambda work: work())
    return [found[precision, Prompt(text)] for text in texts]


def same(one, other):
    return all(torch.equal(mine, its) and mine.dtype == its.dtype for mine, its in zip(one, other, strict=True))


def files(home):
    return sorted(home.glob("**/states/??/*.safetensors"))


@pytest.fixture
def home():
    from platformdirs import user_cache_path

    return user_cache_path("kolors-storyboard", appauthor=False)


def test_a_text_is_read_once_whoever_asks(folder, read):
    (first,) = states_of(folder, "a red cat")
    again, other = states_of(folder, "a red cat", "a dog")
    assert read == [["a red cat"], ["a dog"]]
    assert same(first, again) and not same(again, other)


@pytest.mark.parametrize("change", ["precision", "model", "torch"])
def test_all_that_decides_states_is_in_their_key(folder, read, tmp_path, monkeypatch, change):
    states_of(folder, "a cat")
    if change == "model":
        folder = make_folder(tmp_path / "other", CARD.model_copy(update={"digest": "2" * 64}))
    if change == "torch":
        monkeypatch.setattr(torch, "__version__", "2.99.0")
    states_of(folder, "a cat", precision="bf16" if change == "precision" else "fp32")
    assert read == [["a cat"], ["a cat"]]


def test_a_model_without_digest_is_read_anew(read, tmp_path, home):
    folder = make_folder(tmp_path / "tiny", CARD)
    states_of(folder, "a cat")
    states_of(folder, "a cat")
    assert len(read) == 2 and not files(home)


@pytest.mark.parametrize("harm", [lambda file: file.write_bytes(b"x" * 40), lambda file: os.truncate(file, 200)])
def test_damaged_states_are_read_anew(folder, read, home, harm):
    (whole,) = states_of(folder, "a cat")
    harm(files(home)[0])
    (found,) = states_of(folder, "a cat")
    assert len(read) == 2 and same(found, whole)


def test_a_full_disk_is_no_reason_to_fail(folder, read, monkeypatch, home):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("renderer.kolors.tensor_cache.write_atomically", full)
    assert len(states_of(folder, "a cat", "a dog")) == 2 and not files(home)


def test_what_was_longest_of_no_use_goes_first(tmp_path):
    cache = Cache(tmp_path)
    keys = [{"number": number} for number in range(4)]
    for place, key in enumerate(keys):
        cache.write(key, {"it": torch.zeros(1000)})
        os.utime(cache._file(key), (place, place))
    cache.used(keys[0])
    size = cache._file(keys[0]).stat().st_size
    cache.shrink(2 * size)
    assert [key in cache for key in keys] == [True, False, False, True]


def test_a_long_story_never_has_more_than_a_window_of_states_in_memory(folder, read, monkeypatch):
    monkeypatch.setattr(pipeline, "PROMPTS_AT_ONCE", 4)
    takes = [replace(take(seed), prompt=f"a cat {seed}", steps=1) for seed in range(7)]
    painter, most = KolorsPainter(folder, device="cpu"), []
    for _ in painter.paint(takes, lambda _: most.append(len(painter._states._kept))):
        pass
    assert 2 < max(most) <= 4
    assert len(read) > 1 and sum(map(len, read)) == len({text for its in read for text in its}) == 8


def test_windows_paint_what_one_window_paints(folder, monkeypatch):
    takes = [replace(take(seed), prompt=f"a cat {seed % 3}", strict=True) for seed in range(5)]
    expected = paint(KolorsPainter(folder, device="cpu"), takes)
    monkeypatch.setattr(pipeline, "PROMPTS_AT_ONCE", 2)
    found = paint(KolorsPainter(folder, device="cpu"), takes)
    assert found.keys() == expected.keys()
    assert all((found[key].pixels == expected[key].pixels).all() for key in expected)

"""Keys decide for ever what is up to date: these values must never change."""

from __future__ import annotations

import pytest

from renderer.take import TakeEmbedding, TakeHypernetwork, TakeLora, canonical_json
from renderer.take_name import TakeName, shown_number
from tests.fakes import make_take


def test_the_record_is_written_in_one_way_only():
    assert canonical_json(make_take().record) == (
        '{"guidance":4.0,"height":64,"loras":[],"model":"kolors-mini@1","negative":"模糊","prompt":"一个女孩",'
        '"record":1,"sampler":"ddim","seed":0,"steps":25,"width":64}'
    )


def test_keys_of_known_takes_are_fixed():
    assert make_take().key == "a7d350e0cd163c4b67a6d019dabb4cf1f3f5050f0d19ffc09f4509af6d6f080c"
    assert make_take(seed=2**32 - 1).key == "b39281353c56113865e3ae72616b8aadbd863e10fb7967bf9a8dd2f25b024ced"
    assert (
        make_take(loras=(TakeLora("pencil", "ab" * 32, 0.5),)).key
        == "5188fbfc2a0394caebcbe18a7679bca85234460a7213ba42b48d290cd0917c9a"
    )
    assert (
        make_take(loras=(TakeLora("old", "cd" * 32, alpha=4.0, rank=16),)).key
        == "4e29ce769a505e4e912c66b3f8cda721a49818f1feaff0ee54b92fab194ed871"
    )
    assert (
        make_take(precision="bf16", strict=True).key
        == "c0dc877984d57974f011ad27a8d1d26b325d78141a64eea827d748b717c3da8a"
    )
    assert (
        make_take(embeddings=(TakeEmbedding("mei", "ab" * 32),)).key
        == "252d5a428260fbb16bedf7919bf6cb6c5b76ecc7053e56053f2c0119689b837a"
    )
    assert (
        make_take(hypernetworks=(TakeHypernetwork("glow", "cd" * 32, 0.5),)).key
        == "7045f61e46a403af7d60547b98538d04ce7ffd40135448f4fa01f7bd208ed75a"
    )


def test_names_are_not_in_the_key():
    assert make_take(scene="park").key == make_take().key
    one, other = TakeLora("a", "ab" * 32), TakeLora("b", "ab" * 32)
    assert make_take(loras=(one,)).key == make_take(loras=(other,)).key
    glow, rain = TakeHypernetwork("glow", "ab" * 32), TakeHypernetwork("rain", "ab" * 32)
    assert make_take(hypernetworks=(glow,)).key == make_take(hypernetworks=(rain,)).key
    assert make_take(swept=(0.5, 200)).key == make_take().key


def test_whole_numbers_and_floats_of_equal_value_give_one_key():
    assert make_take(guidance=4).key == make_take(guidance=4.0).key
    assert make_take(loras=(TakeLora("a", "ab" * 32, 1),)).key == make_take(loras=(TakeLora("a", "ab" * 32, 1.0),)).key


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "一个男孩"},
        {"negative": ""},
        {"seed": 1},
        {"width": 96},
        {"height": 96},
        {"steps": 24},
        {"guidance": 4.5},
        {"sampler": "euler"},
        {"model": "kolors-mini@2"},
        {"loras": (TakeLora("a", "ab" * 32, 0.5),)},
        {"precision": "fp32"},
        {"guidance_interval": (0.2, 0.8)},
        {"cache_interval": 2},
        {"draft": True},
        {"strict": True},
        {"embeddings": (TakeEmbedding("mei", "ab" * 32),)},
        {"hypernetworks": (TakeHypernetwork("glow", "ab" * 32),)},
    ],
)
def test_whatever_the_author_asks_for_is_in_the_key(change):
    assert make_take(**change).key != make_take().key


def test_nan_has_no_key():
    with pytest.raises(ValueError):
        _ = make_take(guidance=float("nan")).key


def test_an_embeddings_name_is_in_the_key_since_texts_have_it():
    one, other = TakeEmbedding("a", "ab" * 32), TakeEmbedding("b", "ab" * 32)
    assert make_take(embeddings=(one,)).key != make_take(embeddings=(other,)).key


@pytest.mark.parametrize(
    ("name", "written", "short", "words"),
    [
        (TakeName(1), "1", "1", "seed 1"),
        (TakeName(1, 0.5), "{seed: 1, strength: 0.5}", "1 ×0.5", "seed 1, strength 0.5"),
        (TakeName(1, None, 200), "{seed: 1, step: 200}", "1 @200", "seed 1, step 200"),
        (TakeName(0, 1.0, 200), "{seed: 0, strength: 1, step: 200}", "0 ×1 @200", "seed 0, strength 1, step 200"),
    ],
)
def test_a_take_is_named_by_what_tells_it_from_the_others(name, written, short, words):
    assert (name.written, name.short, str(name)) == (written, short, words)
    assert make_take(seed=name.seed, swept=(name.strength, name.step)).name == name


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-05, -0.25, 4.0, 0.0])
def test_a_number_is_written_so_that_it_is_read_again(value):
    assert float(shown_number(value)) == value
    assert not shown_number(value).endswith(".0")

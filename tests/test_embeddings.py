"""Embeddings: their files, their places in a prompt, the states they give, and the pictures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers.pipelines.kolors.text_encoder import ChatGLMModel
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from renderer.errors import EmbeddingError
from renderer.files import file_sha256
from renderer.kolors.embeddings import (
    check_embedding,
    check_embedding_fit,
    embedding_width,
    inspect_embedding,
    read_embedding,
    write_embedding,
)
from renderer.kolors.encoder import Prompt, TextEncoder, encode_prompts, encode_texts
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.text import PREFIX, count_pieces, cut_at, piece_ids, tokenize
from renderer.take import TakeEmbedding
from tests.test_kolors_painter import paint, pixels, take
from tests.test_lora_file import harm
from tests.tiny_kolors import LENGTH, WIDTH, WORDS

CPU, FP32 = torch.device("cpu"), torch.float32
VECTORS = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
FACTS = {"name": "mei", "base_model": "tiny@1", "recipe": "mei.yaml", "step": "200", "trigger_words": "<mei>"}
SENTENCES = (
    ("a ", "red cat", " on the sofa"),
    ("", "red cat", " on the sofa"),
    ("a red ", "cat", ""),
    ("蓝色", "小狗", " 夜晚"),
    ("", "小狗", ""),
)
"""What stands before some words, they, and what stands after."""


@pytest.fixture(scope="module")
def encoder(folder):
    return TextEncoder(folder, LENGTH, CPU, FP32)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_embedding(folder / "x.safetensors", VECTORS, FACTS)
    save_a1111(folder / "x.pt")
    return {"safetensors": folder / "x.safetensors", "pt": folder / "x.pt"}


def save_a1111(path, vectors=VECTORS):
    content = {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": torch.nn.Parameter(vectors)},
        "name": "mei",
        "step": 199,
        "sd_checkpoint": None,
        "sd_checkpoint_name": "kolors",
    }
    torch.save(content, path)
    return path


def use(path, name="mei"):
    return TakeEmbedding(name, file_sha256(path), path=path)


def written(folder, vectors, name="mei"):
    path = folder / f"{name}.safetensors"
    write_embedding(path, vectors, {"name": name})
    return use(path, name)


# Files.


def test_a_written_embedding_is_read_again(tmp_path):
    sha256 = write_embedding(tmp_path / "mei.safetensors", VECTORS, FACTS)
    header = inspect_embedding(tmp_path / "mei.safetensors")
    assert (header.vectors, header.width, header.metadata) == (3, 8, FACTS)
    assert torch.equal(read_embedding(tmp_path / "mei.safetensors"), VECTORS)
    assert sha256 == file_sha256(tmp_path / "mei.safetensors")
    assert list(load_file(tmp_path / "mei.safetensors")) == ["emb_params"]


def test_the_same_embedding_is_the_same_bytes(tmp_path):
    facts = {f"fact {number}": "x" for number in range(20)}
    hashes = {write_embedding(tmp_path / "x.safetensors", VECTORS.clone(), facts) for _ in range(4)}
    assert len(hashes) == 1


@pytest.mark.parametrize("vectors", [VECTORS, VECTORS.half(), VECTORS[0], VECTORS[:1]])
def test_other_programs_files_are_read(tmp_path, vectors):
    expected = vectors.float().reshape(-1, 8)
    save_file({"<mei>": vectors}, tmp_path / "diffusers.safetensors")
    torch.save({"<mei>": vectors}, tmp_path / "diffusers.bin")
    save_file({"emb_params": vectors}, tmp_path / "a1111.safetensors")
    for name in ("diffusers.safetensors", "diffusers.bin", "a1111.safetensors"):
        header = inspect_embedding(tmp_path / name)
        assert (header.vectors, header.width) == expected.shape
        assert torch.equal(read_embedding(tmp_path / name), expected)


def test_a1111s_pickle_is_read_with_what_it_says(tmp_path):
    path = save_a1111(tmp_path / "mei.pt")
    assert inspect_embedding(path).metadata == {"name": "mei", "step": "199", "sd_checkpoint_name": "kolors"}
    vectors = read_embedding(path)
    assert torch.equal(vectors, VECTORS) and not vectors.requires_grad


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"clip_l": torch.zeros(2, 768), "clip_g": torch.zeros(2, 1280)}, "for SDXL's two text encoders"),
        ({"unet.x.to_q.lora_A.weight": torch.zeros(2, 2)}, "not for `embeddings:` but for `loras:`, as it is a LoRA"),
        ({"640.k.linear.0.weight": torch.zeros(2, 2)}, "for `hypernetworks:`, as it is a hypernetwork"),
        ({"a": torch.zeros(2, 2), "b": torch.zeros(2, 2)}, "it holds 2 tensors, where one is expected"),
        ({}, "it holds 0 tensors"),
        ({"emb_params": torch.zeros(2, 2, 2)}, "no list of vectors"),
        ({"emb_params": torch.zeros(0, 8)}, "no list of vectors"),
        ({"emb_params": torch.tensor(1.0)}, "no list of vectors"),
    ],
)
def test_what_is_no_embedding_is_told_what_it_is(tmp_path, tensors, words):
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(EmbeddingError, match=words):
        inspect_embedding(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"string_to_param": {"*": VECTORS, "+": VECTORS}}, "it holds 2 tensors"),
        ({"string_to_param": "none"}, "it holds 0 tensors"),
        ({"string_to_param": {"*": "none"}}, "no list of vectors"),
        ({"step": 3}, "no list of vectors"),
        ([VECTORS], "no tensors by name"),
        ({"string_to_param": torch.nn.ParameterDict({"x": VECTORS})}, "refused: a file that would run code"),
    ],
)
def test_pickles_that_hold_something_else_are_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(EmbeddingError, match=words):
        inspect_embedding(tmp_path / "x.pt")


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"string_to_param": {"*": VECTORS}, "name": Evil()}, tmp_path / "x.pt")
    for read in (inspect_embedding, read_embedding):
        with pytest.raises(EmbeddingError, match="refused: a file that would run code"):
            read(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


def test_a_tensor_larger_than_its_file_is_damage_and_takes_no_memory(tmp_path):
    torch.save({"<mei>": torch.zeros(1).expand(1 << 40, 4096)}, tmp_path / "x.pt")
    with pytest.raises(EmbeddingError, match="more numbers than the file has bytes"):
        read_embedding(tmp_path / "x.pt")


def test_a_pickle_that_asks_for_memory_gets_none(tmp_path):
    """It memoizes an empty list under a number for which the unpickler in C sets four gigabytes aside."""
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02]r\xff\xff\xff\x0f.")
    code = (
        "import resource; from pathlib import Path\n"
        "from renderer.kolors.embeddings import inspect_embedding\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        f"inspect_embedding(Path({str(tmp_path / 'x.pt')!r}))\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "it holds no tensors by name" in told


def test_numbers_that_are_not_finite_are_damage(tmp_path):
    write_embedding(tmp_path / "x.safetensors", VECTORS * float("nan"), {})
    with pytest.raises(EmbeddingError, match="not finite"):
        read_embedding(tmp_path / "x.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_cut_files_are_damaged(tmp_path, whole_files, keep):
    for ending, whole in whole_files.items():
        (tmp_path / f"x.{ending}").write_bytes(whole.read_bytes()[:keep])
        with pytest.raises(EmbeddingError, match=r"damaged|cut short"):
            inspect_embedding(tmp_path / f"x.{ending}")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(EmbeddingError, match=r"none\.safetensors: can't be read: No such file"):
        inspect_embedding(tmp_path / "none.safetensors")


def harmed_files(whole_files, data):
    """A safetensors file and a pickle with some bytes changed, of the pickle those that are its program."""
    harmed = whole_files["safetensors"].with_name("harmed.safetensors")
    harmed.write_bytes(harm(whole_files["safetensors"].read_bytes(), data))
    yield harmed
    harmed = whole_files["pt"].with_name("harmed.pt")
    with zipfile.ZipFile(whole_files["pt"]) as whole, zipfile.ZipFile(harmed, "w") as archive:
        for member in whole.infolist():
            content = whole.read(member)
            archive.writestr(member, harm(content, data) if member.filename.endswith("data.pkl") else content)
    yield harmed


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_a_file_holds_it_is_an_embedding_or_an_error_with_words(whole_files, data):
    for harmed in harmed_files(whole_files, data):
        with suppress(EmbeddingError):
            read_embedding(harmed)


def test_files_and_prompts_are_checked_without_torch(folder, whole_files):
    code = (
        "import sys; from pathlib import Path\n"
        "from renderer.kolors.embeddings import embedding_width, inspect_embedding\n"
        "from renderer.kolors.hypernetworks import context_widths\n"
        "from renderer.kolors.text import cut_at\n"
        f"folder = Path({str(folder)!r})\n"
        f"assert inspect_embedding(Path({str(whole_files['pt'])!r})).vectors == 3\n"
        f"assert inspect_embedding(Path({str(whole_files['safetensors'])!r})).vectors == 3\n"
        "assert embedding_width(folder) and context_widths(folder)\n"
        "assert cut_at(folder, 'a <mei>', 32, {'mei': 40}) == '<mei>'\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Prompts.


def test_the_pieces_around_a_placeholder_are_those_around_the_words(folder):
    for before, words, after in SENTENCES:
        spelled = tokenize(folder, before + words + after, LENGTH)
        expected = [number for number, is_piece in zip(spelled.ids, spelled.mask, strict=True) if is_piece]
        count = len(expected) - count_pieces(folder, f"{before}<w>{after}", {"w": 0}) - len(PREFIX)
        tokens = tokenize(folder, f"{before}<w>{after}", LENGTH, {"w": count})
        places = list(tokens.vectors)
        assert list(tokens.vectors.values()) == [("w", number) for number in range(count)]
        assert places == list(range(places[0], places[0] + count))
        assert (tokens.mask, tokens.positions) == (spelled.mask, spelled.positions)
        for place, (own, other) in enumerate(zip(tokens.ids, spelled.ids, strict=True)):
            assert place in tokens.vectors or own == other, (before, words, after)


@given(st.lists(st.sampled_from([*WORDS, "☃", " ", "，"]), max_size=12).map("".join))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_other_pieces_are_those_around_a_letter_that_joins_with_none(folder, text):
    """Such as ☃, which this tokenizer doesn't know; but the word mark that stands alone before a ☃ is left out."""
    text = re.sub("☃+", "☃", text)
    mark, unknown = tokenize(folder, "☃", LENGTH).ids[-2:]
    around = [number for number, is_piece in zip(*tokenize(folder, text, 999)[:2], strict=True) if is_piece]
    expected = [it for it, following in pairwise([*around, 0]) if (it, following) != (mark, unknown)]
    tokens = tokenize(folder, text.replace("☃", "<mei>"), 999, {"mei": 1})
    assert [number for number, is_piece in zip(tokens.ids, tokens.mask, strict=True) if is_piece] == expected
    assert len(tokens.vectors) == text.count("☃")


@example("<mei><lin>")
@example(" <mei>\n<lin>")
@example("<mei<lin> ><mei>")
@example("\ufdd0<mei>\ufdd0")
@example("红😀<lin>😀色<mei>")
@given(st.text(max_size=20).map(lambda text: f"{text[::2]}<lin>{text[1::2]}<mei>"))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_placeholder_gives_its_vectors_in_any_text(folder, text):
    counts = {"mei": 2, "lin": 5}
    vectors = list(tokenize(folder, text, 999, counts).vectors.values())
    names = re.findall("<(mei|lin)>", text)
    assert vectors == [(name, number) for name in names for number in range(counts[name])]


def test_a_text_without_placeholders_is_as_ever(folder):
    for text in ("", "a red cat", "<x> 红色", "<mei", "mei>"):
        assert tokenize(folder, text, LENGTH, {"mei": 3}) == tokenize(folder, text, LENGTH)


def test_vectors_count_and_what_is_cut_is_told(folder):
    room, counts = LENGTH - len(PREFIX), {"mei": 4}
    fitting = "红" * (room - 1 - 4) + "<mei>"
    assert count_pieces(folder, fitting, counts) == room
    assert cut_at(folder, fitting, LENGTH, counts) is None
    assert cut_at(folder, "红" + fitting + "蓝", LENGTH, counts) == "<mei>蓝"
    assert cut_at(folder, fitting + "蓝", LENGTH, counts) == "蓝"
    assert len(tokenize(folder, "红" * 4 + fitting, LENGTH, counts).vectors) == 0
    assert len(tokenize(folder, "红" * 2 + fitting, LENGTH, counts).vectors) == 2


# States.


def states_of(folder, text, *embeddings):
    prompt = Prompt.of(text, embeddings)
    return encode_prompts(folder, [prompt], LENGTH, CPU, FP32)[prompt]


def same(one, other):
    return torch.equal(one.states, other.states) and torch.equal(one.pooled, other.pooled)


def test_vectors_that_copy_the_words_rows_give_the_words_states(folder, encoder, tmp_path):
    for before, words, after in (SENTENCES[0], SENTENCES[1], SENTENCES[4]):
        embedding = written(tmp_path, encoder.rows(words), "w")
        spelled = states_of(folder, before + words + after)
        assert same(states_of(folder, f"{before}<w>{after}", embedding), spelled)
    other = written(tmp_path, encoder.rows("sofa"), "w")
    assert not same(states_of(folder, f"{before}<w>{after}", other), spelled)


def test_the_rows_of_words_are_those_of_their_pieces_without_a_lone_mark(folder, encoder):
    table = load_file(folder / "text_encoder" / "model.safetensors")["embedding.word_embeddings.weight"]
    assert torch.equal(encoder.rows("red cat"), table[piece_ids(folder, "red cat")])
    assert piece_ids(folder, "☃") == tokenize(folder, "☃", LENGTH).ids[-1:]
    assert encoder.rows("").shape == (0, WIDTH)


def test_a_vector_reads_and_learns_as_a_spare_row_of_the_table_would(folder):
    """Which is how textual inversion is described, here by diffusers' ChatGLM; ours writes nothing into the table."""
    encoder, chatglm = TextEncoder(folder, LENGTH, CPU, FP32), ChatGLMModel.from_pretrained(folder / "text_encoder")
    vectors = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(3)).requires_grad_()
    found = encoder.encode("a <w> cat, <w>", {"w": vectors})
    tokens = tokenize(folder, "a <w> cat, <w>", LENGTH, {"w": 2})
    table = chatglm.eval().embedding.word_embeddings.weight
    spare = len(table) - 2
    table.data[spare:] = vectors.detach()
    for place, (_, number) in tokens.vectors.items():
        tokens.ids[place] = spare + number
    ids, mask, positions = torch.tensor(tokens[:3]).unsqueeze(1)
    table.requires_grad_()
    layers = chatglm(ids, positions, mask, output_hidden_states=True, return_dict=True).hidden_states
    assert torch.allclose(found.states, layers[-2][:, 0], atol=1e-5)
    assert torch.allclose(found.pooled, layers[-1][-1, 0], atol=1e-5)
    (found.states.square().sum() + found.pooled.sum()).backward()
    (layers[-2].square().sum() + layers[-1][-1].sum()).backward()
    assert vectors.grad.abs().min() > 0
    assert torch.allclose(vectors.grad, table.grad[spare:], rtol=1e-4, atol=1e-5)


def test_more_vectors_than_the_table_has_spare_rows_are_no_problem(encoder):
    vectors = torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(3))
    few, many = (encoder.encode("<w>", {"w": vectors[:count]}) for count in (LENGTH - 2, 200))
    assert same(few, many)


def test_embeddings_leave_other_texts_alone(folder, encoder):
    before = encoder.encode("a red cat")
    encoder.encode("a <w> cat", {"w": torch.ones(2, WIDTH)})
    assert same(encoder.encode("a red cat"), before)
    assert same(encode_texts(folder, ["a red cat"], LENGTH, CPU, FP32)["a red cat"], before)


def test_gradients_reach_the_vectors_and_nothing_else(encoder):
    vectors = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(5)).requires_grad_()
    direction = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(6))

    def loss(vectors):
        found = encoder.encode("a <w> cat", {"w": vectors})
        return found.states.square().mean() + found.pooled.square().mean()

    loss(vectors).backward()
    with torch.no_grad():
        numeric = float(loss(vectors + 0.01 * direction) - loss(vectors - 0.01 * direction)) / 0.02
    assert float((vectors.grad * direction).sum()) == pytest.approx(numeric, rel=0.01)
    assert abs(numeric) > 0.01
    assert all(parameter.grad is None for layer in encoder._layers for parameter in layer.parameters())


# Pictures.


def test_an_embedding_that_copies_the_words_paints_their_very_picture(painter, encoder, tmp_path):
    cat, dog = written(tmp_path, encoder.rows("red cat"), "cat"), written(tmp_path, encoder.rows("小狗"), "dog")
    words = take(1, prompt="a red cat on the sofa", negative="小狗")
    expected = pixels(painter, words)
    named = take(1, prompt="a <cat> on the sofa", negative="<dog>", embeddings=(cat, dog))
    assert np.array_equal(pixels(painter, named), expected)
    assert np.array_equal(
        pixels(painter, take(1, prompt="a <cat> on the sofa", negative="小狗", embeddings=(cat,))), expected
    )
    without = take(1, prompt="a <cat> on the sofa", negative="小狗")
    assert not np.array_equal(pixels(painter, without), expected)


def test_two_files_of_one_name_are_not_mistaken_for_each_other(folder, tmp_path):
    embeddings = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        vectors = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(number))
        embeddings.append(written(tmp_path / str(number), vectors))
    takes = [take(1, prompt="a <mei>", strict=True, embeddings=(it,)) for it in embeddings]
    apart = [pixels(KolorsPainter(folder, device="cpu"), it) for it in takes]
    painter = KolorsPainter(folder, device="cpu")
    one_by_one = [pixels(painter, it) for it in takes]
    together = paint(painter, takes)
    assert not np.array_equal(*apart)
    for it, first, second in zip(takes, apart, one_by_one, strict=True):
        assert np.array_equal(first, second) and np.array_equal(together[it.key].pixels, first)


def test_takes_with_and_without_embeddings_are_denoised_together(painter, tmp_path):
    mei = written(tmp_path, torch.zeros(1, WIDTH))
    painted = paint(painter, [take(1, prompt="a <mei>", embeddings=(mei,)), take(2)])
    assert {it.provenance.batch for it in painted.values()} == {2}


def test_a_prompt_without_a_placeholder_is_encoded_once_whatever_the_take_lists(folder, tmp_path):
    mei = written(tmp_path, torch.zeros(1, WIDTH))
    seen = []
    takes = [take(1, prompt="森林 <mei>", negative="红色 红色", embeddings=(mei,)), take(2, negative="红色 红色")]
    paint(KolorsPainter(folder, device="cpu"), takes, seen.append)
    assert {it.total for it in seen if it.stage == "encoding"} == {3}


def test_a_file_that_changed_or_went_or_does_not_fit_stops_before_the_first_picture(painter, folder, tmp_path):
    gone = TakeEmbedding("mei", "0" * 64, path=tmp_path / "none.safetensors")
    wide = written(tmp_path, torch.zeros(1, 768), "wide")
    changed = written(tmp_path, torch.zeros(1, WIDTH), "changed")
    written(tmp_path, torch.ones(1, WIDTH), "changed")
    assert embedding_width(folder) == WIDTH
    check_embedding_fit(inspect_embedding(wide.path), folder.parent / "no model here")
    for embedding, words in (
        (gone, 'embedding "mei" is not on this machine'),
        (TakeEmbedding("mei", "0" * 64), "not on this machine"),
        (wide, f"vectors have 768 numbers, those of this model's text encoder {WIDTH}"),
        (changed, "changed since the takes were planned"),
    ):
        with pytest.raises(EmbeddingError, match=words):
            check_embedding(embedding, folder)
        painting = painter.paint([take(0), take(1, embeddings=(embedding,))], lambda report: None)
        with pytest.raises(EmbeddingError, match=words):
            next(painting)

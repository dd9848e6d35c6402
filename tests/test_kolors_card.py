"""Model folders: what is missing, the digest, the edition; all without torch."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time

import pytest

from renderer.errors import ModelError
from renderer.kolors.card import BUNDLED, KOLORS, edition_of, find_model, missing_parts, read_card, require_model
from renderer.kolors.files.header import DamagedFile, read_header
from renderer.kolors.layout import weight_files
from tests.tiny_kolors import make_folder

UNET = "unet/diffusion_pytorch_model.safetensors"
PULL = "storyboard models pull kolors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("models") / "tiny", card=None)


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "tiny")


def shard(folder, names=("a.safetensors", "b.safetensors"), index="model.safetensors.index.json"):
    """The text encoder in two shards, as Kolors' comes."""
    single = folder / "text_encoder" / "model.safetensors"
    tensors = list(read_header(single).tensors)
    for name in names:
        shutil.copy(single, folder / "text_encoder" / name)
    single.unlink()
    weight_map = {tensor: names[number % 2] for number, tensor in enumerate(tensors)}
    (folder / "text_encoder" / index).write_text(json.dumps({"weight_map": weight_map}))


def test_a_whole_folder_misses_nothing(folder):
    assert missing_parts(folder) == []


@pytest.mark.parametrize(
    "part", [UNET, "vae/diffusion_pytorch_model.safetensors", "text_encoder/config.json", "tokenizer/tokenizer.model"]
)
def test_each_missing_part_is_named(folder, part):
    (folder / part).unlink()
    (problem,) = missing_parts(folder)
    assert part.rpartition("/")[0] in problem


def test_a_folder_that_is_not_there_is_one_problem(tmp_path):
    assert missing_parts(tmp_path / "none") == [f"{tmp_path / 'none'}: no such folder"]


@pytest.mark.parametrize("index", ["model.safetensors.index.json", "model.safetensors.index.fp16.json"])
def test_a_missing_shard_is_named_with_the_command(folder, index):
    shard(folder, index=index)
    assert missing_parts(folder) == []
    (folder / "text_encoder" / "b.safetensors").unlink()
    assert missing_parts(folder) == ["text_encoder/b.safetensors: missing"]
    with pytest.raises(ModelError, match=rf"(?s)text_encoder/b\.safetensors: missing.*{PULL}"):
        require_model("./tiny", beside=folder.parent)


def test_an_index_that_points_outside_the_folder_is_not_followed(folder):
    shard(folder, names=("a.safetensors", "../../secret.safetensors")[:1] * 2)
    index = folder / "text_encoder" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "../../secret.safetensors"}}))
    assert weight_files(folder, "text_encoder") == (index,)
    assert missing_parts(folder) != []


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda content: b"", "empty"),
        (lambda content: content[:-1], "cut short"),
        (lambda content: content[:20], "cut short"),
        (lambda content: content + b"x", "longer than its header says"),
        (lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (lambda content: b"<!DOCTYPE html><html>", "not a safetensors file"),
        (lambda content: struct.pack("<Q", 2) + b"[]", "not a safetensors file"),
        (lambda content: struct.pack("<Q", 4) + b"{}{}", "not a safetensors file"),
    ],
)
def test_damaged_weights_are_noticed_from_the_header(folder, harm, words):
    file = folder / UNET
    file.write_bytes(harm(file.read_bytes()))
    (problem,) = missing_parts(folder)
    assert problem.startswith(UNET) and words in problem


@pytest.mark.parametrize("entry", [{"shape": [2], "data_offsets": [0, 9]}, {"shape": [-2], "data_offsets": [0, -8]}])
def test_a_header_that_contradicts_itself_is_damage(tmp_path, entry):
    header = json.dumps({"w": {"dtype": "F32"} | entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(9))
    with pytest.raises(DamagedFile, match="contradicts itself"):
        read_header(tmp_path / "x.safetensors")


def test_pickled_shards_are_found_and_a_cut_one_noticed(folder):
    import torch

    (folder / "text_encoder" / "model.safetensors").unlink()
    names = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    for name in names:
        torch.save({"w": torch.zeros(64)}, folder / "text_encoder" / name)
    index = {"weight_map": {"w": names[0], "v": names[1]}}
    (folder / "text_encoder" / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert missing_parts(folder) == []
    cut = folder / "text_encoder" / names[1]
    cut.write_bytes(cut.read_bytes()[:200])
    (problem,) = missing_parts(folder)
    assert names[1] in problem and "cut short" in problem


def test_a_half_precision_file_serves_where_the_full_one_is_not_whole(folder):
    full = folder / UNET
    half = full.with_name("diffusion_pytorch_model.fp16.safetensors")
    shutil.copy(full, half)
    assert weight_files(folder, "unet") == (full,)
    full.write_bytes(full.read_bytes()[:-9])
    assert weight_files(folder, "unet") == (half,)
    assert missing_parts(folder) == []


def test_the_edition_follows_the_weights_and_not_the_folder(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "elsewhere")
    edition = edition_of(folder)
    assert edition == edition_of(other)
    assert edition == f"kolors@{read_card(folder).digest[:12]}"
    assert set(read_card(folder).files) >= {UNET, "tokenizer/tokenizer.model"}


def test_the_digest_is_written_once_and_renewed_when_a_weight_changes(folder):
    first = edition_of(folder)
    written = (folder / "model.json").stat().st_mtime_ns
    assert edition_of(folder) == first
    assert (folder / "model.json").stat().st_mtime_ns == written
    content = bytearray((folder / UNET).read_bytes())
    content[-1] ^= 1
    (folder / UNET).write_bytes(content)
    os.utime(folder / UNET, (time.time() + 5, time.time() + 5))
    assert edition_of(folder) != first


def test_writing_the_digest_keeps_what_else_the_card_says(folder):
    (folder / "model.json").write_text(json.dumps(KOLORS.model_dump(mode="json") | {"note": "ours"}))
    assert edition_of(folder).startswith("kolors@")
    assert json.loads((folder / "model.json").read_text())["note"] == "ours"


def test_an_authored_edition_needs_no_weights(tmp_path):
    (tmp_path / "model.json").write_text(KOLORS.model_copy(update={"edition": "mine@3"}).model_dump_json())
    assert edition_of(tmp_path) == "mine@3"


def test_a_model_that_is_not_here_says_what_to_run(tmp_path):
    with pytest.raises(ModelError, match=rf'"kolors" is not on this machine.*{PULL}'):
        require_model("kolors", folders=[tmp_path])


def test_a_misspelt_model_is_guessed(folder):
    with pytest.raises(ModelError, match='Did you mean "tiny"'):
        require_model("tinny", folders=[folder.parent])


def test_the_bundled_model_is_found_by_name():
    found = find_model("kolors-mini")
    assert found is None or found.parent == BUNDLED


def test_nothing_here_imports_torch(folder):
    code = (
        "import sys, pathlib, renderer.kolors, renderer.kolors.card as card, renderer.kolors.lora.file\n"
        "import renderer.kolors.download\n"
        "from renderer.kolors.text import count_pieces, cut_at\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "assert count_pieces(folder, 'a red cat') > 0 and cut_at(folder, 'a', 32) is None\n"
        "card.require_model('./tiny', folder.parent); card.edition_of(folder)\n"
        "renderer.kolors.lora.file.unet_shapes(folder)\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'diffsynth', 'modelscope'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""LoRA files are found, told apart, and refused with words, without torch."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from renderer.errors import LoraError
from renderer.kolors.lora.file import find_lora, inspect_lora, lora_sha256

GOOD = {
    "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight": torch.zeros(4, 8),
    "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight": torch.zeros(16, 4),
}


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    save_file(GOOD, folder / "x.safetensors")
    torch.save(GOOD, folder / "x.ckpt")
    return {"safetensors": folder / "x.safetensors", "ckpt": folder / "x.ckpt"}


def test_a_name_finds_its_file_in_the_first_folder_that_has_it(tmp_path):
    for folder, file in (
        ("a", "glow.ckpt"),
        ("b", "glow.safetensors"),
        ("b", "pencil.v2.safetensors"),
        ("b", "notes.txt"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / file).write_bytes(b"x")
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "none"]
    assert find_lora("glow", folders) == tmp_path / "a" / "glow.ckpt"
    assert find_lora("glow.safetensors", folders) == tmp_path / "b" / "glow.safetensors"
    assert find_lora("pencil.v2", folders) == tmp_path / "b" / "pencil.v2.safetensors"
    assert find_lora("notes.txt", folders) is None
    assert find_lora("other", folders) is None


def test_the_hash_is_of_the_content(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"abc")
    assert lora_sha256(tmp_path / "x.safetensors").startswith("ba7816bf")
    with pytest.raises(LoraError, match="can't be read"):
        lora_sha256(tmp_path / "none.safetensors")


def test_header_holds_layers_and_metadata(tmp_path):
    save_file(GOOD, tmp_path / "x.safetensors", {"title": "pencil"})
    header = inspect_lora(tmp_path / "x.safetensors")
    assert (header.format, header.ranks, header.metadata) == ("peft", (4,), {"title": "pencil"})
    (layer,) = header.layers.values()
    assert (layer.down, layer.up) == ((4, 8), (16, 4))


@pytest.mark.parametrize("ending", [".ckpt", ".pt", ".bin"])
def test_pickles_are_read_by_their_shapes(tmp_path, ending):
    parameters = {name: torch.nn.Parameter(it.half()) for name, it in GOOD.items()}
    torch.save(parameters, tmp_path / f"x{ending}")
    (layer,) = inspect_lora(tmp_path / f"x{ending}").layers.values()
    assert (layer.down, layer.up) == ((4, 8), (16, 4))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("call", [os.system, eval, torch.hub.load])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, protocol, call):
    class Evil:
        def __reduce__(self):
            return call, (f"touch {tmp_path / 'ran'}",)

    torch.save({**GOOD, "x": Evil()}, tmp_path / "x.ckpt", pickle_protocol=protocol)
    with pytest.raises(LoraError, match="refused: a file that would run code"):
        inspect_lora(tmp_path / "x.ckpt")
    assert not (tmp_path / "ran").exists()


def test_a_bare_pickle_that_would_run_code_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "x.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(LoraError, match="before 2020"):
        inspect_lora(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_cut_files_are_damaged(tmp_path, keep):
    save_file(GOOD, tmp_path / "x.safetensors")
    content = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(content[:keep])
    with pytest.raises(LoraError, match="damaged"):
        inspect_lora(tmp_path / "x.safetensors")
    torch.save(GOOD, tmp_path / "x.ckpt")
    content = (tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(content[: keep if keep > 0 else len(content) // 2])
    with pytest.raises(LoraError, match=r"cut short|damaged"):
        inspect_lora(tmp_path / "x.ckpt")


def harm(content, data):
    harmed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        harmed[data.draw(st.integers(0, len(harmed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(harmed)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_a_safetensors_file_holds_it_is_a_lora_or_an_error_with_words(whole_files, data):
    harmed = whole_files["safetensors"].with_name("harmed.safetensors")
    harmed.write_bytes(harm(whole_files["safetensors"].read_bytes(), data))
    with suppress(LoraError):
        inspect_lora(harmed)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_a_pickle_holds_it_is_a_lora_or_an_error_with_words(whole_files, data):
    harmed = whole_files["ckpt"].with_name("harmed.ckpt")
    with zipfile.ZipFile(whole_files["ckpt"]) as whole, zipfile.ZipFile(harmed, "w") as archive:
        archive.writestr("x/data.pkl", harm(whole.read("x/data.pkl"), data))
    with suppress(LoraError):
        inspect_lora(harmed)


def test_a_huge_header_is_not_read(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(LoraError, match="damaged"):
        inspect_lora(tmp_path / "x.safetensors")


def test_a_deeply_nested_header_is_damage(tmp_path):
    header = b"[" * 100_000
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(LoraError, match="damaged"):
        inspect_lora(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["model.diffusion_model.input_blocks.0.0.weight", "conv.weight"], "not a LoRA: it holds 2 plain tensors"),
        (["lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"], "CLIP text encoder"),
        (["text_encoder.layers.0.q_proj.lora_A.weight"], "CLIP text encoder"),
        (["lora_transformer_double_blocks_0_img_attn_qkv.lora_down.weight"], "diffusion transformer"),
        (["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"], "diffusion transformer"),
        (["lora_unet_mid_block_attentions_0_proj_in.hada_w1_a"], "LyCORIS"),
        (["lora_unet_mid_block_attentions_0_proj_in.dora_scale"], "DoRA"),
    ],
)
def test_what_is_no_lora_for_kolors_is_told_what_it_is(tmp_path, names, words):
    save_file({name: torch.zeros(4, 4) for name in names}, tmp_path / "x.safetensors")
    with pytest.raises(LoraError, match=words):
        inspect_lora(tmp_path / "x.safetensors")


def test_half_a_pair_and_pairs_that_do_not_match_are_damaged(tmp_path):
    first, second = GOOD
    save_file({first: GOOD[first]}, tmp_path / "x.safetensors")
    with pytest.raises(LoraError, match="only one half"):
        inspect_lora(tmp_path / "x.safetensors")
    save_file({first: GOOD[first], second: torch.zeros(16, 5)}, tmp_path / "x.safetensors")
    with pytest.raises(LoraError, match="don't belong together"):
        inspect_lora(tmp_path / "x.safetensors")


def test_an_empty_file_of_weights_is_no_lora(tmp_path):
    header = json.dumps({}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(LoraError, match="no LoRA weights"):
        inspect_lora(tmp_path / "x.safetensors")


def test_a_training_checkpoint_is_no_lora(tmp_path):
    torch.save({"state_dict": GOOD, "epoch": 3}, tmp_path / "x.ckpt")
    with pytest.raises(LoraError, match="more than tensors"):
        inspect_lora(tmp_path / "x.ckpt")


def test_an_alpha_is_one_number(tmp_path):
    first, second = GOOD
    name = first.replace("lora_A.weight", "alpha")
    for size, is_good in (((), True), ((1,), True), ((4,), False)):
        save_file({first: GOOD[first], second: GOOD[second], name: torch.ones(size)}, tmp_path / "x.safetensors")
        if is_good:
            assert inspect_lora(tmp_path / "x.safetensors").ranks == (4,)
        else:
            with pytest.raises(LoraError, match=r"alpha of .* is not one number"):
                inspect_lora(tmp_path / "x.safetensors")

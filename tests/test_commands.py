"""The commands for models and LoRA files."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from renderer.kolors.card import BUNDLED
from renderer.kolors.lora.file import unet_shapes
from tests.stories import MINI
from tests.test_cli import run
from tests.trained import save_embedding, save_hypernetwork

__all__ = ["run"]

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


def lora(path, width=0, rank=4):
    width = width or unet_shapes(BUNDLED / "kolors-mini")[LAYER][0]
    tensors = {
        f"unet.{LAYER}.lora_{side}.weight": torch.ones(shape)
        for side, shape in (("A", (rank, width)), ("B", (width, rank)))
    }
    save_file(tensors, path)
    return path


def test_the_bundled_model_is_listed(run):
    code, out, _ = run("models", "list")
    assert code == 0
    assert f"kolors-mini: {MINI.edition}, " in out


def test_a_folder_is_pulled_verified_and_then_found(run, tmp_path, monkeypatch):
    monkeypatch.setenv("STORYBOARD_MODELS", str(tmp_path / "models"))
    source = shutil.copytree(BUNDLED / "kolors-mini", tmp_path / "carried")
    (source / "model.json").unlink()
    code, out, err = run("models", "pull", "kolors", "--from", source, "--into", tmp_path / "models")
    assert code == 0, err
    assert "kolors@" in out
    assert run("models", "verify", "kolors")[0] == 0
    damaged = tmp_path / "models/kolors/unet/diffusion_pytorch_model.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 255
    damaged.write_bytes(content)
    code, _, err = run("models", "verify", "kolors")
    assert code == 2
    assert "unet/diffusion_pytorch_model.safetensors" in err


@pytest.mark.parametrize("source", ["/no/such/folder", "/nonexist", "./a", "../a", "~/models", "C:\\models"])
def test_a_source_written_as_a_path_that_is_not_there_is_no_folder(run, source):
    code, _, err = run("models", "pull", "kolors", "--from", source)
    assert code == 2
    assert f"--from {source}: there is no such folder." in err


def test_a_source_that_is_nothing_is_bad_input(run):
    code, _, err = run("models", "pull", "kolors", "--from", "carried")
    assert code == 2
    assert "--from carried: neither a folder nor a model's name" in err


@pytest.mark.parametrize(
    ("save", "kind"), [(save_embedding, "an embedding"), (save_hypernetwork, "a hypernetwork")], ids=["word", "network"]
)
def test_only_loras_are_converted(run, tmp_path, save, kind):
    file = save(tmp_path)
    code, _, err = run("loras", "convert", file, "--to", "kohya")
    assert code == 2
    assert f"{file}: only LoRAs are converted; this is {kind}." in err


def test_missing_weights_name_the_command(run, tmp_path):
    (tmp_path / "tale.yaml").write_text("model: kolors\nscenes: [{prompt: x}]\n")
    code, _, err = run("render", "tale.yaml")
    assert code == 2
    assert "storyboard models pull kolors" in err
    assert not (tmp_path / "renders").exists()
    code, _, err = run("plan", "tale.yaml")
    assert code == 0
    assert "storyboard models pull kolors" in err


def test_lora_files_are_listed_and_inspected(run, tmp_path):
    (tmp_path / "lora_weights").mkdir()
    lora(tmp_path / "lora_weights" / "glow.safetensors")
    code, out, _ = run("loras", "list")
    assert code == 0
    assert "glow: peft, rank 4" in out
    code, out, _ = run("loras", "inspect", "glow", "--model", "kolors-mini")
    assert code == 0
    assert "It fits kolors-mini." in out
    code, _, err = run("loras", "inspect", "glou")
    assert code == 2
    assert 'Did you mean "glow"?' in err


def test_what_a_stranger_wrote_into_a_header_stays_in_its_line(run, tmp_path):
    path = tmp_path / "glow.safetensors"
    lora(path)
    save_file(load_file(path), path, {"recipe": "\x1b]0;owned\x07", "title": "铅笔\nsha256        0000"})
    _, out, _ = run("loras", "inspect", path)
    assert "\nrecipe        \\x1b]0;owned\\x07\n" in out
    assert "\ntitle: 铅笔\\nsha256        0000\n" in out
    assert "\x1b" not in out + run("loras", "list", "--loras", tmp_path)[1]


@pytest.mark.parametrize("kind", ["foreign", "corrupt", "misfit"])
def test_a_lora_that_cannot_be_used_is_bad_input_at_its_place(run, tmp_path, kind):
    path = tmp_path / "bad.safetensors"
    if kind == "foreign":
        save_file({"model.layers.0.weight": torch.ones(2, 2)}, path)
    elif kind == "corrupt":
        path.write_bytes(b"\xff" * 100)
    else:
        lora(path, width=77)
    (tmp_path / "tale.yaml").write_text("loras:\n  - bad\nscenes: [{prompt: x}]\n")
    for command in ("check", "render"):
        code, _, err = run(command, "tale.yaml")
        assert code == 2
        assert "tale.yaml:2:5: loras[0]" in err
        assert "bad.safetensors" in err
    assert not (tmp_path / "renders").exists()


def test_doctor_says_what_is_missing(run):
    code, out, _ = run("doctor")
    assert code == 0
    assert f"kolors-mini: {MINI.edition}" in out
    assert "kolors: not on this machine" in out


def test_schema_goes_to_a_file(run, tmp_path):
    code, _, _ = run("schema", "s.json")
    assert code == 0
    assert json.loads((tmp_path / "s.json").read_text())["type"] == "object"

"""Trained files of all three kinds are told apart, described and listed, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from renderer.errors import EmbeddingError, HypernetworkError, LoraError
from renderer.kolors.card import BUNDLED
from renderer.kolors.files.trained_file import read_trained_file
from tests.test_cli import run

__all__ = ["run"]

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"

ROOT = Path(__file__).parent.parent


@pytest.fixture
def files(tmp_path):
    """One of each kind, for a model of widths that no model here has."""
    (tmp_path / "lora_weights").mkdir()
    half = {f"unet.{LAYER}.lora_A.weight": torch.ones(2, 7), f"unet.{LAYER}.lora_B.weight": torch.ones(7, 2)}
    networks = {
        f"7.{which}.linear.{number}.{part}": torch.ones((7, 7) if part == "weight" else (7,))
        for which in "kv"
        for number in (0, 2)
        for part in ("weight", "bias")
    }
    contents = {
        "pencil": (half | {f"unet.{LAYER}.lora_magnitude_vector": torch.ones(7)}, {"ss_steps": "300"}),
        "mei-face": ({"emb_params": torch.ones(4, 7)}, {"base_model": "tiny@1", "step": "40"}),
        "glow": (networks, {"activation": "relu", "recipe": "glow.yaml"}),
    }
    for name, (tensors, metadata) in contents.items():
        save_file(tensors, tmp_path / f"lora_weights/{name}.safetensors", metadata)
    return tmp_path / "lora_weights"


def test_each_kind_is_described_in_its_own_words(files):
    found = {name: read_trained_file(files / f"{name}.safetensors") for name in ("pencil", "mei-face", "glow")}
    assert {name: (it.kind, it.content.form) for name, it in found.items()} == {
        "pencil": ("LoRA", "peft, rank 2, DoRA, 1 layer"),
        "mei-face": ("embedding", "embedding, 4 vectors of 7"),
        "glow": ("hypernetwork", "hypernetwork, relu, for contexts of width 7"),
    }
    for name, error in (("pencil", LoraError), ("mei-face", EmbeddingError), ("glow", HypernetworkError)):
        with pytest.raises(error, match="made for another"):
            found[name].content.check(BUNDLED / "kolors-mini")


def test_all_are_listed_with_where_they_are_from(run, files):
    code, out, err = run("loras", "list")
    assert code == 0, err
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines["pencil"].startswith("peft, rank 2, DoRA, 1 layer, step 300, sha256 ")
    assert lines["mei-face"].startswith("embedding, 4 vectors of 7, step 40, base model tiny@1, sha256 ")
    assert lines["glow"].startswith("hypernetwork, relu, for contexts of width 7, recipe glow.yaml, sha256 ")


def test_what_can_not_be_told_is_an_error_and_the_others_are_listed(run, files):
    (files / "notes.safetensors").write_bytes(b"scribble")
    code, out, err = run("loras", "list")
    assert code == 0
    assert "notes.safetensors: damaged" in err
    assert len([line for line in out.splitlines() if str(ROOT) not in line]) == 3
    assert run("loras", "inspect", "notes")[0] == 2
    code, _, err = run("loras", "convert", "glow", "--to", "kohya")
    assert code == 2 and "hypernetwork" in err


def test_reading_them_needs_no_torch(files):
    script = (
        "import sys; from pathlib import Path; from renderer.kolors.files.trained_file import read_trained_file\n"
        f"[read_trained_file(file) for file in Path({str(files)!r}).iterdir()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0

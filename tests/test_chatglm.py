"""ChatGLM3 as our own code reads with it: diffusers' numbers, one layer in memory at a time, no heavy imports."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import weakref

import pytest
import torch
from diffusers.pipelines.kolors.text_encoder import ChatGLMModel
from safetensors.torch import load_file, save_file

from renderer.errors import ModelError
from renderer.kolors import chatglm, encoder
from renderer.kolors.chatglm import ChatGLM, Layer
from renderer.kolors.encoder import TextEncoder, encode_texts
from renderer.kolors.text import tokenize
from tests.tiny_kolors import LENGTH

CPU = torch.device("cpu")
TEXTS = ("", "a red cat sits on the sofa", "夜晚 森林 下雨", "a red cat " * LENGTH)
"""Padding alone, some, some, none."""


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float64, 1e-6), (torch.float32, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)]
)
def test_states_are_those_of_diffusers(folder, dtype, within):
    """fp64 too: both turn by angles of fp32, hence not closer."""
    theirs = ChatGLMModel.from_pretrained(folder / "text_encoder").to(dtype).eval()
    ours = encode_texts(folder, TEXTS, LENGTH, CPU, dtype)
    for text in TEXTS:
        ids, mask, positions = torch.tensor(tokenize(folder, text, LENGTH)[:3]).unsqueeze(1)
        with torch.no_grad():
            layers = theirs(ids, positions, mask, output_hidden_states=True, return_dict=True).hidden_states
        assert ours[text].states.dtype == dtype
        assert torch.allclose(ours[text].states, layers[-2][:, 0], rtol=within, atol=within)
        assert torch.allclose(ours[text].pooled, layers[-1][-1, 0], rtol=within, atol=within)


def test_one_layer_at_a_time_is_in_memory(folder, monkeypatch):
    alive, most = weakref.WeakSet(), []

    class Counted(Layer):
        def __init__(self, config):
            super().__init__(config)
            gc.collect()
            alive.add(self)
            most.append(len(alive))

    monkeypatch.setattr(chatglm, "Layer", Counted)
    encode_texts(folder, TEXTS, LENGTH, CPU, torch.float32)
    assert len(most) == ChatGLM(folder, CPU, torch.float32).count
    assert max(most) == 1


def test_many_texts_read_as_each_alone(folder, monkeypatch):
    monkeypatch.setattr(encoder, "AT_ONCE", 3)
    texts = [f"a red cat {number}" for number in range(7)]
    heard = []
    prompts = [encoder.Prompt(text) for text in texts]
    found = encoder.encode_prompts(folder, prompts, LENGTH, CPU, torch.float32, lambda *it: heard.append(it))
    whole = TextEncoder(folder, LENGTH, CPU, torch.float32)
    for prompt in prompts:
        with torch.no_grad():
            alone = whole.encode(prompt.text)
        assert torch.equal(found[prompt].states, alone.states) and torch.equal(found[prompt].pooled, alone.pooled)
    assert heard[0] == (0, 7) and heard[-1] == (7, 7) and heard == sorted(heard)


def test_reading_imports_no_library_of_models(folder):
    """transformers and torch's compiler took two thirds of the time to the first picture."""
    code = (
        "import sys, torch; from pathlib import Path; from renderer.kolors.encoder import encode_texts\n"
        f"encode_texts(Path({str(folder)!r}), ['a cat'], {LENGTH}, torch.device('cpu'), torch.float32)\n"
        "print(sorted({'transformers', 'diffusers', 'diffsynth', 'scipy', 'torch._dynamo'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def rewrite(folder, change):
    file = folder / "text_encoder" / "model.safetensors"
    state = load_file(file)
    change(state)
    save_file(state, file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("encoder.layers.2.mlp.dense_4h_to_h.weight"), "misses encoder.layers.2.mlp.dense_4h"),
        (lambda state: state.pop("embedding.word_embeddings.weight"), "misses embedding.word_embeddings.weight"),
        (lambda state: state.update({"encoder.more": torch.ones(1)}), "unknown to Kolors, encoder.more"),
        (lambda state: state.update({"encoder.layers.1.more": torch.ones(1)}), "unknown to Kolors,.*layers.1.more"),
        (
            lambda state: state.update({"encoder.layers.0.input_layernorm.weight": torch.ones(5)}),
            "in another shape encoder.layers.0.input_layernorm.weight",
        ),
    ],
)
def test_damaged_weights_are_told(copy, change, words):
    rewrite(copy, change)
    with pytest.raises(ModelError, match=words):
        encode_texts(copy, TEXTS[:1], LENGTH, CPU, torch.float32)


def test_another_kind_of_text_encoder_is_told(copy):
    file = copy / "text_encoder" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rmsnorm": False}))
    with pytest.raises(ModelError, match="rmsnorm is False, ChatGLM3's True"):
        encode_texts(copy, TEXTS[:1], LENGTH, CPU, torch.float32)

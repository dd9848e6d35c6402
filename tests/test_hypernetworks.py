"""Hypernetworks: their files, what they add in attention, training them, and the pictures."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import layer_norm

from renderer.errors import HypernetworkError
from renderer.files import file_sha256
from renderer.kolors.attention import Attention, change_contexts
from renderer.kolors.card import BUNDLED, read_card
from renderer.kolors.embeddings import embedding_width, write_embedding
from renderer.kolors.hypernetwork_layers import (
    Hypernetwork,
    HypernetworkStack,
    layer_sizes,
    read_hypernetwork,
    write_hypernetwork,
)
from renderer.kolors.hypernetworks import (
    Design,
    check_hypernetwork,
    check_hypernetwork_fit,
    context_widths,
    inspect_hypernetwork,
)
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.weights import load_denoiser
from renderer.take import Failed, Painted, Take, TakeEmbedding, TakeHypernetwork
from tests.loras import random_lora, save_peft
from tests.loras import use as use_lora
from tests.test_embeddings import harmed_files
from tests.test_kolors_painter import paint, pixels, take

CPU, FP32 = torch.device("cpu"), torch.float32
FACTS = {"name": "glow", "base_model": "tiny@1", "recipe": "glow.yaml", "step": "200"}
DESIGNS = (
    Design(),
    Design("linear"),
    Design("leakyrelu", layer_norm=True),
    Design("swish", dropout=0.3),
    Design("elu", layer_norm=True, dropout=0.5, activate_output=True),
)
ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: x.clamp_min(0),
    "leakyrelu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "swish": lambda x: x * (x + 3).clamp(0, 6) / 6,
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "mish": lambda x: x * (1 + x.exp()).log().tanh(),
}
"""As their papers (and torch's Hardswish) write them."""


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_hypernetwork(folder / "x.safetensors", hypernetwork((4, 6)), FACTS)
    save_a1111(folder / "x.pt", hypernetwork((4, 6)))
    return {"safetensors": folder / "x.safetensors", "pt": folder / "x.pt"}


def hypernetwork(widths, seed=0, structure=(1, 2, 1), design=DESIGNS[0], std=0.2):
    """One that changes much, everywhere."""
    made = Hypernetwork(layer_sizes(widths, structure), design)
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=std, generator=generator)
    return made.eval()


def save_a1111(path, made, **options):
    """As A1111's Hypernetwork.save writes it."""
    state = made.state_dict()
    halves = {
        width: tuple(
            {name[len(f"{width}.{half}.") :]: it for name, it in state.items() if name.startswith(f"{width}.{half}.")}
            for half in "kv"
        )
        for width in made.sizes
    }
    facts = {
        "step": 200,
        "name": "glow",
        "layer_structure": [1, 2, 1],
        "activation_func": made.design.activation,
        "is_layer_norm": made.design.layer_norm,
        "weight_initialization": "Normal",
        "sd_checkpoint": None,
        "sd_checkpoint_name": "kolors",
        "activate_output": made.design.activate_output,
        "use_dropout": made.design.dropout > 0,
        "dropout_structure": [0, made.design.dropout, 0],
        "last_layer_dropout": False,
        "optional_info": None,
    }
    torch.save({it: value for it, value in {**halves, **facts, **options}.items() if value != "absent"}, path)
    return path


def use(path, strength=1.0):
    return TakeHypernetwork(path.stem, file_sha256(path), strength, path=path)


def written(folder, made, name="glow", strength=1.0):
    path = folder / f"{name}.safetensors"
    write_hypernetwork(path, made, FACTS)
    return use(path, strength)


def computed(state, design, start, context):
    """What a network adds, from its tensors and A1111's description alone."""
    tensors = {name.removeprefix(start): it for name, it in state.items() if name.startswith(start)}
    numbers = sorted({int(name.split(".")[0]) for name in tensors})
    linears = [number for number in numbers if tensors[f"{number}.weight"].ndim == 2]
    for number in numbers:
        weight, bias = tensors[f"{number}.weight"], tensors[f"{number}.bias"]
        if weight.ndim == 1:
            context = layer_norm(context, weight.shape, weight, bias)
            continue
        context = context @ weight.T + bias
        if number != linears[-1] or design.activate_output:
            context = ACTIVATIONS[design.activation](context)
    return context


def test_a_written_hypernetwork_is_read_again(tmp_path):
    for design in DESIGNS:
        made = hypernetwork((4, 6), design=design, structure=(1, 2, 1.5, 1))
        sha256 = write_hypernetwork(tmp_path / "x.safetensors", made, FACTS)
        header = inspect_hypernetwork(tmp_path / "x.safetensors")
        assert (header.sizes, header.design) == ({4: (4, 8, 6, 4), 6: (6, 12, 9, 6)}, design)
        assert header.metadata.items() >= FACTS.items()
        assert header.metadata["structure"] == "[1, 2, 1.5, 1]"
        read = read_hypernetwork(tmp_path / "x.safetensors")
        assert read.design == design and not read.training
        assert same(read.state_dict(), made.state_dict())
        assert sha256 == file_sha256(tmp_path / "x.safetensors")


def same(one, other):
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_the_files_tensors_are_named_by_width_half_and_step(tmp_path):
    made = hypernetwork((640,), design=Design("relu", layer_norm=True, dropout=0.1))
    write_hypernetwork(tmp_path / "x.safetensors", made, {})
    assert {name: tuple(it.shape) for name, it in load_file(tmp_path / "x.safetensors").items()} == {
        f"640.{half}.linear.{number}.{part}": shape[: 2 if part == "weight" else 1]
        for half in "kv"
        for number, shape in ((0, (1280, 640)), (2, (1280,)), (4, (640, 1280)), (5, (640,)))
        for part in ("weight", "bias")
    }


def test_the_same_hypernetwork_is_the_same_bytes(tmp_path):
    facts = {f"fact {number}": "x" for number in range(20)}
    assert len({write_hypernetwork(tmp_path / "x.safetensors", hypernetwork((4,)), facts) for _ in range(4)}) == 1


@pytest.mark.parametrize("design", DESIGNS)
def test_a1111s_pickles_are_read(tmp_path, design):
    made = hypernetwork((4, 6), design=design)
    header = inspect_hypernetwork(save_a1111(tmp_path / "x.pt", made))
    assert header.sizes == {4: (4, 8, 4), 6: (6, 12, 6)}
    assert header.metadata["sd_checkpoint_name"] == "kolors"
    keys, values = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(2))
    for ours, theirs in zip(read_hypernetwork(tmp_path / "x.pt")(keys, values), made(keys, values), strict=True):
        assert torch.equal(ours, theirs)


def test_what_old_a1111_files_leave_out_means_what_it_meant(tmp_path):
    made = hypernetwork((4,))
    old = save_a1111(tmp_path / "old.pt", made, activate_output="absent")
    assert inspect_hypernetwork(old).design == Design("relu", activate_output=True)
    bare = save_a1111(tmp_path / "bare.pt", made, activation_func=None, activate_output="absent")
    assert inspect_hypernetwork(bare).design.activation == "linear"
    halves = tuple(
        {name.replace("linear.0.", "linear1.").replace("linear.2.", "linear2."): it for name, it in half.items()}
        for half in torch.load(old)[4]
    )
    torch.save({4: halves}, tmp_path / "oldest.pt")
    read = read_hypernetwork(tmp_path / "oldest.pt")
    assert read.design.activation == "linear"
    context = torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(1))
    expected = computed(made.state_dict(), Design("linear"), "4.k.linear.", context)
    assert torch.allclose(read(context, context)[0], context + expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"640.k.linear.0.weight": None}, r"640\.k\.linear\.0 doesn't fit"),
        ({"640.k.linear.2.bias": torch.zeros(639)}, r"640\.k\.linear\.2 doesn't fit"),
        ({"640.k.linear.0.weight": torch.zeros(1280, 641)}, r"640\.k\.linear\.0 doesn't fit"),
        ({"640.k.linear.3.weight": torch.zeros(9, 640), "640.k.linear.3.bias": torch.zeros(9)}, "not the last layer"),
        ({"640.k.linear.3.weight": torch.zeros(640), "640.k.linear.3.bias": torch.zeros(640)}, "not the last layer"),
        ({f"640.v.linear.{n}.{part}": None for n in (0, 2) for part in ("weight", "bias")}, "don't belong together"),
        ({"320.k.linear.0.weight": torch.zeros(320, 320), "320.k.linear.0.bias": torch.zeros(320)}, "don't belong"),
        ({"x": torch.zeros(2)}, "it holds a tensor x"),
    ],
)
def test_a_file_that_is_not_whole_is_told_where(tmp_path, change, words):
    tensors = {**hypernetwork((640,)).state_dict(), **change}
    tensors = {name: it for name, it in sorted(tensors.items(), reverse=True) if it is not None}
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(HypernetworkError, match=words):
        inspect_hypernetwork(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"unet.x.to_q.lora_A.weight": torch.zeros(2, 2)},
            "not for `hypernetworks:` but for `loras:`, as it is a LoRA",
        ),
        ({"string_to_param": {"*": torch.zeros(2, 2)}}, "for `embeddings:`, as it is an embedding"),
        ({"<mei>": torch.zeros(2, 2)}, "for `embeddings:`, as it is an embedding"),
        ({"step": 3}, "no networks"),
        ({640: "none"}, "no networks"),
        ({640: ()}, "no networks"),
        ({640: ({}, {}, {})}, "no networks"),
        ({640: {"linear.0.weight": torch.zeros(2, 2)}}, "no networks"),
        ([torch.zeros(2)], "no tensors by name"),
    ],
)
def test_pickles_that_hold_something_else_are_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(HypernetworkError, match=words):
        inspect_hypernetwork(tmp_path / "x.pt")


def test_an_unknown_activation_is_told_with_the_known_ones(tmp_path):
    save_a1111(tmp_path / "x.pt", hypernetwork((4,)), activation_func="softsign")
    with pytest.raises(HypernetworkError, match=r'activation "softsign" is not known here. Known: linear, relu.*mish'):
        inspect_hypernetwork(tmp_path / "x.pt")


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    save_a1111(tmp_path / "x.pt", hypernetwork((4,)), name=Evil())
    for read in (inspect_hypernetwork, read_hypernetwork):
        with pytest.raises(HypernetworkError, match="refused: a file that would run code"):
            read(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


def test_numbers_that_are_not_finite_are_damage(tmp_path):
    made = hypernetwork((4,))
    made.state_dict()["4.v.linear.2.bias"][1] = float("inf")
    write_hypernetwork(tmp_path / "x.safetensors", made, {})
    with pytest.raises(HypernetworkError, match=r"4\.v\.linear\.2\.bias holds numbers that are not finite"):
        read_hypernetwork(tmp_path / "x.safetensors")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_a_file_holds_it_is_a_hypernetwork_or_an_error_with_words(whole_files, data):
    for harmed in harmed_files(whole_files, data):
        with suppress(HypernetworkError):
            read_hypernetwork(harmed)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("options", [{}, {"layer_norm": True}, {"activate_output": True}])
def test_what_is_added_is_what_the_description_says(activation, options):
    design = Design(activation, dropout=0.4, **options)
    made = hypernetwork((8,), structure=(1, 3, 2, 1), design=design)
    keys, values = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(2))
    found_keys, found_values = made(keys, values, 0.7)
    for half, context, found in (("k", keys, found_keys), ("v", values, found_values)):
        expected = context + 0.7 * computed(made.state_dict(), design, f"8.{half}.linear.", context)
        assert torch.allclose(found, expected, atol=1e-5)
        assert not torch.allclose(found, context, atol=1e-2)


def attention(width=2, context_width=2):
    """One head, whose four layers hold small whole numbers."""
    layers = {
        name: nn.Linear(context_width if name in ("to_k", "to_v") else width, width)
        for name in ("to_q", "to_k", "to_v", "to_out")
    }
    for number, layer in enumerate(layers.values()):
        layer.weight.data = (torch.arange(layer.weight.numel()).view_as(layer.weight) % 3 - 1.0) + number
        layer.bias.data = torch.zeros_like(layer.bias)
    return Attention(1, False, layers["to_q"], layers["to_k"], layers["to_v"], nn.ModuleList([layers["to_out"]]))


def by_hand(attention, picture, for_keys, for_values):
    query, key, value = (
        picture @ attention.to_q.weight.T,
        for_keys @ attention.to_k.weight.T,
        for_values @ attention.to_v.weight.T,
    )
    weights = (query @ key.T / query.shape[-1] ** 0.5).softmax(-1)
    return weights @ value @ attention.to_out[0].weight.T


def test_an_attention_with_hypernetworks_computes_what_a_hand_does():
    """Self-attention over two tokens: keys see x + s·relu(x·A)·B, values x + s·(2x); then a second hypernetwork."""
    picture = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    first = Hypernetwork({2: (2, 3, 2)}, Design("relu"))
    first.load_state_dict(
        {
            "2.k.linear.0.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
            "2.k.linear.0.bias": torch.tensor([0.0, 0.0, -1.0]),
            "2.k.linear.2.weight": torch.tensor([[0.1, 0.2, 0.3], [-0.1, 0.0, 0.1]]),
            "2.k.linear.2.bias": torch.tensor([0.0, 0.5]),
            "2.v.linear.0.weight": torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]),
            "2.v.linear.0.bias": torch.zeros(3),
            "2.v.linear.2.weight": torch.tensor([[2.0, -2.0, 0.0], [0.0, 0.0, 0.0]]),
            "2.v.linear.2.bias": torch.zeros(2),
        }
    )
    # relu of (1, -2, -2) and (0.5, 3, 2.5); times the second layer, plus its bias; half of it is added.
    keys = picture + 0.5 * torch.tensor([[0.1, 0.4], [0.05 + 0.6 + 0.75, -0.05 + 0.25 + 0.5]])
    values = picture + 0.5 * torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    layer = attention()
    plain = layer(picture[None])
    assert torch.allclose(plain[0], by_hand(layer, picture, picture, picture), atol=1e-5)
    change_contexts(layer, [lambda k, v: first(k, v, 0.5)])
    assert torch.allclose(layer(picture[None])[0], by_hand(layer, picture, keys, values), atol=1e-5)
    second = hypernetwork((2,), seed=4)
    change_contexts(layer, [lambda k, v: first(k, v, 0.5), second])
    again = [found[0] for found in second(keys[None], values[None])]
    assert torch.allclose(layer(picture[None])[0], by_hand(layer, picture, *again), atol=1e-5)
    change_contexts(layer, [])
    assert torch.equal(layer(picture[None]), plain)


def test_only_contexts_of_its_widths_are_changed():
    narrow, wide = attention(2, 2), attention(2, 3)
    generator = torch.Generator().manual_seed(1)
    picture, told = torch.randn(1, 4, 2, generator=generator), torch.randn(1, 5, 3, generator=generator)
    plain = narrow(picture), wide(picture, told)
    for layer in (narrow, wide):
        change_contexts(layer, [hypernetwork((3,))])
    assert torch.equal(narrow(picture), plain[0])
    assert not torch.allclose(wide(picture, told), plain[1])


def test_the_unet_keeps_its_own_names_and_parameters(folder):
    unet = load_denoiser(folder, CPU, FP32).unet
    names = list(unet.state_dict())
    change_contexts(unet, [hypernetwork(context_widths(folder))])
    assert list(unet.state_dict()) == names
    assert {name for name, _ in unet.named_parameters()} <= {*names}


def test_the_widths_of_a_models_contexts(folder):
    assert context_widths(folder) == (32, 40, 64)


# Training.


def test_new_hypernetworks_change_nothing_and_draw_no_global_random_numbers():
    before = torch.get_rng_state()
    made = Hypernetwork(layer_sizes((4,), (1, 2, 1)), Design("relu", layer_norm=True))
    context = torch.ones(1, 2, 4)
    assert all(torch.equal(found, context) for found in made(context, context))
    made.initialize("kaiming-normal", torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("init", "std"),
    [
        ("normal", 0.01),
        ("xavier-uniform", (2 / (64 + 128)) ** 0.5),
        ("xavier-normal", (2 / (64 + 128)) ** 0.5),
        ("kaiming-uniform", (2 / 64) ** 0.5),
        ("kaiming-normal", (2 / 64) ** 0.5),
    ],
)
def test_weights_begin_as_spread_as_their_init_says(init, std):
    made = Hypernetwork(layer_sizes((64,), (1, 2, 1)), Design("relu", layer_norm=True))
    made.initialize(init, torch.Generator().manual_seed(1))
    state = made.state_dict()
    assert float(state["64.k.linear.0.weight"].std()) == pytest.approx(std, rel=0.05)
    assert float(state["64.k.linear.2.weight"].std()) == pytest.approx(0.01, rel=0.2)
    assert all(not it.any() for name, it in state.items() if name.endswith("bias"))
    again = Hypernetwork(layer_sizes((64,), (1, 2, 1)), Design("relu", layer_norm=True))
    again.initialize(init, torch.Generator().manual_seed(1))
    assert same(again.state_dict(), state)


def test_it_learns_through_the_seam_and_the_unet_does_not(folder):
    denoiser = load_denoiser(folder, CPU, FP32)
    made = hypernetwork(context_widths(folder), std=0.05).train()
    change_contexts(denoiser.unet, [made])
    generator = torch.Generator().manual_seed(2)
    latents, states, pooled = (
        torch.randn(*shape, generator=generator) for shape in ((1, 4, 4, 4), (1, 7, 40), (1, 48))
    )
    told = {"text_embeds": pooled, "time_ids": torch.tensor([[32.0, 32, 0, 0, 32, 32]])}

    def loss():
        return denoiser.unet(latents, torch.tensor(300), states, added_cond_kwargs=told).square().mean()

    loss().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())
    assert all(parameter.grad is None for parameter in denoiser.unet.parameters())
    slope = sum(float(parameter.grad.square().sum()) for parameter in made.parameters())
    with torch.no_grad():
        moved = []
        for step in (1e-2, -1e-2):
            for parameter in made.parameters():
                parameter += step / slope**0.5 * parameter.grad
            moved.append(float(loss()))
            for parameter in made.parameters():
                parameter -= step / slope**0.5 * parameter.grad
    assert (moved[0] - moved[1]) / 2e-2 == pytest.approx(slope**0.5, rel=0.02)


def test_dropout_drops_hidden_values_while_training_alone():
    made = hypernetwork((64,), design=Design("linear", dropout=0.5)).train()
    context = torch.ones(1, 1, 64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(made(context, context)[0], made(context, context)[0])
        for name, parameter in made.named_parameters():
            parameter.data *= "linear.0" not in name
        assert torch.equal(made(context, context)[0], context + made.state_dict()["64.k.linear.2.bias"])
    made = hypernetwork((64,), design=Design("linear", dropout=0.5))
    assert torch.equal(made(context, context)[0], made(context, context)[0])


# Pictures.


def test_zeros_and_strength_0_paint_the_base_picture_bit_for_bit(painter, folder, tmp_path):
    widths = context_widths(folder)
    zeros = written(tmp_path, Hypernetwork(layer_sizes(widths, (1, 2, 1)), Design()), "zeros")
    glow = written(tmp_path, hypernetwork(widths))
    base = pixels(painter, take(1))
    assert np.array_equal(pixels(painter, take(1, hypernetworks=(zeros,))), base)
    endless = written(tmp_path, hypernetwork(widths, std=1e30), "endless", strength=0.0)
    changed = pixels(painter, take(1, hypernetworks=(glow,)))
    assert not np.array_equal(changed, base)
    assert np.array_equal(pixels(painter, take(1, hypernetworks=(endless,))), base)
    assert np.array_equal(pixels(painter, take(1, hypernetworks=(zeros, glow, endless))), changed)
    assert np.array_equal(pixels(painter, take(1)), base)


def test_more_strength_changes_the_picture_more(painter, folder, tmp_path):
    glow = written(tmp_path, hypernetwork(context_widths(folder), std=0.05))
    base = pixels(painter, take(1)).astype(int)
    changes = []
    for strength in (0.25, 0.5, 1.0):
        painted = pixels(painter, take(1, hypernetworks=(use(glow.path, strength),)))
        changes.append(np.abs(painted - base).mean())
    assert 0 < changes[0] < changes[1] < changes[2]


def test_groups_with_other_hypernetworks_do_not_touch_each_other(folder, tmp_path):
    glow = written(tmp_path, hypernetwork(context_widths(folder)))
    haze = written(tmp_path, hypernetwork(context_widths(folder), seed=1), "haze")
    stacks = ((), (use(glow.path, 0.3),), (glow, haze), (haze, glow))
    takes = [take(1, steps=2, strict=True, hypernetworks=stack) for stack in stacks]
    apart = [pixels(KolorsPainter(folder, device="cpu"), it) for it in takes]
    together = paint(KolorsPainter(folder, device="cpu"), [takes[number] for number in (2, 1, 3, 0)])
    assert all(np.array_equal(together[it.key].pixels, alone) for it, alone in zip(takes, apart, strict=True))
    assert len({alone.tobytes() for alone in apart}) == len(stacks)


def test_one_whose_numbers_are_damaged_fails_its_takes_alone(folder, tmp_path):
    made = hypernetwork(context_widths(folder))
    glow = written(tmp_path, made)
    next(made.parameters()).data.fill_(float("nan"))
    harmed = written(tmp_path, made, "harmed")
    stacks = ((glow,), (harmed,), (glow, harmed), ())
    takes = [take(1, hypernetworks=stack) for stack in stacks]
    painted = paint(KolorsPainter(folder, device="cpu"), takes)
    assert [type(painted[it.key]) for it in takes] == [Painted, Failed, Failed, Painted]
    assert "harmed.safetensors: damaged: " in painted[takes[1].key].reason
    plain = pixels(KolorsPainter(folder, device="cpu"), takes[3])
    assert np.array_equal(painted[takes[3].key].pixels, plain)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_it_works_in_every_precision(painter, folder, tmp_path, precision):
    glow = written(tmp_path, hypernetwork(context_widths(folder)))
    plain = pixels(painter, take(1, precision=precision))
    changed = pixels(painter, take(1, precision=precision, hypernetworks=(glow,)))
    exact = pixels(painter, take(1, hypernetworks=(glow,)))
    assert np.abs(changed.astype(int) - exact).mean() < 0.5 * np.abs(changed.astype(int) - plain).mean()


def test_a_file_that_changed_or_went_or_does_not_fit_stops_before_the_first_picture(painter, folder, tmp_path):
    gone = TakeHypernetwork("glow", "0" * 64, path=tmp_path / "none.safetensors")
    stranger = written(tmp_path, hypernetwork((32, 320)), "stranger")
    changed = written(tmp_path, hypernetwork((32,)), "changed")
    written(tmp_path, hypernetwork((32,), seed=1), "changed")
    check_hypernetwork_fit(inspect_hypernetwork(stranger.path), folder.parent / "no model here")
    for used, words in (
        (gone, 'hypernetwork "glow" is not on this machine'),
        (stranger, "for contexts of width 32, 320, this model's are 32, 40, 64"),
        (changed, "changed since the takes were planned"),
    ):
        with pytest.raises(HypernetworkError, match=words):
            check_hypernetwork(used, folder)
        painting = painter.paint([take(0), take(1, hypernetworks=(used,))], lambda report: None)
        with pytest.raises(HypernetworkError, match=words):
            next(painting)


def test_networks_are_held_in_the_unets_type(folder, tmp_path):
    unet = load_denoiser(folder, CPU, torch.float16).unet
    HypernetworkStack(unet, folder).use((written(tmp_path, hypernetwork((32,))),))
    (change,) = next(it for it in unet.modules() if isinstance(it, Attention)).changes
    assert {parameter.dtype for parameter in change.func.parameters()} == {torch.float16}


def test_a_stack_that_cannot_be_read_leaves_the_one_before(folder, tmp_path):
    unet = load_denoiser(folder, CPU, FP32).unet
    stack = HypernetworkStack(unet, folder)
    stack.use((written(tmp_path, hypernetwork((32,))),))
    before = next(it for it in unet.modules() if isinstance(it, Attention)).changes
    with pytest.raises(HypernetworkError):
        stack.use((TakeHypernetwork("gone", "0" * 64),))
    assert next(it for it in unet.modules() if isinstance(it, Attention)).changes == before and len(before) == 1


def test_lora_embedding_hypernetwork_and_negative_work_together_on_the_miniature(tmp_path):
    folder = BUNDLED / "kolors-mini"
    card, shapes = read_card(folder), unet_shapes(folder)
    pairs = random_lora(shapes)
    lora = use_lora(save_peft(tmp_path / "pencil.safetensors", pairs, shapes), strength=0.5)
    vectors = torch.randn(2, embedding_width(folder), generator=torch.Generator().manual_seed(1))
    sha256 = write_embedding(tmp_path / "mei.safetensors", vectors, {})
    mei = TakeEmbedding("mei", sha256, path=tmp_path / "mei.safetensors")
    glow = written(tmp_path, hypernetwork(context_widths(folder), std=0.05))
    effects = {"loras": (lora,), "embeddings": (mei,), "hypernetworks": (glow,), "negative": "模糊，夜晚"}

    def of(**chosen):
        size = {"width": card.min_size, "height": card.min_size, "steps": 2, "guidance": card.guidance}
        negative = chosen.pop("negative", "")
        return Take("sofa", 7, "<mei>，坐在沙发上", negative, **size, sampler="ddim", model=card.edition, **chosen)

    takes = [of(**effects), *(of(**{name: it for name, it in effects.items() if name != left}) for left in effects)]
    painter = KolorsPainter(folder, device="cpu")
    first, second = ([paint(painter, takes)[it.key].pixels for it in takes] for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert len({one.tobytes() for one in first}) == len(takes)

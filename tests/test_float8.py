"""Layers in 8 bits: their numbers, their memory, and that LoRAs and hypernetworks find them as they find others."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import linear

from renderer.benching.parts import FULL_SIZE
from renderer.errors import ModelError
from renderer.kolors.attention import Attention, change_contexts, fuse_projections
from renderer.kolors.device import DTYPES, vae_dtype
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.quick.float8 import (
    FLOAT8,
    Float8Linear,
    float8_linear,
    multiplies_float8,
    round_rows,
    use_float8,
)
from renderer.kolors.samplers import make_stepper
from renderer.kolors.sampling import Conditions, denoise
from renderer.kolors.weights import build_unet, load_denoiser
from tests.loras import random_lora, save_peft, use
from tests.test_kolors_painter import paint, pixels, take

CPU, BF16 = torch.device("cpu"), torch.bfloat16


@pytest.fixture
def denoiser(folder):
    return load_denoiser(folder, CPU, BF16, float8=True)


def rows(count=5, width=48, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)).to(BF16)


def painted(denoiser, steps=3):
    chance = torch.Generator().manual_seed(0)
    width = denoiser.text_projection.in_features
    states = torch.randn(2, 2, 7, width, generator=chance).to(BF16)
    time_ids = torch.tensor([64.0, 64, 0, 0, 64, 64])
    told = Conditions(states[0], states[0, :, 0], time_ids, states[1], states[1, :, 0])
    latents = torch.randn(2, 4, 8, 8, generator=chance)
    return denoise(denoiser, latents, told, make_stepper("ddim", steps, []), 4.0)


def same_bits(one, other):
    """Of two state dicts; float64 holds every number of every other type."""
    same = (torch.equal(it.double(), other[name].double()) for name, it in one.items())
    return one.keys() == other.keys() and all(same)


def layers(unet):
    return {name: it for name, it in unet.named_modules() if isinstance(it, Float8Linear)}


def test_rounded_numbers_are_within_a_sixteenth_and_their_largest_is_exact():
    given = rows() * torch.tensor([[1e-9], [1e-3], [1.0], [1e3], [1e30]]).to(BF16)
    numbers, scales = round_rows(given)
    assert numbers.dtype == FLOAT8 and scales.shape == (5, 1) and scales.dtype == torch.float32
    assert (numbers.float().abs().amax(dim=1) == 448).all()
    error = (numbers.float() * scales - given.float()).abs()
    largest = given.float().abs().amax(dim=1, keepdim=True)
    # Half of the last of three bits; and of the smallest steps, 2^-9 of a range to 448.
    assert (error <= given.float().abs() / 16 + largest * 2**-10 / 448 * 1.001).all()


def test_rows_of_zeros_stay_zeros_and_what_is_not_finite_is_not_hidden():
    given = torch.zeros(5, 32, dtype=BF16)
    given[1, 3], given[2, 3], given[3, 3] = float("nan"), float("inf"), 1e-38
    layer = Float8Linear.of(nn.Linear(32, 8, dtype=BF16))
    found = layer(given)
    assert torch.isfinite(found).all(dim=1).tolist() == [True, False, False, True, True]
    assert torch.equal(found[0], layer.bias)


def test_a_product_is_that_of_the_rounded_numbers():
    """In float64, from numbers times scales; the layer's own ends in bfloat16, which is its whole difference."""
    wide = nn.Linear(48, 16, dtype=BF16)
    layer, given = Float8Linear.of(wide), rows(6).reshape(2, 3, 48)
    numbers, scales = round_rows(given.flatten(0, 1))
    expected = linear(numbers.double() * scales, layer.weight.double() * layer.scale, wide.bias.double())
    found = layer(given)
    assert found.dtype == BF16 and found.shape == (2, 3, 16)
    assert torch.equal(found, expected.reshape(2, 3, 16).to(BF16))
    close_to = wide(given).double()
    assert 0 < (found - close_to).abs().max() < 0.1 * close_to.abs().max()


def test_no_other_device_than_newer_gpus_is_asked_to_multiply_them():
    assert not multiplies_float8(CPU) and not multiplies_float8(torch.device("meta"))


def test_a_compiled_layer_is_one_graph():
    layer, given = Float8Linear.of(nn.Linear(48, 16, dtype=BF16)), rows()
    assert torch.equal(torch.compile(layer, backend="eager", fullgraph=True)(given), layer(given))


def test_attentions_and_feed_forwards_are_rounded_as_they_are_loaded_and_nothing_else(folder, denoiser):
    exact = load_denoiser(folder, CPU, BF16)
    rounded = layers(denoiser.unet)
    assert {name for name, it in exact.unet.named_modules() if isinstance(it, nn.Linear) and "former_b" in name} == {
        *rounded
    }
    kept, own = exact.unet.state_dict(), denoiser.unet.state_dict()
    assert {name for name in own if name not in kept} == {f"{name}.scale" for name in rounded}
    for name, tensor in kept.items():
        if name.removesuffix(".weight") in rounded:
            expected = round_rows(tensor)
            assert torch.equal(own[name].float(), expected[0].float()) and own[name].dtype == FLOAT8
            assert torch.equal(own[name.removesuffix("weight") + "scale"], expected[1])
        else:
            assert torch.equal(own[name], tensor) and own[name].dtype == BF16


def test_kolors_takes_2_98_gb_instead_of_5_16():
    config = FULL_SIZE.unet
    with torch.device("meta"):
        unet = build_unet(config).to(BF16)
        projection = nn.Linear(config["encoder_hid_dim"], config["cross_attention_dim"], dtype=BF16)

    def size():
        return sum(it.numel() * it.element_size() for part in (unet, projection) for it in part.parameters())

    assert size() == pytest.approx(5.16e9, rel=1e-3)
    assert len(use_float8(unet)) == 700
    assert size() == pytest.approx(2.98e9, rel=1e-3)
    assert all(side % 16 == 0 for it in layers(unet).values() for side in it.weight.shape)


@pytest.mark.parametrize("moved", [False, True])
def test_fused_projections_are_one_block_of_the_same_numbers(denoiser, moved):
    apart = painted(denoiser)
    names = {name: it.clone() for name, it in denoiser.unet.state_dict().items()}
    fuse_projections(denoiser.unet)
    if moved:
        denoiser.unet._apply(lambda tensor: tensor.clone())  # as a move to another device and back
    assert same_bits(names, denoiser.unet.state_dict())
    calls = []
    to_itself = [it for it in denoiser.unet.modules() if isinstance(it, Attention) and not it.to_text]
    for module in to_itself:
        module.to_q.register_forward_hook(lambda *_: calls.append(1))
        module.to_k.put(torch.full(module.to_k.weight.shape, 7.0))
        width = len(module.to_k.weight)
        block = module._fused.float() * module._scale
        assert torch.allclose(block[width : 2 * width], torch.tensor(7.0))
        module.to_k.put(torch.zeros_like(module.to_k.weight, dtype=BF16))
    changed = painted(denoiser)
    denoiser.unet.load_state_dict(names)
    assert torch.allclose(painted(denoiser), apart, rtol=0, atol=0.05) and not calls
    assert not torch.allclose(changed, apart, rtol=0, atol=0.05)


def test_loras_are_merged_into_what_was_before_rounding_and_leave_no_trace(folder, denoiser, tmp_path):
    shapes = unet_shapes(folder)
    chosen = [name for name in shapes if ".attn1." in name or name.endswith("net.0.proj") or name == "conv_in"]
    one, two = (
        use(save_peft(tmp_path / f"{seed}.safetensors", random_lora(shapes, seed, layers=chosen), shapes), 0.7)
        for seed in (1, 2)
    )
    fuse_projections(denoiser.unet)
    before = {name: it.clone() for name, it in denoiser.unet.state_dict().items()}
    merged = MergedUNet(denoiser.unet, shapes, folder)
    wide = load_denoiser(folder, CPU, BF16)
    for stack in ((one,), (two,), (one, two), ()):
        merged.use(stack)
        exact = MergedUNet(wide.unet, shapes)
        exact.use(stack)
        kept = wide.unet.state_dict()
        for name, layer in layers(denoiser.unet).items():
            expected = round_rows(kept[f"{name}.weight"])
            assert torch.equal(layer.weight.float(), expected[0].float()), name
            assert torch.equal(layer.scale, expected[1])
        assert torch.equal(denoiser.unet.conv_in.weight, kept["conv_in.weight"])
        assert same_bits(before, denoiser.unet.state_dict()) == (stack == ())
        exact.use(())


def test_hypernetworks_reach_layers_in_8_bits(denoiser):
    fuse_projections(denoiser.unet)
    plain = painted(denoiser)
    change_contexts(denoiser.unet, [lambda keys, values: (keys, values)])
    assert torch.allclose(painted(denoiser), plain, rtol=0, atol=0.05)
    change_contexts(denoiser.unet, [lambda keys, values: (-keys, 2 * values)])
    assert not torch.allclose(painted(denoiser), plain, rtol=0, atol=0.05)
    change_contexts(denoiser.unet, [])
    assert torch.equal(painted(denoiser), plain)


def test_pictures_are_nearly_those_of_bf16_and_say_what_they_are(folder):
    painter = KolorsPainter(folder, device="cpu")
    exact, rounded = take(1, precision="bf16"), take(1, precision="fp8")
    found = paint(painter, [exact, rounded])
    assert found[rounded.key].provenance.dtype == "fp8" and found[exact.key].provenance.dtype == "bf16"
    difference = np.abs(found[exact.key].pixels.astype(int) - found[rounded.key].pixels.astype(int))
    assert 0 < difference.mean() < 20
    assert np.array_equal(found[rounded.key].pixels, pixels(painter, rounded))
    assert np.array_equal(found[exact.key].pixels, pixels(painter, exact))


def test_texts_are_read_once_for_both(folder):
    seen = []
    painter = KolorsPainter(shutil.copytree(folder, folder.parent / "unread"), device="cpu")
    takes = [take(1, precision="bf16"), take(1, precision="fp8")]
    paint(painter, takes, lambda report: seen.append(report))
    assert [it.total for it in seen if it.stage == "encoding" and it.done == it.total] == [2]


def test_everything_else_is_as_with_bf16():
    assert DTYPES["fp8"] == BF16
    assert vae_dtype(torch.device("cuda"), "fp8") == vae_dtype(torch.device("cuda"), "bf16") == BF16
    assert vae_dtype(CPU, "fp8") == torch.float32


@pytest.mark.parametrize("change", ["missing", "shape", "rank"])
def test_a_damaged_layer_is_named(folder, tmp_path, change):
    harmed = shutil.copytree(folder, tmp_path / "tiny")
    file = harmed / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    removed = state.pop(name)
    if change != "missing":
        state[name] = torch.zeros(*removed.shape[:-1], removed.shape[-1] + 1) if change == "shape" else removed[0]
    save_file({key: it.contiguous() for key, it in state.items()}, file)
    with pytest.raises(ModelError, match=rf"unet.*{name}"):
        load_denoiser(harmed, CPU, BF16, float8=True)


def test_the_scale_of_an_output_is_its_own():
    """A row of a weight that is a thousand times as large as the others costs these nothing."""
    weight = torch.randn(16, 48, generator=torch.Generator().manual_seed(3)).to(BF16)
    louder = weight.clone()
    louder[0] *= 1000
    quiet, loud = (float8_linear(rows(), *round_rows(it)) for it in (weight, louder))
    assert torch.equal(quiet[:, 1:], loud[:, 1:])

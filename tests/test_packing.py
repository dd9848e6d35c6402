"""Packed convolutions: the same pictures, and weights that may be changed as ever."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from renderer.kolors.kernels import packing
from renderer.kolors.kernels.packing import PackedConv2d, pack_convolutions
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.studio import Studio
from renderer.kolors.weights import load_denoiser
from tests.loras import random_lora, save_peft, use
from tests.test_kernels import predicted, told

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not packing.HAS_PACKING, reason="needs oneDNN on x86-64")


@pytest.fixture
def unet(folder):
    return load_denoiser(folder, CPU, torch.float32).unet


def convolutions(module):
    return [it for it in module.modules() if isinstance(it, nn.Conv2d)]


def close(one, other):
    return torch.allclose(one, other, rtol=0, atol=1e-5 * other.abs().max().item())


def test_a_packed_unet_predicts_the_same_to_rounding(unet):
    calls = [told(unet), told(unet, batch=5, side=24)]
    plain, names = [predicted(unet, it) for it in calls], list(unet.state_dict())
    pack_convolutions(unet)
    assert all(type(it) is PackedConv2d for it in convolutions(unet))
    for call, expected in zip(calls, plain, strict=True):
        assert close(predicted(unet, call), expected)
    assert list(unet.state_dict()) == names


def test_the_packed_copy_is_what_multiplies(unet):
    pack_convolutions(unet)
    plain = predicted(unet, told(unet))
    for it in convolutions(unet):
        it.weight.data.zero_()
    assert torch.equal(predicted(unet, told(unet)), plain)


@pytest.mark.parametrize("kernel, stride, padding", [(3, 1, 1), (3, 2, 1), (1, 1, 0), (3, 2, 0)])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_every_convolution_of_such_models_is_computed(kernel, stride, padding, channels_last, bias):
    layer = nn.Conv2d(24, 40, kernel, stride, padding, bias=bias).requires_grad_(False)
    rows = torch.randn(3, 24, 10, 14)
    rows = rows.to(memory_format=torch.channels_last) if channels_last else rows
    with torch.inference_mode():
        expected = layer(rows)
        pack_convolutions(layer)
        assert type(layer) is PackedConv2d
        assert close(layer(rows), expected)


def test_gradients_and_other_types_go_the_ordinary_way():
    layer = nn.Conv2d(2, 3, 3).requires_grad_(False)
    pack_convolutions(layer)
    rows = torch.ones(1, 2, 4, 4, requires_grad=True)
    layer(rows).sum().backward()
    assert rows.grad is not None and rows.grad.abs().sum() > 0
    double = layer.to(torch.float64)
    assert type(double) is nn.Conv2d
    assert double(torch.ones(1, 2, 4, 4, dtype=torch.float64)).dtype == torch.float64


def test_what_moves_and_comes_back_in_the_same_type_is_packed_from_its_new_weights():
    layer = nn.Conv2d(2, 3, 3).requires_grad_(False)
    pack_convolutions(layer)
    layer._apply(lambda tensor: tensor * 2)
    rows = torch.randn(1, 2, 4, 4)
    with torch.inference_mode():
        assert close(layer(rows), nn.functional.conv2d(rows, layer.weight, layer.bias))


def test_trained_layers_and_large_models_are_left_alone(monkeypatch):
    trained = nn.Conv2d(2, 3, 3)
    pack_convolutions(trained)
    assert type(trained) is nn.Conv2d
    monkeypatch.setattr(packing, "MOST_BYTES", 100)
    large = nn.Conv2d(2, 3, 3).requires_grad_(False)
    pack_convolutions(large)
    assert type(large) is nn.Conv2d


def test_loras_reach_packed_convolutions_and_leave_them_to_the_bit(folder, unet, tmp_path):
    pack_convolutions(unet)
    arguments = told(unet)
    plain, shapes = predicted(unet, arguments), unet_shapes(folder)
    layers = [name for name in shapes if name.endswith("conv1")]
    merged = MergedUNet(unet, shapes, folder)
    lora = use(save_peft(tmp_path / "it.safetensors", random_lora(shapes, layers=layers), shapes))
    merged.use((lora,))
    changed = predicted(unet, arguments)
    assert not torch.allclose(changed, plain, atol=1e-3)
    unpacked = load_denoiser(folder, CPU, torch.float32).unet
    unpacked.load_state_dict(unet.state_dict())
    assert close(changed, predicted(unpacked, arguments))
    merged.use(())
    assert torch.equal(predicted(unet, arguments), plain)


def test_painting_on_the_cpu_packs_unet_and_autoencoder_but_not_what_is_streamed(folder):
    studio = Studio(folder, CPU)
    studio.prepare("fp32")
    assert all(type(it) is PackedConv2d for it in convolutions(studio.denoiser.unet))
    assert studio._vae is not None and all(type(it) is PackedConv2d for it in convolutions(studio._vae))
    studio.prepare("fp32", streamed=True)
    assert all(type(it) is nn.Conv2d for it in convolutions(studio.denoiser.unet))


def test_numbers_are_free_again_when_a_model_is_gone():
    before = set(packing._CONVOLUTIONS)
    layer = nn.Conv2d(2, 3, 3).requires_grad_(False)
    pack_convolutions(layer)
    (number,) = set(packing._CONVOLUTIONS) - before
    del layer
    other = nn.Conv2d(4, 3, 3).requires_grad_(False)
    pack_convolutions(other)
    assert other.number == number

"""The attention seam: what it computes once instead of at every step changes nothing but the time."""

from __future__ import annotations

import pytest
import torch

from renderer.kolors.attention import Attention, fuse_projections, text_kept
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.samplers import make_stepper
from renderer.kolors.sampling import Conditions, denoise
from renderer.kolors.weights import load_denoiser
from tests.loras import random_lora, save_kohya, use

CPU = torch.device("cpu")


@pytest.fixture
def denoiser(folder):
    return load_denoiser(folder, CPU, torch.float32)


@pytest.fixture
def conditions(denoiser):
    chance = torch.Generator().manual_seed(0)
    width, pooled = denoiser.text_projection.in_features, denoiser.text_projection.in_features
    states = torch.randn(2, 2, 7, width, generator=chance)
    vectors = torch.randn(2, 2, pooled, generator=chance)
    return Conditions(states[0], vectors[0], torch.tensor([64.0, 64, 0, 0, 64, 64]), states[1], vectors[1])


def painted(denoiser, conditions, steps=3):
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    return denoise(denoiser, latents, conditions, make_stepper("ddim", steps, []), 4.0)


def attentions(unet, to_text):
    return [module for module in unet.modules() if isinstance(module, Attention) and module.to_text == to_text]


def counted(modules):
    """A list that grows by one with each call of one of these modules."""
    calls = []
    for module in modules:
        module.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_keys_and_values_of_the_text_are_computed_once_for_all_steps(denoiser, conditions):
    to_text, to_itself = attentions(denoiser.unet, True), attentions(denoiser.unet, False)
    assert len(to_text) == len(to_itself) > 0
    keys, own_keys = counted(it.to_k for it in to_text), counted(it.to_k for it in to_itself)
    painted(denoiser, conditions, steps=3)
    assert len(keys) == len(to_text) and len(own_keys) == 3 * len(to_itself)


@pytest.mark.parametrize("float8", [False, True])
def test_weights_lie_from_the_first_as_they_are_multiplied(folder, float8):
    """What moves once it is loaded leaves holes in a device's memory."""
    unet = load_denoiser(folder, CPU, torch.bfloat16 if float8 else torch.float32, float8=float8).unet
    lying = {name: it.data_ptr() for name, it in unet.named_parameters()}
    fuse_projections(unet)
    assert {name: it.data_ptr() for name, it in unet.named_parameters()} == lying
    for attention in attentions(unet, to_text=False):
        weights = [it.weight for it in (attention.to_q, attention.to_k, attention.to_v)]
        assert torch.equal(attention._fused.float(), torch.cat([it.float() for it in weights]))
        weights[1].data.view(torch.uint8).zero_()  # whoever writes into a weight writes into the block
        assert not attention._fused.float().chunk(3)[1].any()
    kernels = [it for it in unet.parameters() if it.ndim == 4]
    assert kernels and all(it.is_contiguous(memory_format=torch.channels_last) for it in kernels)


def test_what_lies_elsewhere_is_put_into_one_block(denoiser):
    (attention, *_) = attentions(denoiser.unet, to_text=False)
    weights = [it.weight for it in (attention.to_q, attention.to_k, attention.to_v)]
    expected = torch.cat([it.data for it in weights])
    for order in ((2, 1, 0), (0, 2, 1)):
        for place in order:
            weights[place].data = weights[place].data.clone()
        attention.fuse()
        assert torch.equal(attention._fused, expected)
        assert [it.data_ptr() for it in weights] == [it.data_ptr() for it in attention._fused.chunk(3)]


def test_kept_keys_and_values_change_no_bit(denoiser, conditions):
    """Against calls of the UNet outside of any denoising, where each call computes its own."""
    states = denoiser.text_projection(conditions.states)
    seen = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    added = {"text_embeds": conditions.pooled, "time_ids": conditions.time_ids.expand(2, -1)}
    plain = denoiser.unet(seen, torch.tensor(500), states, added_cond_kwargs=added)
    with text_kept(denoiser.unet, states):
        kept = denoiser.unet(seen, torch.tensor(500), states, added_cond_kwargs=added)
    assert torch.equal(kept, plain)


def test_nothing_is_kept_after_a_denoising_even_one_that_broke_off(denoiser, conditions):
    def stop(step, steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        latents = torch.zeros(2, 4, 8, 8)
        denoise(denoiser, latents, conditions, make_stepper("ddim", 2, []), 4.0, stop)
    assert all(it.kept is None for it in attentions(denoiser.unet, True))


def test_fused_projections_paint_the_same_to_rounding(denoiser, conditions):
    apart = painted(denoiser, conditions)
    names = dict(denoiser.unet.state_dict())
    fuse_projections(denoiser.unet)
    calls = counted(it.to_q for it in attentions(denoiser.unet, False))
    assert torch.allclose(painted(denoiser, conditions), apart, rtol=0, atol=1e-5)
    assert not calls
    assert all(torch.equal(tensor, names[name]) for name, tensor in denoiser.unet.state_dict().items())


def test_fused_weights_are_one_block_after_a_move_too(denoiser):
    fuse_projections(denoiser.unet)
    for module in attentions(denoiser.unet.to(torch.float64), False):
        module.to_k.weight.data.fill_(7)
        width = len(module.to_k.weight)
        assert module._fused.dtype == torch.float64 and (module._fused[width : 2 * width] == 7).all()


def test_loras_reach_fused_weights_and_leave_them(folder, denoiser, conditions, tmp_path):
    shapes = unet_shapes(folder)
    lora = use(save_kohya(tmp_path / "one.safetensors", random_lora(shapes), shapes), 0.7)
    bare = painted(denoiser, conditions)
    MergedUNet(denoiser.unet, shapes).use((lora,))
    expected = painted(denoiser, conditions)
    fused = load_denoiser(folder, CPU, torch.float32)
    fuse_projections(fused.unet)
    merged = MergedUNet(fused.unet, shapes)
    merged.use((lora,))
    assert torch.allclose(painted(fused, conditions), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(expected, bare, rtol=0, atol=1e-3)
    merged.use(())
    untouched = load_denoiser(folder, CPU, torch.float32)
    fuse_projections(untouched.unet)
    assert torch.equal(painted(fused, conditions), painted(untouched, conditions))

"""What is skipped by name: deep features that are kept for some steps, guidance in a part of them."""

from __future__ import annotations

import pytest
import torch

from renderer.benching.flops import META, count_flops
from renderer.benching.parts import FULL_SIZE
from renderer.kolors.attention import Attention
from renderer.kolors.quick.deep_cache import DeepCache
from renderer.kolors.samplers import make_stepper
from renderer.kolors.sampling import Conditions, denoise
from renderer.kolors.weights import Denoiser, build_unet, load_denoiser
from tests.loras import example
from tests.tiny_kolors import make_folder

CPU, FP32 = torch.device("cpu"), torch.float32
STEPS, GUIDANCE = 7, 4.0
KINDS = {"CrossAttn": ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D"), "Plain": ("DownBlock2D", "UpBlock2D")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("models") / "tiny", layers_per_block=2)


@pytest.fixture(scope="module")
def denoiser(folder):
    return load_denoiser(folder, CPU, FP32)


@pytest.fixture(scope="module")
def theirs(folder):
    """diffusers' UNet of the same weights."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(folder / "unet").eval()


@pytest.fixture(scope="module")
def conditions(denoiser):
    chance = torch.Generator().manual_seed(0)
    width = denoiser.text_projection.in_features
    states = torch.randn(2, 2, 7, width, generator=chance)
    vectors = torch.randn(2, 2, width, generator=chance)
    return Conditions(states[0], vectors[0], torch.tensor([64.0, 64, 0, 0, 64, 64]), states[1], vectors[1])


def noise(height=8, width=8):
    return torch.randn(2, 4, height, width, generator=torch.Generator().manual_seed(1))


def painted(denoiser, conditions, latents=None, **how):
    latents = noise() if latents is None else latents
    return denoise(denoiser, latents, conditions, make_stepper("ddim", STEPS, []), GUIDANCE, **how)


class Reference:
    """diffusers' UNet, hooked: what the last up block gets is written down in whole steps, and replaced in others."""

    def __init__(self, unet):
        self.unet, self.kept, self.whole = unet, {}, True
        self.hook = unet.up_blocks[-1].register_forward_pre_hook(self.swap, with_kwargs=True)

    def swap(self, module, positional, named):
        if self.whole:
            self.kept[self.who] = named["hidden_states"]
        return positional, named | {"hidden_states": self.kept[self.who]}

    def __call__(self, who, latents, timestep, states, pooled, time_ids):
        self.who = who
        added = {"text_embeds": pooled, "time_ids": time_ids.expand(len(latents), -1)}
        return self.unet(latents, timestep, states, added_cond_kwargs=added).sample


@torch.no_grad()
def expected(theirs, conditions, latents, whole_steps, guided_steps):
    """The loop written out: two calls a step, and which steps are whole and which are guided by name."""
    unet, stepper = Reference(theirs), make_stepper("ddim", STEPS, [])
    try:
        for step, timestep in enumerate(stepper.timesteps):
            unet.whole = step in whole_steps
            wanted = unet("+", latents, timestep, conditions.states, conditions.pooled, conditions.time_ids)
            if step in guided_steps:
                told = (conditions.negative_states, conditions.negative_pooled, conditions.time_ids)
                unwanted = unet("-", latents, timestep, *told)
                wanted = unwanted + GUIDANCE * (wanted - unwanted)
            latents = stepper.step(wanted, timestep, latents)
    finally:
        unet.hook.remove()
    return latents


def close(one, other):
    return (one - other).abs().max() < 1e-5 * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("interval", "guided", "whole", "guiding"),
    [
        (1, (0.0, 1.0), range(7), range(7)),
        (2, (0.0, 1.0), (0, 2, 4, 6), range(7)),
        (3, (0.0, 1.0), (0, 3, 6), range(7)),
        (99, (0.0, 1.0), (0,), range(7)),
        (1, (0.2, 0.8), range(7), (2, 3, 4, 5)),
        (1, (0.5, 0.5), range(7), ()),
        # A step with which guidance begins or ends is whole, and the count goes on as it was.
        (3, (0.2, 0.8), (0, 2, 3, 6), (2, 3, 4, 5)),
        (4, (0.4, 1.0), (0, 3, 4), (3, 4, 5, 6)),
    ],
)
def test_latents_are_those_of_diffusers_with_kept_features(
    denoiser, theirs, conditions, interval, guided, whole, guiding, apart
):
    found = painted(denoiser, conditions, guidance_interval=guided, cache_interval=interval, apart=apart)
    wanted = expected(theirs, conditions, noise(), whole, guiding)
    assert close(found, wanted), float((found - wanted).abs().max())
    exact = len(whole) == len(guiding) == STEPS
    assert exact == close(found, painted(denoiser, conditions))


def test_odd_sizes_come_back_to_themselves(denoiser, theirs, conditions):
    latents = noise(10, 14)  # of which the middle has 3 by 4
    found = painted(denoiser, conditions, latents, cache_interval=2)
    assert close(found, expected(theirs, conditions, latents, (0, 2, 4, 6), range(7)))


def test_the_usual_values_change_no_bit(denoiser, conditions):
    usual = {"guidance_interval": (0.0, 1.0), "cache_interval": 1}
    assert torch.equal(painted(denoiser, conditions), painted(denoiser, conditions, **usual))


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_whole_step_is_the_unets_own_bits_and_the_next_goes_through_the_outermost_blocks(blocks, layers, first):
    unet, config = random_unet(blocks, layers, first)
    latents, timestep, states, added = example(config)
    through = DeepCache(unet)
    own = unet(latents, timestep, states, added_cond_kwargs=added)
    assert torch.equal(through(latents, timestep, states, added, whole=True), own)
    # The same step again is the same whether its deep features are kept or not.
    assert torch.equal(through(latents, timestep, states, added, whole=False), own)
    deep = [*unet.down_blocks[1:], unet.mid_block, *unet.up_blocks[:-1]]
    called = []
    hooks = [block.register_forward_pre_hook(lambda *_: called.append(1)) for block in deep]
    later = through(latents + 1, timestep, states, added, whole=False)
    assert not called and not torch.equal(later, own)
    assert torch.isfinite(through(latents + 1, timestep, states, added, whole=True)).all() and len(called) == len(hooks)


def test_keys_and_values_of_the_text_are_computed_once_whatever_is_guided(denoiser, conditions):
    to_text = [it for it in denoiser.unet.modules() if isinstance(it, Attention) and it.to_text]
    calls = []
    hooks = [it.to_k.register_forward_hook(lambda *_: calls.append(1)) for it in to_text]
    painted(denoiser, conditions, guidance_interval=(0.2, 0.8))
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(to_text) > 0


def test_steps_without_guidance_take_half_of_the_work(denoiser, conditions):
    rows = []
    hook = denoiser.unet.conv_in.register_forward_hook(lambda module, given, made: rows.append(len(made)))
    painted(denoiser, conditions, guidance_interval=(0.2, 0.8))
    painted(denoiser, conditions, guidance_interval=(0.2, 0.8), apart=True)
    hook.remove()
    assert rows == [2, 2, 4, 4, 4, 4, 2] + [2, 2] + [2, 2] * 4 + [2]


def test_what_a_step_with_kept_features_costs_at_kolors_own_size():
    """In TFLOP at 1024², for a guided picture: 13.56 for a whole step, 0.909 for one with kept features."""
    config = FULL_SIZE.unet
    with META:
        unet = build_unet(config)
        projection = torch.nn.Linear(config["encoder_hid_dim"], config["cross_attention_dim"])
        latents, states = torch.empty(1, 4, 128, 128), torch.empty(1, 256, config["encoder_hid_dim"])
        told = Conditions(states, states[:, 0], torch.empty(6), states, states[:, 0])

    def cost(steps, **how):
        stepper = make_stepper("euler", steps, [])
        return count_flops(lambda: denoise(Denoiser(unet, projection), latents, told, stepper, 5.0, **how))

    whole, kept = cost(2) - cost(1), cost(2, cache_interval=2) - cost(1, cache_interval=2)
    alone = cost(2, guidance_interval=(0, 0.5)) - cost(1)
    assert whole == pytest.approx(13.56e12, rel=2e-3)
    assert kept == pytest.approx(0.909e12, rel=2e-3)
    assert alone == pytest.approx(whole / 2)


def random_unet(blocks, layers, first):
    """DiffSynth's UNet with our attention, of so many blocks, and its configuration."""
    down, up = KINDS[first]
    config = {
        "block_out_channels": (16, 32, 32, 32)[:blocks],
        "layers_per_block": layers,
        "down_block_types": (down, *["CrossAttnDownBlock2D"] * (blocks - 1)),
        "up_block_types": (*["CrossAttnUpBlock2D"] * (blocks - 1), up),
        "transformer_layers_per_block": (1,) * blocks,
        "attention_head_dim": (2,) * blocks,
        "cross_attention_dim": 24,
        "encoder_hid_dim": 24,
        "norm_num_groups": 8,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 24 + 6 * 8,
    }
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return build_unet(config).eval().requires_grad_(False), config

"""The same pictures as the reference implementations, from the same weights and seeds."""

from __future__ import annotations

import shutil

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from renderer.benching.parts import FULL_SIZE
from renderer.kolors.attention import Attention, install_attention
from renderer.kolors.card import SAMPLERS
from renderer.kolors.diffsynth import ddim_class, unet_class, vae_class
from renderer.kolors.encoder import encode_texts
from renderer.kolors.samplers import SCHEDULE, make_stepper
from renderer.kolors.sampling import Conditions, denoise, noise
from renderer.kolors.text import count_pieces, cut_at, tokenize
from renderer.kolors.weights import build_unet, load_denoiser, load_vae
from tests.tiny_kolors import LENGTH

CPU, FP32 = torch.device("cpu"), torch.float32
PROMPTS = ("一个紫色短发小女孩，穿着粉色连衣裙", "a red cat sits on the sofa", "夜晚 森林 下雨")
NEGATIVES = ("", "红色", "a cat")
SEEDS = (0, 7, 4_294_967_295)
WIDTH, HEIGHT = 48, 32
KOLORS_UNET = FULL_SIZE.unet


@pytest.fixture(scope="module")
def reference(folder):
    """diffusers' KolorsPipeline with the same weights."""
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, KolorsPipeline, UNet2DConditionModel
    from diffusers.pipelines.kolors import ChatGLMModel, ChatGLMTokenizer

    pipeline = KolorsPipeline(
        vae=AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=ChatGLMModel.from_pretrained(folder / "text_encoder"),
        tokenizer=ChatGLMTokenizer(vocab_file=str(folder / "tokenizer" / "tokenizer.model")),
        unet=UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=EulerDiscreteScheduler(
            num_train_timesteps=1100,
            beta_start=0.00085,
            beta_end=0.014,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def texts(folder):
    return encode_texts(folder, (*PROMPTS, *NEGATIVES), LENGTH, CPU, FP32)


@pytest.fixture(scope="module")
def denoiser(folder):
    return load_denoiser(folder, CPU, FP32)


def conditions(texts, prompts=PROMPTS, negatives=NEGATIVES, size=(HEIGHT, WIDTH)):
    def stacked(chosen):
        return torch.stack([texts[it].states for it in chosen]), torch.stack([texts[it].pooled for it in chosen])

    time_ids = torch.tensor([*size, 0, 0, *size], dtype=FP32)
    return Conditions(*stacked(prompts), time_ids, *(stacked(negatives) if negatives else ()))


def latents_of(denoiser, texts, sampler, steps=6, seeds=SEEDS, guidance=5.0, **kwargs):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    drawn = torch.cat([noise(generator, WIDTH, HEIGHT) for generator in generators])
    told = conditions(texts, PROMPTS[: len(seeds)], NEGATIVES[: len(seeds)] if guidance != 1 else (), **kwargs)
    return denoise(denoiser, drawn, told, make_stepper(sampler, steps, generators), guidance)


def test_prompt_states_are_those_of_diffusers(reference, texts):
    for text in PROMPTS:
        states, negative_states, pooled, negative_pooled = reference.encode_prompt(
            text, negative_prompt="", max_sequence_length=LENGTH
        )
        assert torch.equal(texts[text].states, states[0])
        assert torch.equal(texts[text].pooled, pooled[0])
        assert torch.equal(texts[""].states, negative_states[0])
        assert torch.equal(texts[""].pooled, negative_pooled[0])


@example("一个紫色  red cat，sofa 😀")
@example("<unk> </s> [gMASK] sop <|user|>")
@example("红" * 99)
@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_token_ids_are_those_of_diffusers(reference, folder, text):
    expected = reference.tokenizer(text, padding="max_length", max_length=LENGTH, truncation=True)
    tokens = tokenize(folder, text, LENGTH)
    assert tokens.ids == expected["input_ids"]
    assert tokens.mask == expected["attention_mask"]
    assert tokens.positions == expected["position_ids"]


def test_a_long_prompt_tells_where_it_is_cut(folder):
    fitting = "红" * (LENGTH - 3)
    assert count_pieces(folder, fitting) <= LENGTH - 2
    assert cut_at(folder, fitting, LENGTH) is None
    lost = cut_at(folder, fitting + "蓝" * 40, LENGTH)
    assert lost is not None and set(lost) == {"蓝"}
    assert count_pieces(folder, (fitting + "蓝" * 40).removesuffix(lost)) == LENGTH - 2


@pytest.mark.parametrize(("sampler", "spacing"), [("euler", "leading"), ("euler-trailing", "trailing")])
def test_euler_latents_of_a_batch_are_those_of_diffusers(reference, denoiser, texts, sampler, spacing, monkeypatch):
    from diffusers import EulerDiscreteScheduler

    scheduler = EulerDiscreteScheduler.from_config(reference.scheduler.config, timestep_spacing=spacing)
    monkeypatch.setattr(reference, "scheduler", scheduler)
    ours = latents_of(denoiser, texts, sampler)
    # Encoded apart, because its __call__ encodes at 256 pieces whatever `max_sequence_length` says.
    states, negative_states, pooled, negative_pooled = reference.encode_prompt(
        list(PROMPTS), negative_prompt=list(NEGATIVES), max_sequence_length=LENGTH
    )
    theirs = reference(
        prompt_embeds=states,
        negative_prompt_embeds=negative_states,
        pooled_prompt_embeds=pooled,
        negative_pooled_prompt_embeds=negative_pooled,
        width=WIDTH,
        height=HEIGHT,
        num_inference_steps=6,
        guidance_scale=5.0,
        generator=[torch.Generator().manual_seed(seed) for seed in SEEDS],
        output_type="latent",
    ).images
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() < 1e-4 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize(("sampler", "spacing"), [("euler", "leading"), ("euler-trailing", "trailing")])
@pytest.mark.parametrize("steps", [1, 3, 7, 25, 50, 137, 1000])
def test_euler_walks_as_diffusers_scheduler_does(sampler, spacing, steps):
    from diffusers import EulerDiscreteScheduler

    theirs = EulerDiscreteScheduler(**SCHEDULE | {"timestep_spacing": spacing})
    theirs.set_timesteps(steps)
    ours = make_stepper(sampler, steps, [])
    assert torch.equal(ours.timesteps, theirs.timesteps)
    assert float(ours.init_noise_sigma) == pytest.approx(float(theirs.init_noise_sigma), rel=1e-6)
    sample = same = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(steps))
    for timestep in theirs.timesteps:
        seen = ours.scale_model_input(sample, timestep)
        assert torch.allclose(seen, theirs.scale_model_input(same, timestep), rtol=1e-5, atol=1e-6)
        sample, same = ours.step(seen, timestep, sample), theirs.step(seen, timestep, same).prev_sample
        assert torch.allclose(sample, same, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 14, 15, 20, 25, 50, 137])
def test_dpm_plus_plus_walks_as_diffusers_scheduler_does(steps):
    from diffusers import DPMSolverMultistepScheduler

    theirs = DPMSolverMultistepScheduler(**SCHEDULE, use_karras_sigmas=True)
    theirs.set_timesteps(steps)
    ours = make_stepper("dpm++2m", steps, [])
    assert torch.equal(ours.timesteps, theirs.timesteps.float())
    assert ours.init_noise_sigma == theirs.init_noise_sigma
    chance = torch.Generator().manual_seed(steps)
    sample = same = torch.randn(1, 4, 4, 4, generator=chance)
    for timestep in theirs.timesteps:
        assert ours.scale_model_input(sample, timestep) is sample
        seen = (sample + torch.randn(1, 4, 4, 4, generator=chance)) / 2
        sample, same = ours.step(seen, timestep, sample), theirs.step(seen, timestep, same).prev_sample
        assert torch.allclose(sample, same, rtol=1e-4, atol=1e-4 * same.abs().max().item())


@pytest.mark.parametrize(("steps", "expected"), [(1, [1099]), (4, [1099, 824, 549, 274]), (11, range(1099, 0, -100))])
def test_trailing_steps_begin_where_there_is_nothing_but_noise(steps, expected):
    stepper = make_stepper("euler-trailing", steps, [])
    assert stepper.timesteps.tolist() == list(expected)
    assert float(stepper.init_noise_sigma) == pytest.approx(29.06, abs=0.01)


def test_without_negatives_the_guidance_scale_changes_nothing(denoiser, texts):
    """Which is how a guidance scale of 1 is painted; through the formula it gives the same, for twice the work."""
    alone = latents_of(denoiser, texts, "euler", guidance=1.0)
    drawn = torch.cat([noise(torch.Generator().manual_seed(seed), WIDTH, HEIGHT) for seed in SEEDS])
    formula = denoise(denoiser, drawn, conditions(texts), make_stepper("euler", 6, []), 1.0)
    assert (alone - formula).abs().max() < 1e-4 * float(formula.abs().max())


def test_ddim_is_diffsynths_own(denoiser, texts):
    """One UNet call for each of negative and positive at each of the scheduler's timesteps, as DiffSynth does it."""
    scheduler = ddim_class()(1100, 0.00085, 0.014)
    scheduler.set_timesteps(6)
    assert scheduler.timesteps.tolist() == [1099, 879, 659, 440, 220, 0]
    latents = noise(torch.Generator().manual_seed(SEEDS[0]), WIDTH, HEIGHT)
    time_ids = torch.tensor([[HEIGHT, WIDTH, 0, 0, HEIGHT, WIDTH]], dtype=FP32)

    def predict(text, latents, timestep):
        states = denoiser.text_projection(texts[text].states[None])
        added = {"text_embeds": texts[text].pooled[None], "time_ids": time_ids}
        return denoiser.unet(latents, timestep, states, added_cond_kwargs=added)

    with torch.no_grad():
        for timestep in scheduler.timesteps:
            positive = predict(PROMPTS[0], latents, timestep)
            negative = predict(NEGATIVES[0], latents, timestep)
            latents = scheduler.step(negative + 4.0 * (positive - negative), timestep, latents)
    ours = latents_of(denoiser, texts, "ddim", seeds=SEEDS[:1], guidance=4.0)
    assert (ours - latents).abs().max() < 1e-4 * max(1.0, float(latents.abs().max()))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_repeats_itself(denoiser, texts, sampler):
    first, second = (latents_of(denoiser, texts, sampler, steps=4) for _ in range(2))
    assert torch.isfinite(first).all()
    assert torch.equal(first, second)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_takes_a_single_step(denoiser, texts, sampler):
    assert torch.isfinite(latents_of(denoiser, texts, sampler, steps=1, seeds=SEEDS[:1])).all()


def test_lcm_takes_more_steps_than_it_was_distilled_on():
    assert len(make_stepper("lcm", 60, []).timesteps) == 60


def test_a_samplers_own_draws_belong_to_the_take(denoiser, texts):
    """lcm draws noise at each step; neighbours must not change what a take draws."""
    alone = latents_of(denoiser, texts, "lcm", steps=4, seeds=SEEDS[:1])
    together = latents_of(denoiser, texts, "lcm", steps=4)[:1]
    assert (alone - together).abs().max() < 1e-3 * float(alone.abs().max())


def test_our_attention_computes_what_diffsynths_does():
    torch.manual_seed(3)
    kind = __import__(unet_class().__module__, fromlist=["Attention"]).Attention
    for context_width in (None, 24):
        holder = torch.nn.ModuleDict(
            {"attn": kind(query_dim=32, heads=4, dim_head=8, cross_attention_dim=context_width)}
        )
        pictured, told = torch.randn(2, 9, 32), torch.randn(2, 5, context_width) if context_width else None
        expected, names = holder["attn"](pictured, told), list(holder.state_dict())
        assert install_attention(holder) == ["attn"]
        assert isinstance(holder["attn"], Attention)
        assert list(holder.state_dict()) == names
        assert torch.equal(holder["attn"](pictured, told), expected)


def test_full_size_unet_has_the_tensors_of_diffusers_kolors():
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        ours = build_unet(dict(KOLORS_UNET)).state_dict()
        theirs = UNet2DConditionModel(**KOLORS_UNET).state_dict()
    projection = {name: theirs.pop(name) for name in list(theirs) if name.startswith("encoder_hid_proj.")}
    assert {name: it.shape for name, it in ours.items()} == {name: it.shape for name, it in theirs.items()}
    assert len(ours) + len(projection) == 1682
    assert sum(it.numel() for it in (*ours.values(), *projection.values())) == pytest.approx(2.579e9, rel=1e-3)


def test_full_size_autoencoder_has_the_tensors_of_sdxls():
    from diffusers import AutoencoderKL

    config = {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    }
    with torch.device("meta"):
        ours, theirs = vae_class()(**config).state_dict(), AutoencoderKL(**config).state_dict()
    assert {name: it.shape for name, it in ours.items()} == {name: it.shape for name, it in theirs.items()}


def test_states_need_no_stored_rotation_table(folder, texts, tmp_path):
    other = shutil.copytree(folder, tmp_path / "tiny")
    file = other / "text_encoder" / "model.safetensors"
    state = load_file(file)
    del state["rotary_pos_emb.inv_freq"]
    save_file(state, file)
    found = encode_texts(other, PROMPTS[:1], LENGTH, CPU, FP32)
    assert torch.equal(found[PROMPTS[0]].states, texts[PROMPTS[0]].states)


def test_decoded_picture_is_that_of_diffusers(reference, folder):
    latents = torch.randn(1, 4, 4, 6, generator=torch.Generator().manual_seed(1))
    vae = load_vae(folder, CPU, FP32)
    assert vae.scaling_factor == 0.13025
    with torch.no_grad():
        expected = reference.vae.decode(latents).sample
        assert (vae.decode(latents) - expected).abs().max() < 1e-5

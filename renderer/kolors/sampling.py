"""From noise to latents: Kolors' noise schedule, the samplers, and the denoising loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, cast

import numpy as np
import torch
from torch import Tensor, nn

from renderer.kolors.attention import text_kept
from renderer.kolors.card import WHOLE, Interval, Sampler
from renderer.kolors.diffsynth import ddim_class
from renderer.kolors.quick.deep_cache import DeepCache
from renderer.kolors.weights import Denoiser

TRAIN_STEPS, BETA_START, BETA_END = 1100, 0.00085, 0.014
"""Kolors' schedule: `scaled_linear` betas, noise (epsilon) predicted (Kwai-Kolors/Kolors, scheduler_config.json)."""
STEPS_OFFSET = 1
SCHEDULE = {
    "num_train_timesteps": TRAIN_STEPS,
    "beta_start": BETA_START,
    "beta_end": BETA_END,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": STEPS_OFFSET,
}
LATENT_CHANNELS = 4
LATENT_FACTOR = 8
"""Pixels along a side for one latent."""


class _Told(TypedDict):
    """The UNet's arguments that are the same at every step."""

    encoder_hidden_states: Tensor
    added_cond_kwargs: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one denoising is told, for a batch: text `states` [batch, length, width] and `pooled` [batch, width], the
    same of the negatives where there is guidance, and `time_ids` [6]: height, width, crop top and left, height, width.
    """

    states: Tensor
    pooled: Tensor
    time_ids: Tensor
    negative_states: Tensor | None = None
    negative_pooled: Tensor | None = None


class Stepper(Protocol):
    """A sampler in use: it walks one batch once from noise to latents."""

    timesteps: Tensor
    init_noise_sigma: float | Tensor

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """The sample as the UNet wants to see it at this timestep."""
        ...

    def step(self, noise: Tensor, timestep: Tensor, sample: Tensor) -> Tensor:
        """The sample after this step, given the noise that the UNet sees in it."""
        ...


def noise(generator: torch.Generator, width: int, height: int) -> Tensor:
    """[1, 4, height/8, width/8] of fp32 noise, drawn on the CPU: the same for a seed on every machine."""
    shape = (1, LATENT_CHANNELS, height // LATENT_FACTOR, width // LATENT_FACTOR)
    return torch.randn(shape, generator=generator, dtype=torch.float32)


@torch.inference_mode()
def denoise(
    denoiser: Denoiser,
    latents: Tensor,
    conditions: Conditions,
    stepper: Stepper,
    guidance: float,
    done: Callable[[int, int], None] = lambda step, steps: None,
    apart: bool = False,
    guidance_interval: Interval = WHOLE,
    cache_interval: int = 1,
) -> Tensor:
    """fp32 latents [batch, 4, h, w] from noise of that shape, on its device. `done` hears of each finished step.

    Negatives and positives go through the UNet in one call, or `apart` in two, which takes half of the working memory,
    longer, and rounds otherwise. The UNet computes in its own type; guidance and the sampler's arithmetic are fp32.
    Without negatives in `conditions` there is no guidance; outside of `guidance_interval` (fractions of the steps)
    there is none either, and the positives go through alone. With a `cache_interval` of N, N - 1 of N steps reuse the
    deep features of the last whole one (`DeepCache`). On a GPU no step waits for the one before it: timesteps are there
    from the start, while samplers look theirs up in tables on the CPU. Only those of unipc and lcm, which copy numbers
    from there, take a millisecond or two longer.
    """
    guided = conditions.negative_states is not None
    told = _told(denoiser, conditions)
    latents = latents * stepper.init_noise_sigma
    on_device = stepper.timesteps.to(latents.device)
    predict = _Prediction(denoiser.unet, told, guidance, guided, apart, cache_interval > 1)
    course = _course(len(on_device), guidance_interval if guided else None, cache_interval)
    with nullcontext() if guided and apart else text_kept(denoiser.unet, told["encoder_hidden_states"]):
        for step, (timestep, (guiding, whole)) in enumerate(zip(stepper.timesteps, course, strict=True)):
            seen = stepper.scale_model_input(latents, timestep)
            latents = stepper.step(predict(seen, on_device[step], guiding, whole), timestep, latents)
            done(step + 1, len(stepper.timesteps))
    return latents


def _course(steps: int, guided: Interval | None, cache_interval: int) -> Iterator[tuple[bool, bool]]:
    """Of each step, whether it is guided, and whether it goes through the whole UNet.

    Each Nth is whole, and so is one where guidance begins or ends: what is kept of the step before is of another batch.
    """
    before = None
    for step in range(steps):
        guiding = guided is not None and guided[0] <= step / steps < guided[1]
        yield guiding, step % cache_interval == 0 or guiding != before
        before = guiding


class _Prediction:
    """The noise that the UNet sees in a batch, step by step of one denoising: fp32, and guided where it is to be."""

    def __init__(self, unet: nn.Module, told: _Told, guidance: float, guided: bool, apart: bool, reusing: bool) -> None:
        count = len(told["encoder_hidden_states"]) // (2 if guided else 1)
        self._guidance, self._apart = guidance, apart
        self._both = _Seeing(unet, told, reusing)
        self._negative = _Seeing(unet, _part(told, slice(count)), reusing)
        self._positive = _Seeing(unet, _part(told, slice(-count, None)), reusing)

    def __call__(self, seen: Tensor, timestep: Tensor, guiding: bool, whole: bool) -> Tensor:
        if not guiding:
            return self._positive(seen, timestep, whole)
        if self._apart:
            negative, positive = (see(seen, timestep, whole) for see in (self._negative, self._positive))
        else:
            negative, positive = self._both(torch.cat([seen, seen]), timestep, whole).chunk(2)
        return negative + self._guidance * (positive - negative)


class _Seeing:
    """The noise that the UNet sees in a batch of which it is told the same at each step: fp32, of the batch's shape."""

    def __init__(self, unet: nn.Module, told: _Told, reusing: bool) -> None:
        self._unet, self._told = unet, told
        self._reusing = DeepCache(unet) if reusing else None

    def __call__(self, seen: Tensor, timestep: Tensor, whole: bool) -> Tensor:
        seen = seen.to(self._told["encoder_hidden_states"].dtype)
        if self._reusing is not None:
            return self._reusing(seen, timestep, **self._told, whole=whole).float()
        predicted: Tensor = self._unet(seen, timestep, **self._told)
        return predicted.float()


def _part(told: _Told, part: slice) -> _Told:
    """What is told of a part of the batch."""
    return {
        "encoder_hidden_states": told["encoder_hidden_states"][part],
        "added_cond_kwargs": {name: tensor[part] for name, tensor in told["added_cond_kwargs"].items()},
    }


def _told(denoiser: Denoiser, conditions: Conditions) -> _Told:
    """The UNet's other arguments, the same at every step; negatives come first."""
    states, pooled = conditions.states, conditions.pooled
    if conditions.negative_states is not None and conditions.negative_pooled is not None:
        states = torch.cat([conditions.negative_states, states])
        pooled = torch.cat([conditions.negative_pooled, pooled])
    time_ids = conditions.time_ids.expand(states.shape[0], -1)
    return {
        "encoder_hidden_states": denoiser.text_projection(states),
        "added_cond_kwargs": {"text_embeds": pooled, "time_ids": time_ids},
    }


def make_stepper(sampler: Sampler, steps: int, generators: Sequence[torch.Generator]) -> Stepper:
    """A sampler for one batch. What it draws (lcm), it draws for each take from that take's own generator."""
    if sampler == "ddim":
        return _Ddim(steps)
    if sampler in ("euler", "euler-trailing"):
        return _Euler(steps, trailing=sampler == "euler-trailing")
    return _FromDiffusers(sampler, steps, list(generators))


class _Ddim:
    """DiffSynth's DDIM, deterministic, from timestep 1099 to 0 and then to clean latents (ᾱ = 1)."""

    init_noise_sigma: float | Tensor = 1.0

    def __init__(self, steps: int) -> None:
        self._scheduler = ddim_class()(TRAIN_STEPS, BETA_START, BETA_END)
        self._scheduler.set_timesteps(steps)
        self.timesteps: Tensor = self._scheduler.timesteps

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return sample

    def step(self, noise: Tensor, timestep: Tensor, sample: Tensor) -> Tensor:
        return cast(Tensor, self._scheduler.step(noise, timestep, sample))


class _Euler:
    """Euler's method on the noise level (arXiv:2206.00364, algorithm 2 without noise in between), as Kolors' authors
    run diffusers' `EulerDiscreteScheduler`: written out, since importing that takes seconds.

    Timesteps are `leading` (each at the beginning of its part of the schedule), or `trailing` from the last one on,
    where there is nothing but noise: what weights distilled to few steps begin with (SDXL-Lightning, arXiv:2402.13929;
    Hyper-SD, arXiv:2404.13686; spacings: arXiv:2305.08891, table 2).
    """

    def __init__(self, steps: int, trailing: bool) -> None:
        betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_STEPS, dtype=torch.float32) ** 2
        clean = torch.cumprod(1 - betas, dim=0)
        if trailing:  # rounded as diffusers does it, by the same numbers
            times = torch.from_numpy(np.arange(TRAIN_STEPS, 0, -TRAIN_STEPS / steps)[:steps].round() - 1)
        else:
            times = torch.arange(steps).flip(0) * (TRAIN_STEPS // steps) + STEPS_OFFSET
        levels = ((1 - clean) / clean).sqrt()[times.long().clamp(max=TRAIN_STEPS - 1)]
        self.timesteps: Tensor = times.float()
        self._levels: list[float] = [*levels.tolist(), 0.0]
        self._done = 0
        most = self._levels[0]
        self.init_noise_sigma: float | Tensor = most if trailing else math.hypot(most, 1)

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return sample / math.hypot(self._levels[self._done], 1)

    def step(self, noise: Tensor, timestep: Tensor, sample: Tensor) -> Tensor:
        level, after = self._levels[self._done : self._done + 2]
        self._done += 1
        return sample + (after - level) * noise


class _FromDiffusers:
    """One of diffusers' schedulers with Kolors' schedule."""

    def __init__(self, sampler: Sampler, steps: int, generators: list[torch.Generator]) -> None:
        self._scheduler = _scheduler(sampler)
        # LCM picks its timesteps among 50 that it was distilled on; more steps than that need a finer choice.
        extra = {"original_inference_steps": max(50, steps)} if sampler == "lcm" else {}
        self._scheduler.set_timesteps(steps, **extra)
        self._drawing = {"generator": generators} if sampler == "lcm" else {}
        self.timesteps: Tensor = self._scheduler.timesteps
        self.init_noise_sigma: float | Tensor = self._scheduler.init_noise_sigma

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return cast(Tensor, self._scheduler.scale_model_input(sample, timestep))

    def step(self, noise: Tensor, timestep: Tensor, sample: Tensor) -> Tensor:
        return cast(Tensor, self._scheduler.step(noise, timestep, sample, return_dict=False, **self._drawing)[0])


def _scheduler(sampler: Sampler) -> Any:  # noqa: ANN401
    """diffusers' scheduler: dpm++2m with Karras sigmas as diffusers documents it for Kolors, the others with Kolors'
    schedule and their own defaults.
    """
    if sampler == "dpm++2m":
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

        return DPMSolverMultistepScheduler(**SCHEDULE, use_karras_sigmas=True)
    if sampler == "unipc":
        from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        return UniPCMultistepScheduler(**SCHEDULE)
    from diffusers.schedulers.scheduling_lcm import LCMScheduler

    return LCMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=False)

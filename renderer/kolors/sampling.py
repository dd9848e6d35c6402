"""From noise to latents: the denoising loop, in which the UNet tells a sampler what is noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor, nn

from renderer.kolors.attention import text_kept
from renderer.kolors.card import WHOLE, Interval
from renderer.kolors.quick.deep_cache import DeepCache
from renderer.kolors.samplers import Stepper
from renderer.kolors.weights import Denoiser

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

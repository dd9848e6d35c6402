"""The samplers: each walks a batch from noise to latents, over the noise schedule that Kolors was trained with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from renderer.kolors.card import Sampler
from renderer.kolors.diffsynth import ddim_class

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
RHO = 7.0
"""How much closer Karras' noise levels lie where there is little noise (arXiv:2206.00364, appendix D.1)."""


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


def make_stepper(sampler: Sampler, steps: int, generators: Sequence[torch.Generator]) -> Stepper:
    """A sampler for one batch. What it draws (lcm), it draws for each take from that take's own generator."""
    if sampler == "ddim":
        return _Ddim(steps)
    if sampler in ("euler", "euler-trailing"):
        return _Euler(steps, trailing=sampler == "euler-trailing")
    if sampler == "dpm++2m":
        return _DpmPlusPlus2M(steps)
    return _FromDiffusers(sampler, steps, list(generators))


def _noise_levels() -> Tensor:
    """fp32 [1100]: how much noise there is for each part of picture, by timestep, least first."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAIN_STEPS, dtype=torch.float32) ** 2
    clean = torch.cumprod(1 - betas, dim=0)
    return ((1 - clean) / clean).sqrt()


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
        if trailing:  # rounded as diffusers does it, by the same numbers
            times = torch.from_numpy(np.arange(TRAIN_STEPS, 0, -TRAIN_STEPS / steps)[:steps].round() - 1)
        else:
            times = torch.arange(steps).flip(0) * (TRAIN_STEPS // steps) + STEPS_OFFSET
        levels = _noise_levels()[times.long().clamp(max=TRAIN_STEPS - 1)]
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


class _DpmPlusPlus2M:
    """DPM-Solver++(2M) (arXiv:2211.01095, algorithm 2) over Karras' noise levels (arXiv:2206.00364, equation 5 with
    ρ = 7), as diffusers runs `DPMSolverMultistepScheduler` with `use_karras_sigmas`, which its pages on Kolors do:
    written out, since importing that takes seconds.

    What the UNet finds clean is carried on from the step before, but not into the last step, which ends at no noise.
    """

    init_noise_sigma: float | Tensor = 1.0

    def __init__(self, steps: int) -> None:
        known = _noise_levels().double().numpy()
        ends = known[-1] ** (1 / RHO), known[0] ** (1 / RHO)
        levels = np.linspace(*ends, steps) ** RHO
        places = np.interp(np.log(levels), np.log(known), np.arange(TRAIN_STEPS))
        self.timesteps: Tensor = torch.from_numpy(places.round()).float()
        self._levels: list[float] = [*levels.tolist(), 0.0]
        self._done = 0
        self._before: Tensor | None = None

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return sample

    def step(self, noise: Tensor, timestep: Tensor, sample: Tensor) -> Tensor:
        level, after = self._levels[self._done : self._done + 2]
        now, then = (1 / math.hypot(it, 1) for it in (level, after))  # what is left of the picture's own numbers
        clean = sample / now - level * noise
        aim = clean
        if self._before is not None and after > 0:
            # Of the last step to this one, in logarithms of noise levels.
            ratio = math.log(self._levels[self._done - 1] / level) / math.log(level / after)
            aim = clean + (clean - self._before) / (2 * ratio)
        self._before = clean
        self._done += 1
        return (after * then) / (level * now) * sample + then * (1 - after / level) * aim


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
    """diffusers' scheduler with Kolors' schedule and its own defaults."""
    if sampler == "unipc":
        from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        return UniPCMultistepScheduler(**SCHEDULE)
    from diffusers.schedulers.scheduling_lcm import LCMScheduler

    return LCMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=False)

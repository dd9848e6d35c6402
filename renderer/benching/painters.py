"""Those that paint the same pictures in one process with the same weights: this program and two others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from renderer.benching.parts import Parts
from renderer.benching.report import Who
from renderer.benching.work import SAMPLER, Work
from renderer.errors import ModelError
from renderer.kolors.card import Draft, Precision, Sampler
from renderer.kolors.device import DTYPES, exact_kernels, vae_dtype, wide
from renderer.kolors.samplers import SCHEDULE, make_stepper
from renderer.kolors.sampling import denoise
from renderer.kolors.studio import Studio
from renderer.kolors.weights import Denoiser


class BatchPainter(Protocol):
    """Paints `batch` pictures at once; `precision` is its UNet's number format, `weights` how many bytes it needs.

    `compile_seconds` went into compiling so far; None where nothing is.
    """

    who: Who
    batch: int
    precision: Precision
    weights: int
    compile_seconds: float | None

    def denoise(self, steps: int) -> Tensor:
        """Latents [batch, 4, height/8, width/8] on the device, from the noise of the work."""
        ...

    def decode(self, latents: Tensor) -> None:
        """Makes pictures of them, in the computer's memory."""
        ...


class Own:
    """This program, by the functions with which it renders stories."""

    def __init__(self, work: Work, studio: Studio, vae: nn.Module, batch: int, compiled: bool = False) -> None:
        """`studio` is prepared; of `vae` only the size is read, which is that of the studio's own."""
        self.who: Who = "storyboard (compiled)" if compiled else "storyboard"
        self.compile_seconds: float | None = None
        self._is_compiled = compiled
        self.batch, self.precision = batch, work.precision
        self.weights = _bytes(studio.denoiser.unet, studio.denoiser.text_projection, vae)
        self._work, self._studio = work, studio
        self._sampler: Sampler = SAMPLER
        self._quick: dict[str, Any] = {}

    def denoise(self, steps: int) -> Tensor:
        with exact_kernels(self._work.precision, strict=False), self._studio.compiling(self._is_compiled) as use:
            latents = denoise(
                self._studio.denoiser,
                self._work.noise(self.batch),
                self._work.conditions(self.batch, DTYPES[self.precision]),
                make_stepper(self._sampler, steps, []),
                self._work.guidance,
                **self._quick,
            )
        if use.ran:
            self.compile_seconds = (self.compile_seconds or 0.0) + use.seconds
        return latents

    def decode(self, latents: Tensor) -> None:
        with exact_kernels(self._work.precision, strict=False):
            for each in latents:
                try:
                    self._studio.decode(each)
                except FloatingPointError as error:
                    raise ModelError(f"{error}, in {self._work.precision}. Choose another --precision.") from error


class Drafts(Own):
    """This program, painting drafts."""

    def __init__(self, work: Work, studio: Studio, vae: nn.Module, batch: int, draft: Draft) -> None:
        super().__init__(work, studio, vae, batch)
        self.who = "storyboard (draft)"
        self._sampler, self._most_steps = draft.sampler, draft.steps
        self._quick = {"guidance_interval": draft.guidance_interval, "cache_interval": draft.cache_interval}

    def denoise(self, steps: int) -> Tensor:
        return super().denoise(min(steps, self._most_steps))


class PlainLoop:
    """The loop that users of DiffSynth write: one picture, a call for the prompt and one for the negative each step.

    fp16, on the CPU fp32; nothing compiled, fused or kept. Latents stay in the UNet's type, as they do there.
    """

    who: Who = "plain loop"
    batch = 1
    compile_seconds: float | None = None

    def __init__(self, work: Work, parts: Parts, denoiser: Denoiser, vae: nn.Module) -> None:
        """With the weights of `denoiser`, shared where type and layout are the same; decodes by `vae`."""
        self.precision: Precision = "fp32" if work.device.type == "cpu" else "fp16"
        self.dtype = DTYPES[self.precision]
        with torch.device("meta"):
            self._unet = parts.build_plain_unet()
        _give(self._unet, denoiser.unet.state_dict(), self.dtype)
        self._projection, self._vae, self._work = denoiser.text_projection, vae, work
        self.weights = _bytes(self._unet, vae)

    @torch.no_grad()
    def denoise(self, steps: int) -> Tensor:
        stepper = make_stepper(SAMPLER, steps, [])
        positive, negative = self._told()
        latents = self._work.noise(1).to(self.dtype) * stepper.init_noise_sigma
        for timestep in stepper.timesteps:
            seen, now = stepper.scale_model_input(latents, timestep), timestep.to(self._work.device)
            wanted = self._unet(seen, now, **positive)
            unwanted = self._unet(seen, now, **negative)
            latents = stepper.step(unwanted + self._work.guidance * (wanted - unwanted), timestep, latents)
        return latents

    def _told(self) -> list[dict[str, Any]]:
        told = self._work.conditions(1, self._projection.weight.dtype)
        return [
            {
                "encoder_hidden_states": self._projection(states).to(self.dtype),
                "added_cond_kwargs": {"text_embeds": pooled.to(self.dtype), "time_ids": told.time_ids[None]},
            }
            for states, pooled in (
                (told.states, told.pooled),
                (cast(Tensor, told.negative_states), cast(Tensor, told.negative_pooled)),
            )
        ]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> None:
        scaled = latents / cast(float, self._vae.scaling_factor)
        picture = cast(Callable[[Tensor], Tensor], self._vae.decode)(scaled.to(next(self._vae.parameters()).dtype))
        ((picture.clamp(-1, 1) + 1) * 127.5).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


class Diffusers:
    """`diffusers.KolorsPipeline` in the precision of the work (of 8 bits it knows nothing), with its text states given.

    Its VAE has the type that this program decodes in, which spares it the conversion at each call that its own
    handling of fp16 costs, and slices batches, without which large ones run out of memory.
    """

    who: Who = "diffusers"
    compile_seconds: float | None = None

    def __init__(self, work: Work, pipeline: Any, batch: int) -> None:  # noqa: ANN401
        self.batch, self.precision, self.dtype = batch, wide(work.precision), DTYPES[work.precision]
        self.weights = _bytes(pipeline.unet, pipeline.vae)
        self._work, self._pipeline = work, pipeline

    def denoise(self, steps: int) -> Tensor:
        told = self._work.conditions(self.batch, self.dtype)
        latents: Tensor = self._pipeline(
            prompt_embeds=told.states,
            pooled_prompt_embeds=told.pooled,
            negative_prompt_embeds=told.negative_states,
            negative_pooled_prompt_embeds=told.negative_pooled,
            latents=self._work.noise(self.batch).to(self.dtype),
            width=self._work.width,
            height=self._work.height,
            num_inference_steps=steps,
            guidance_scale=self._work.guidance,
            output_type="latent",
        ).images
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> None:
        vae = self._pipeline.vae
        pictures = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype), return_dict=False)[0]
        self._pipeline.image_processor.postprocess(pictures, output_type="pil")


def kolors_pipeline(work: Work, parts: Parts, denoiser: Denoiser, vae: nn.Module) -> Any:  # noqa: ANN401
    """diffusers' pipeline without text encoder, with these weights, shared where type and layout are the same."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its text encoder's use of torch.jit.script, at import
        from diffusers.pipelines.kolors.pipeline_kolors import KolorsPipeline
    with torch.device("meta"):
        unet, decoder = UNet2DConditionModel.from_config(parts.unet), AutoencoderKL.from_config(parts.vae)
    projection = {f"encoder_hid_proj.{name}": it for name, it in denoiser.text_projection.state_dict().items()}
    _give(unet, {**denoiser.unet.state_dict(), **projection}, DTYPES[work.precision])
    _give(decoder, vae.state_dict(), vae_dtype(work.device, work.precision))
    decoder.enable_slicing()
    scheduler = EulerDiscreteScheduler(**SCHEDULE)
    pipeline = KolorsPipeline(vae=decoder, text_encoder=None, tokenizer=None, unet=unet, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _give(module: nn.Module, state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Has a module made on the meta device use these tensors, in the plain layout in which such modules have them."""
    module.load_state_dict({name: it.to(dtype).contiguous() for name, it in state.items()}, assign=True)
    module.eval().requires_grad_(False)


def _bytes(*modules: nn.Module) -> int:
    return sum(it.numel() * it.element_size() for module in modules for it in module.parameters())

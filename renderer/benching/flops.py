"""How much arithmetic a picture takes: counted once, on the real modules without their numbers.

Tensors on torch's meta device have shapes only, so that counting costs no memory and no kernel of a device hides
what it does (the CPU's fused attention counts as nothing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from renderer.benching.parts import Parts
from renderer.kolors.card import WHOLE, Draft
from renderer.kolors.chatglm import Layer, Place
from renderer.kolors.samplers import make_stepper
from renderer.kolors.sampling import LATENT_CHANNELS, LATENT_FACTOR, Conditions, denoise
from renderer.kolors.weights import Denoiser, build_unet

META = torch.device("meta")


@dataclass(frozen=True, slots=True)
class Flops:
    """Multiplications and additions for one picture: `forward` is the UNet called once for one picture, `denoising`
    all that this program does in all steps, `plain` the same without anything kept from step to step, `drafting` all
    that a draft takes. `reading` is one text through all layers of ChatGLM3.
    """

    forward: int
    denoising: int
    plain: int
    drafting: int
    decoding: int
    reading: int


def count_flops(work: Callable[[], object]) -> int:
    """Of everything that `work` multiplies: linear layers, convolutions, attention."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def picture_flops(
    parts: Parts, width: int, height: int, steps: int, text_length: int, draft: Draft | None = None
) -> Flops:
    """For a guided picture of that size (pixels), with texts of `text_length` pieces."""
    latents = torch.empty(1, LATENT_CHANNELS, height // LATENT_FACTOR, width // LATENT_FACTOR, device=META)
    with META:
        unet = build_unet(parts.unet)
        projection = nn.Linear(parts.unet["encoder_hid_dim"], parts.unet["cross_attention_dim"])
    denoiser = Denoiser(unet, projection)
    one, two = (_denoising(denoiser, latents, _whole(count), text_length) for count in (1, 2))
    forward = count_flops(lambda: _forward(unet, parts.unet, latents, text_length))
    return Flops(
        forward=forward,
        denoising=one + (steps - 1) * (two - one),
        plain=2 * steps * forward,
        drafting=0 if draft is None else _denoising(denoiser, latents, _shortened(draft, steps), text_length),
        decoding=count_flops(lambda: _decode(parts, latents)),
        reading=_reading(parts.text, text_length),
    )


def _whole(steps: int) -> Draft:
    """So many steps in which nothing is left out."""
    return Draft(sampler="euler", steps=steps, guidance_interval=WHOLE, cache_interval=1)


def _shortened(draft: Draft, steps: int) -> Draft:
    """A draft of a picture of so many steps, which takes no more."""
    return draft.model_copy(update={"steps": min(steps, draft.steps)})


def _forward(unet: nn.Module, config: dict[str, Any], latents: Tensor, text_length: int) -> None:
    states = torch.empty(1, text_length, config["cross_attention_dim"], device=META)
    pooled, time_ids = torch.empty(1, config["encoder_hid_dim"], device=META), torch.empty(1, 6, device=META)
    unet(latents, torch.empty((), device=META), states, added_cond_kwargs={"text_embeds": pooled, "time_ids": time_ids})


def _denoising(denoiser: Denoiser, latents: Tensor, way: Draft, text_length: int) -> int:
    width = denoiser.text_projection.in_features
    states, pooled = torch.empty(1, text_length, width, device=META), torch.empty(1, width, device=META)
    told = Conditions(states, pooled, torch.empty(6, device=META), states, pooled)
    stepper = make_stepper(way.sampler, way.steps, [])
    work = partial(denoise, guidance_interval=way.guidance_interval, cache_interval=way.cache_interval)
    return count_flops(lambda: work(denoiser, latents, told, stepper, 5.0))


def _decode(parts: Parts, latents: Tensor) -> None:
    with META:
        vae = parts.build_vae()
    cast(Callable[[Tensor], Tensor], vae.decode)(latents)


def _reading(config: dict[str, Any], length: int) -> int:
    """All layers are alike: one is counted."""
    with META:
        layer = Layer(config)
        place = Place(torch.empty(length, 1, config["kv_channels"] // 4, 2), None)
    hidden = torch.empty(length, config["hidden_size"], device=META)
    return int(config["num_layers"]) * count_flops(lambda: layer(hidden, place))

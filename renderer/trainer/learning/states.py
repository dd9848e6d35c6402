"""What the UNet is trained on: pictures as latents, captions as text states."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from renderer.errors import TrainingError
from renderer.kolors.encoder import Encoded, TextEncoder
from renderer.kolors.weights import load_vae
from renderer.trainer.dataset import Sample, open_picture
from renderer.trainer.learning.crops import View, show
from renderer.trainer.recipe import Recipe


class States(Protocol):
    """Where latents and text states come from: computed at each call, or read from disk. The numbers are the same."""

    def latents(self, sample: Sample, view: View) -> Tensor:
        """A view of a picture as the mean that the autoencoder makes of it, scaled: fp32 [4, h, w]."""
        ...

    def text(self, text: str) -> Encoded:
        """A text as the model reads it."""
        ...


class LiveStates:
    """States computed at each call, one at a time; a network is loaded when it is first needed."""

    def __init__(self, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> None:
        self._recipe, self._device, self._dtype = recipe, device, dtype

    def latents(self, sample: Sample, view: View) -> Tensor:
        """The view's latents, on the device; computed in fp32, whatever is trained in. Raises TrainingError."""
        pixels = _pixels(sample, view).unsqueeze(0).to(self._device)
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            encoded = cast(Callable[[Tensor], Any], self._vae.encode)(pixels)
            return cast(Tensor, encoded.mean[0] * cast(float, self._vae.scaling_factor))

    def text(self, text: str) -> Encoded:
        """The text's states, on the device, in the type that the text encoder is loaded in."""
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            return self._encoder.encode(text)

    @cached_property
    def _vae(self) -> nn.Module:
        return load_vae(self._recipe.model_folder, self._device, torch.float32)

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder(self._recipe.model_folder, self._recipe.card.text_length, self._device, self._dtype)


def _pixels(sample: Sample, view: View) -> Tensor:
    try:
        return show(open_picture(sample.path), view)
    except (OSError, ValueError, SyntaxError) as error:
        raise TrainingError(
            f"{sample.path}: can't be read any more: {error}. Put the picture back as it was, and train again to go on."
        ) from error

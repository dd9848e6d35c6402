"""The model under measurement: a folder's, or one with random weights, behind the same few functions."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from renderer.benching.clock import timed
from renderer.benching.parts import FULL_SIZE, Parts, parts_of
from renderer.benching.random_weights import RandomReader, RandomStudio, random_denoiser, random_module
from renderer.kolors.card import ModelCard, Precision
from renderer.kolors.device import DTYPES, vae_dtype
from renderer.kolors.encoder import Encoded, Prompt, encode_prompts
from renderer.kolors.studio import Studio
from renderer.kolors.weights import Denoiser, load_denoiser, load_vae

PROMPT = "动漫风格，紫色短发小女孩，在星空下许愿，夜晚"
NEGATIVE = "模糊，变形"


class Subject(Protocol):
    """`parts` are its configurations; `loads` and `reads` say what is timed of loading it and of its reading texts."""

    parts: Parts
    loads: str
    reads: str

    def studio(self) -> Studio:
        """UNet and VAE, ready to paint. Raises ModelError."""
        ...

    def unrounded(self) -> Denoiser:
        """UNet and projection of the same weights, none of them in 8 bits. Raises ModelError."""
        ...

    def vae(self) -> nn.Module:
        """Another VAE of the same weights. Raises ModelError."""
        ...

    def read(self) -> tuple[float, tuple[Encoded, Encoded]]:
        """Seconds that reading a prompt and a negative takes, and their states. Raises ModelError."""
        ...


class FromFolder:
    """A model folder, loaded as renders load it."""

    loads = "UNet and VAE, from their files (once)"
    reads = "a prompt and a negative, ChatGLM3 read from its files meanwhile"

    def __init__(self, folder: Path, card: ModelCard, device: torch.device, precision: Precision) -> None:
        self.parts = parts_of(folder)
        self._folder, self._card, self._device, self._precision = folder, card, device, precision

    def studio(self) -> Studio:
        studio = Studio(self._folder, self._device)
        studio.prepare(self._precision)
        return studio

    def unrounded(self) -> Denoiser:
        return load_denoiser(self._folder, self._device, DTYPES[self._precision])

    def vae(self) -> nn.Module:
        return load_vae(self._folder, self._device, vae_dtype(self._device, self._precision))

    def read(self) -> tuple[float, tuple[Encoded, Encoded]]:
        prompts = (Prompt(PROMPT), Prompt(NEGATIVE))
        length, dtype = self._card.text_length, DTYPES[self._precision]
        read = partial(encode_prompts, self._folder, prompts, length, self._device, dtype)
        seconds, found = timed(self._device, read)
        return seconds, (found[prompts[0]], found[prompts[1]])


class OfRandomWeights:
    """Kolors at full size with weights drawn on the device, or another model's parts in the same way."""

    loads = "UNet and VAE: random, nothing to load"
    reads = "a prompt and a negative, all layers in memory"

    def __init__(self, device: torch.device, precision: Precision, text_length: int, parts: Parts = FULL_SIZE) -> None:
        self.parts = parts
        self._device, self._precision, self._length = device, precision, text_length
        self._reader: RandomReader | None = None

    def studio(self) -> Studio:
        studio = RandomStudio(self.parts, self._device)
        studio.prepare(self._precision)
        return studio

    def unrounded(self) -> Denoiser:
        return random_denoiser(self.parts, self._device, DTYPES[self._precision])

    def vae(self) -> nn.Module:
        return random_module(self.parts.build_vae, "vae", self._device, vae_dtype(self._device, self._precision))

    def read(self) -> tuple[float, tuple[Encoded, Encoded]]:
        reader = self._reader or RandomReader(self.parts, self._length, self._device, DTYPES[self._precision])
        self._reader = reader
        seconds, (prompt, negative) = timed(self._device, lambda: reader.encode((0, 1)))
        return seconds, (prompt, negative)

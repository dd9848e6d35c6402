"""The bytes that a model takes of a device and of the computer, for what is to be painted and how. Needs no torch."""

from __future__ import annotations

from renderer.kolors.fitting.placement import Job, Placement, Room
from renderer.kolors.fitting.sizes import ModelSizes

TILE = 64
"""Latents along a side of a tile, where pictures are decoded in tiles: 512 pixels."""
SLOTS = 2
"""Parts of a streamed UNet on the device at a time: one at work, the next on its way."""

HELD = 1.07
"""Of weights on a GPU: what torch's allocator holds for them, since its segments are never quite full. Replayed with
its rules: 5.92 GB for the 5.55 of Kolors' UNet and autoencoder.
"""
ROUND = 1.05
"""Of working memory: what is counted, and what is too small to be."""
FLOAT8_WORKING = 1.8
"""Of working memory in 8 bits, on devices that can't multiply such numbers and hold them in wider types meanwhile."""
TILED_BYTES = 32
"""For each pixel of a picture that is put together of tiles: their sum in fp32, its weights, and the quotient."""
SPARE = 1.2
"""Of working memory, reserved for what isn't counted: cuDNN's workspaces, and pieces that no tensor fits into."""
GRAPHS = 2
"""CUDA graphs that are kept at most: each keeps the working memory of its call for itself."""
MARGIN = 384 * 1024**2
"""Bytes left free beside all that: cuBLAS' workspace (32 MiB), kernels that CUDA loads when they are first used, and
what LoRAs take while they are merged."""
HOST_SHARE = 1.3
"""Of the UNet's bytes, in the computer's memory, where it waits or is streamed from: pinned blocks are rounded up to
powers of two."""


class Needs:
    """Those of one model, for one job on one kind of device."""

    def __init__(self, sizes: ModelSizes, job: Job, room: Room) -> None:
        self._sizes, self._job, self._room = sizes, job, room
        self._bytes = 4 if job.precision == "fp32" else 2
        # As `device.vae_dtype`: half of fp32 where painting itself is in a type of its range.
        self._vae_bytes = 2 if room.kind == "cuda" and job.precision in ("bf16", "fp8") else 4

    @property
    def unet(self) -> float:
        return self._sizes.unet * self._bytes - (self._sizes.rounded if self._job.precision == "fp8" else 0)

    @property
    def hosted(self) -> float:
        """In the computer's memory, where the UNet is not on the device all the time."""
        return self.unet * HOST_SHARE

    def peak(self, placement: Placement) -> int:
        """The most at any time: while denoising, or while decoding."""
        held = HELD if self._room.kind == "cuda" else 1.0
        unet = held * (self.unet if placement.unet == "whole" else self._streamed)
        while_decoding = 0 if placement.decoding == "waiting" else unet
        others = held * self._sizes.vae * self._vae_bytes + self._job.added
        denoising = unet + self.denoising(placement.apart) * placement.batch
        return round(others + max(denoising, while_decoding + self.decoding(placement.decoding == "tiles")))

    def denoising(self, apart: bool) -> float:
        """Beside the weights, for one picture of a batch."""
        job, sizes = self._job, self._sizes
        texts = 2 if job.guided else 1
        rows = 1 if apart else texts
        # Features are kept for each text, however these go through, and for the prompt where it goes alone; keys and
        # values of the text only where all go through together.
        deep = sizes.deep * (texts + 1) * job.keeping
        latents = job.width * job.height / 64 * (sizes.working * self._eight * rows + deep)
        words = sizes.length * (2 * sizes.states * texts + sizes.kept * texts * (not apart))
        return (latents * ROUND + words) * self._bytes * SPARE

    def decoding(self, tiled: bool) -> float:
        """Beside the weights, for one picture."""
        pixels = self._job.width * self._job.height
        seen = min(self._job.width, 8 * TILE) * min(self._job.height, 8 * TILE) if tiled else pixels
        return seen * self._sizes.decoding * ROUND * self._vae_bytes * SPARE + TILED_BYTES * pixels

    @property
    def _streamed(self) -> float:
        return (self._sizes.staying + SLOTS * self._sizes.largest) * self._bytes

    @property
    def _eight(self) -> float:
        return FLOAT8_WORKING if self._job.precision == "fp8" else 1.0

    def is_roomy(self, placement: Placement) -> bool:
        graphs = GRAPHS * self.denoising(placement.apart) * placement.batch
        return placement.plain and self.peak(placement) + graphs + MARGIN <= self._room.free

    def fits(self, placement: Placement) -> bool:
        uses_host = placement.unet == "streamed" or placement.decoding == "waiting"
        if uses_host and self._room.host is not None and self.hosted > self._room.host:
            return False
        return self.peak(placement) + MARGIN <= self._room.free

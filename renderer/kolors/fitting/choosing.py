"""How a picture is painted within a device's memory: decided from sizes alone, before anything is loaded.

The first of these that fits: negative and prompt in one call, by the whole UNet on the device, else by one that is
streamed from the computer's memory; then the same in two calls. With each, pictures are decoded in one piece, else in
one piece while the UNet waits in the computer's memory, else in tiles. Streaming comes before two calls: it changes no
bit, leaves room for larger batches, and copies (4.6 GB at Kolors' size) while it computes. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from renderer.kolors.fitting.needs import MARGIN, Needs
from renderer.kolors.fitting.placement import Job, Placement, Room, Unet, gigabytes
from renderer.kolors.fitting.sizes import ModelSizes

STRICT_BATCH = 1
"""Pictures at once where `reproducible: strict` is asked for.

Which kernel multiplies a matrix, and how it walks the rows, is chosen by the number of rows: in a batch of another size
a picture differs in its last bits, and whether its place in a batch matters is up to the kernel. Alone, it has no place
and no neighbours on any device, and memory can't change that.
"""
CPU_BATCH = 8
CPU_PIXELS = 4 * 256 * 256
"""Pictures, and pixels, at once on the CPU. Measured with the miniature at 128x128 on two cores: 0.48 s for a picture
painted alone, 0.22 s in batches of four, 0.19 s in batches of eight. Large pictures gain nothing from company."""
GPU_BATCH = 64
GPU_PIXELS = 8 * 1024 * 1024
"""Pictures, and pixels, at once on a GPU: beyond eight pictures of 1024² a batch only takes longer."""


def place(sizes: ModelSizes, job: Job, room: Room, pictures: int | None = None) -> Placement | None:
    """How a model paints so many pictures of this (None: any number) within this room, with as many at a time as fit;
    None where nothing fits.

    `strict` takes are placed exactly, one at a time. More room never gives a placement later in the order above.
    """
    needs, most = Needs(sizes, job, room), min(_most(job, room), pictures or GPU_BATCH)
    fitting = (found for tried in _orders(job, room) if (found := _fitted(needs, tried, most)))
    return next(fitting, None)


def reckless(sizes: ModelSizes, job: Job, room: Room) -> Placement:
    """How it is painted where nothing is sure to fit, and memory is for the system to find: the CPU's, Apple's."""
    needs = Needs(sizes, job, room)
    alone = Placement("whole", False, _most(job, room), "whole", 0)
    return replace(alone, peak=needs.peak(alone))


def unfit_words(sizes: ModelSizes, job: Job, room: Room, device: str) -> str:
    """Why nothing fits, and what to do."""
    needs = Needs(sizes, job, room)
    least = min((needs.peak(tried) for tried in _orders(job, room)), default=0) + MARGIN
    what = f"{job.width}x{job.height} in {job.precision}"
    if job.strict and place(sizes, replace(job, strict=False), room):
        return (
            f"{what} with `reproducible: strict` takes {gigabytes(least)} on {device}, where {gigabytes(room.free)} "
            "are free: leave `strict` out, which allows ways that take less, or choose a smaller size."
        )
    if least <= room.free and room.host is not None:
        return (
            f"{what} fits on {device} only with the UNet in the computer's memory, of which {gigabytes(room.host)} are "
            f"free and {gigabytes(needs.hosted)} are needed: close other programs, or choose a smaller size."
        )
    cheaper = {"fp32": " or `precision: fp16`", "fp16": "", "bf16": "", "fp8": ""}[job.precision]
    return (
        f"{what} takes at least {gigabytes(least)} on {device}, where {gigabytes(room.free)} are free: choose a "
        f"smaller size{cheaper}, or close other programs that use the device."
    )


def _orders(job: Job, room: Room) -> Iterator[Placement]:
    """All ways to paint one picture, best first, without their peaks."""
    unets: tuple[Unet, ...] = ("whole", "streamed") if room.kind == "cuda" else ("whole",)
    for apart in (False, True) if job.guided and not job.strict else (False,):
        for unet in unets:
            yield Placement(unet, apart, 1, "whole", 0)
            if unet == "whole" and room.kind == "cuda":
                yield Placement(unet, apart, 1, "waiting", 0)
            if not job.strict:
                yield Placement(unet, apart, 1, "tiles", 0)


def _fitted(needs: Needs, alone: Placement, most: int) -> Placement | None:
    """A way to paint one picture, with as many at a time as fit; None where one doesn't."""
    found = None
    for batch in range(1, most + 1):
        tried = replace(alone, batch=batch)
        if not needs.fits(tried):
            break
        found = replace(tried, peak=needs.peak(tried), roomy=needs.is_roomy(tried))
    return found


def _most(job: Job, room: Room) -> int:
    """How many pictures at once are worth it, whatever the room."""
    if job.strict:
        return STRICT_BATCH
    pixels = job.width * job.height
    most, area = (GPU_BATCH, GPU_PIXELS) if room.kind == "cuda" else (CPU_BATCH, CPU_PIXELS)
    return max(1, min(most, area // pixels))

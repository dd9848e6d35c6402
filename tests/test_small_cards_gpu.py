"""Kolors at full size, with random weights, on a GPU of which only so much may be used; skipped where there is none."""

from __future__ import annotations

import gc
from contextlib import contextmanager, nullcontext

import pytest
import torch

from renderer.benching.parts import FULL_SIZE
from renderer.benching.random_weights import RandomStudio
from renderer.kolors import memory
from renderer.kolors.device import exact_kernels
from renderer.kolors.fitting.choosing import place, unfit_words
from renderer.kolors.fitting.needs import MARGIN
from renderer.kolors.fitting.placement import Job
from renderer.kolors.fitting.sizes import KOLORS_SIZES
from renderer.kolors.samplers import make_stepper
from renderer.kolors.sampling import Conditions, denoise

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

GB = 10**9
STEPS = 2
TEXT, POOLED = 4096, 4096


@pytest.fixture
def device():
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def allowed(device, size):
    """A card on which this process may take no more than `size` bytes."""
    total = torch.cuda.get_device_properties(device).total_memory
    if total < size:
        pytest.skip(f"the card has less than {size / GB:.0f} GB")
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    torch.cuda.set_per_process_memory_fraction(size / total, device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()


def conditions(device, dtype, batch, job):
    generator = torch.Generator(device).manual_seed(3)
    states = torch.randn(batch, KOLORS_SIZES.length, TEXT, generator=generator, device=device, dtype=dtype)
    pooled = torch.randn(batch, POOLED, generator=generator, device=device, dtype=dtype)
    time_ids = torch.tensor([job.height, job.width, 0, 0, job.height, job.width], dtype=torch.float32, device=device)
    return Conditions(states, pooled, time_ids, *((states, pooled) if job.guided else ()))


def painted(studio, placement, job, batch):
    """Latents and the first picture, as the painter makes them."""
    device, unet = studio.device, studio.denoiser.unet
    noise = torch.randn(batch, 4, job.height // 8, job.width // 8, generator=torch.Generator().manual_seed(7))
    latents = denoise(
        studio.denoiser,
        noise.to(device),
        conditions(device, next(unet.parameters()).dtype, batch, job),
        make_stepper("euler", STEPS, []),
        5.0,
        apart=placement.apart,
        cache_interval=2 if job.keeping else 1,
    )
    with studio.unet_away() if placement.decoding == "waiting" else nullcontext():
        return latents.cpu(), studio.decode(latents[0], job.strict, tiled=placement.decoding == "tiles")


@pytest.mark.parametrize("size", [24, 12, 8, 6, 4])
@pytest.mark.parametrize(
    "job",
    [
        Job(1024, 1024, "fp16"),
        Job(1024, 1024, "bf16"),
        Job(1024, 1024, "fp8"),
        Job(1024, 1024, "fp16", strict=True),
        Job(1024, 1024, "fp16", keeping=True),
        Job(1536, 1024, "fp16"),
    ],
    ids=str,
)
def test_what_a_placement_accepts_never_runs_out_of_memory(device, size, job, caplog):
    with allowed(device, size * GB):
        room = memory.room_of(device, 0)
        assert room.free <= size * GB
        placement = place(KOLORS_SIZES, job, room)
        if placement is None:
            pytest.skip(unfit_words(KOLORS_SIZES, job, room, "this budget"))
    before = torch.cuda.memory_allocated(device)
    studio = RandomStudio(FULL_SIZE, device)
    # Random weights in 8 bits are drawn in more of them first, which those from files never are.
    with allowed(device, size * GB) if job.precision != "fp8" else nullcontext():
        studio.prepare(job.precision, streamed=placement.unet == "streamed")
    with allowed(device, size * GB):
        shortages = torch.cuda.memory_stats(device).get("num_ooms", 0)
        try:
            with exact_kernels(job.precision, job.strict):
                _, picture = painted(studio, placement, job, placement.batch)
        finally:
            studio.release()  # also where a traceback keeps the studio
        assert picture.shape == (job.height, job.width, 3)
        taken, held = torch.cuda.max_memory_allocated(device) - before, torch.cuda.max_memory_reserved(device)
        shortages = torch.cuda.memory_stats(device).get("num_ooms", 0) - shortages
        print(
            f"{size} GB, {job}: {placement}; {taken / GB:.2f} GB were allocated, {held / GB:.2f} GB held at most; "
            f"{shortages} shortages (cuDNN tries algorithms that need more than there is)"
        )
        assert "out of memory" not in caplog.text
        assert taken <= placement.peak + MARGIN


def test_a_streamed_unet_gives_the_same_bits_and_copies_while_it_computes(device):
    job = Job(1024, 1024, "fp16", strict=True)
    whole = RandomStudio(FULL_SIZE, device)
    whole.prepare("fp16")
    placement = place(KOLORS_SIZES, job, memory.room_of(device, whole.resident))
    expected = painted(whole, placement, job, 1)[0]
    state = {name: it.cpu() for name, it in whole.denoiser.unet.state_dict().items()}
    projection = {name: it.cpu() for name, it in whole.denoiser.text_projection.state_dict().items()}
    whole.release()
    with allowed(device, 6 * GB):
        streamed = RandomStudio(FULL_SIZE, device)
        streamed.prepare("fp16", streamed=True)
        streamed.denoiser.text_projection.load_state_dict(projection)
        with torch.no_grad():
            for name, it in streamed.denoiser.unet.state_dict().items():
                it.copy_(state[name])
        streamed._streaming.forget()
        assert all(part.block.is_pinned() for part in streamed._streaming._parts.values())
        found = painted(streamed, placement, job, 1)[0]
    assert torch.equal(found, expected)

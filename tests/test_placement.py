"""Placements: what they reserve covers what is counted, and more memory never places worse."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from renderer.benching.parts import FULL_SIZE, parts_of
from renderer.kolors.attention import fuse_projections
from renderer.kolors.card import BUNDLED
from renderer.kolors.device import DTYPES, vae_dtype
from renderer.kolors.fitting import sizes as counts
from renderer.kolors.fitting.choosing import place, reckless, unfit_words
from renderer.kolors.fitting.machine import Machine
from renderer.kolors.fitting.needs import MARGIN, SPARE, Needs
from renderer.kolors.fitting.placement import Job, Room
from renderer.kolors.fitting.sizes import KOLORS_SIZES, sizes_of
from renderer.kolors.quick.float8 import use_float8
from renderer.kolors.samplers import make_stepper
from renderer.kolors.sampling import Conditions, denoise
from renderer.kolors.tiles import decode_in_tiles
from renderer.kolors.weights import Denoiser, build_unet
from tests.live_memory import peak_bytes

MINI = BUNDLED / "kolors-mini"
MODELS = {"kolors": (FULL_SIZE, KOLORS_SIZES), "kolors-mini": (parts_of(MINI), sizes_of(MINI))}
GIB = 1024**3
DESKTOP = 400 * 1024**2
"""What is taken of a card that shows a desktop."""
ORDER = ["whole", "streamed", "whole apart", "streamed apart"]


@cache
def without_numbers(model, dtype, float8=False):
    """A model's UNet and its projection of text states, as they paint, on the meta device."""
    parts, _ = MODELS[model]
    with torch.device("meta"):
        unet = build_unet(parts.unet)
        projection = nn.Linear(parts.unet["encoder_hid_dim"], parts.unet["cross_attention_dim"], dtype=dtype)
    unet = unet.to(dtype).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    if float8:
        use_float8(unet)
    fuse_projections(unet)
    return Denoiser(unet, projection)


def counted(model, job, batch=1, apart=False):
    """The most bytes that live while a batch is denoised, beside the weights."""
    parts, sizes = MODELS[model]
    dtype = DTYPES[job.precision]
    text = parts.unet["encoder_hid_dim"]
    pooled = parts.unet["projection_class_embeddings_input_dim"] - 6 * parts.unet["addition_time_embed_dim"]
    with torch.device("meta"):
        told = [torch.empty(batch, sizes.length, text, dtype=dtype), torch.empty(batch, pooled, dtype=dtype)]
        conditions = Conditions(*told, torch.empty(6), *(told if job.guided else ()))
        noise = torch.empty(batch, 4, job.height // 8, job.width // 8)
    denoiser = without_numbers(model, dtype, job.precision == "fp8")
    # Without its inference mode, in which the counter would see convolutions and norms from outside only.
    return peak_bytes(
        lambda: denoise.__wrapped__(
            denoiser,
            noise,
            conditions,
            make_stepper("ddim", 2 if job.keeping else 1, []),
            5.0,
            apart=apart,
            cache_interval=2 if job.keeping else 1,
        )
    )


def reserved(model, job, batch=1, apart=False):
    """What a placement reckons with for that, without what it spares."""
    return Needs(MODELS[model][1], job, Room("cuda", 0)).denoising(apart) * batch / SPARE


@pytest.mark.parametrize(
    ("model", "job", "batch", "apart"),
    [
        ("kolors", Job(1024, 1024, "fp16"), 1, False),
        ("kolors", Job(1024, 1024, "fp16"), 1, True),
        ("kolors", Job(1024, 1024, "fp16", guided=False), 1, False),
        ("kolors", Job(1024, 1024, "fp16"), 4, False),
        ("kolors", Job(768, 512, "fp32"), 1, False),
        ("kolors", Job(2048, 2048, "fp16"), 2, False),
        ("kolors", Job(1024, 1024, "fp16", keeping=True), 1, False),
        ("kolors", Job(1024, 1024, "fp16", keeping=True), 1, True),
        ("kolors", Job(1024, 1024, "fp8"), 1, False),
        ("kolors", Job(1024, 1024, "fp8"), 2, True),
        ("kolors-mini", Job(128, 128, "fp16"), 8, False),
        ("kolors-mini", Job(160, 96, "fp32"), 1, True),
    ],
)
def test_denoising_takes_what_is_reserved_for_it(model, job, batch, apart):
    found, expected = counted(model, job, batch, apart), reserved(model, job, batch, apart)
    assert found <= expected <= 1.3 * found, f"{found / 1e6:.1f} MB counted, {expected / 1e6:.1f} MB reserved"


@pytest.mark.parametrize(
    ("model", "width", "height", "precision", "tiled"),
    [
        ("kolors", 1024, 1024, "fp16", False),
        ("kolors", 1024, 1024, "bf16", False),
        ("kolors", 2048, 2048, "fp16", False),
        ("kolors", 1024, 1024, "fp16", True),
        ("kolors", 2048, 1536, "fp16", True),
        ("kolors-mini", 128, 128, "fp16", False),
    ],
)
def test_decoding_takes_what_is_reserved_for_it(model, width, height, precision, tiled):
    parts, sizes = MODELS[model]
    dtype = vae_dtype(torch.device("cuda"), precision)
    with torch.device("meta"):
        vae = parts.build_vae()
        latents = torch.empty(1, 4, height // 8, width // 8, dtype=dtype)
    vae = vae.to(dtype).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    found = peak_bytes(lambda: decode_in_tiles(vae.decode, latents) if tiled else vae.decode(latents))
    needs = Needs(sizes, Job(width, height, precision), Room("cuda", 0))
    expected = needs.decoding(tiled) / SPARE
    assert found <= expected <= 1.3 * found, f"{found / 1e6:.1f} MB counted, {expected / 1e6:.1f} MB reserved"


def test_the_sizes_of_the_real_kolors_are_those_of_its_layout():
    denoiser = without_numbers("kolors", torch.float16)
    weights = {name: it.numel() for name, it in denoiser.unet.state_dict().items()}
    weights |= {f"encoder_hid_proj.{name}": it.numel() for name, it in denoiser.text_projection.state_dict().items()}
    with torch.device("meta"):
        vae = FULL_SIZE.build_vae()
    found = counts._weight_counts(weights) | counts._working_counts(FULL_SIZE.unet)
    found |= {"vae": sum(it.numel() for it in vae.parameters())}
    found |= {"decoding": counts._decoding(FULL_SIZE.vae["block_out_channels"])}
    assert found == {name: getattr(KOLORS_SIZES, name) for name in found}


def test_what_fp8_rounds_is_known_from_names():
    denoiser = without_numbers("kolors", torch.bfloat16, float8=True)
    eight = sum(it.numel() for it in denoiser.unet.parameters() if it.dtype == torch.float8_e4m3fn)
    assert eight == KOLORS_SIZES.rounded


@pytest.mark.parametrize("precision", [*DTYPES])
@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_the_decoder_is_reckoned_with_in_its_own_type(kind, precision):
    needs = Needs(KOLORS_SIZES, Job(512, 512, precision), Room(kind, 0))
    assert needs._vae_bytes == vae_dtype(torch.device(kind), precision).itemsize
    assert needs._bytes == DTYPES[precision].itemsize


def on_a_card(gib, job, **changes):
    """The placement on a card of so many GiB that shows a desktop, in a computer with 32 GB to spare."""
    card = Machine("cuda", "card", gib * GIB, gib * GIB - DESKTOP, 32 * 10**9)
    found = place(KOLORS_SIZES, job, replace(card.room, **changes))
    return found and (found.unet + " apart" * found.apart, found.batch, found.decoding)


@pytest.mark.parametrize(
    ("gib", "job", "expected"),
    [
        (24, Job(1024, 1024, "fp16"), ("whole", 8, "whole")),
        (12, Job(1024, 1024, "fp16"), ("whole", 8, "whole")),
        (10, Job(1024, 1024, "fp16"), ("whole", 5, "waiting")),
        (8, Job(1024, 1024, "fp16"), ("whole", 2, "waiting")),
        (6, Job(1024, 1024, "fp16"), ("streamed", 6, "tiles")),
        (4, Job(1024, 1024, "fp16"), ("streamed", 3, "tiles")),
        (2, Job(1024, 1024, "fp16"), None),
        (8, Job(1024, 1024, "fp8"), ("whole", 3, "whole")),
        (6, Job(1024, 1024, "fp8"), ("whole", 1, "waiting")),
        (4, Job(1024, 1024, "bf16"), ("streamed", 3, "whole")),
        (24, Job(2048, 2048, "fp16"), ("whole", 2, "waiting")),
        (8, Job(2048, 2048, "fp16"), ("streamed", 2, "tiles")),
        (24, Job(1024, 1024, "fp16", strict=True), ("whole", 1, "whole")),
        (8, Job(1024, 1024, "fp16", strict=True), ("whole", 1, "waiting")),
        (7, Job(1024, 1024, "fp16", strict=True), ("streamed", 1, "whole")),
        (6, Job(1024, 1024, "bf16", strict=True), ("streamed", 1, "whole")),
        (6, Job(1024, 1024, "fp16", strict=True), None),
    ],
)
def test_what_is_chosen_on_cards_of_all_sizes(gib, job, expected):
    assert on_a_card(gib, job) == expected


def test_where_the_computer_itself_has_little_memory_the_unet_neither_waits_nor_streams():
    assert on_a_card(8, Job(1024, 1024, "fp16"), host=4 * 10**9) == ("whole", 2, "tiles")
    assert on_a_card(6, Job(1024, 1024, "fp16"), host=4 * 10**9) is None
    room = Machine("cuda", "card", 6 * GIB, 6 * GIB, 4 * 10**9).room
    assert "UNet in the computer's memory, of which 4.0 GB" in unfit_words(
        KOLORS_SIZES, Job(1024, 1024, "fp16"), room, "it"
    )


def test_words_say_what_to_do():
    small = Room("cuda", 2 * GIB, 32 * GIB)
    assert "`precision: fp16`" in unfit_words(KOLORS_SIZES, Job(2048, 2048, "fp32"), small, "cuda:0")
    strict = unfit_words(KOLORS_SIZES, Job(1024, 1024, "fp16", strict=True), Room("cuda", 5 * GIB, 32 * GIB), "cuda:0")
    assert "leave `strict` out" in strict
    assert "on cuda:0, where 2.1 GB are free" in unfit_words(KOLORS_SIZES, Job(2048, 2048, "fp16"), small, "cuda:0")


def test_batches_on_the_cpu():
    sizes, room = sizes_of(MINI), Room("cpu", 10 * GIB, 10 * GIB)
    for width, height, strict, batch in (
        (96, 96, False, 8),
        (256, 256, False, 4),
        (96, 96, True, 1),
        (512, 256, False, 2),
        (2048, 2048, False, 1),
    ):
        found = place(sizes, Job(width, height, "fp32", strict=strict), room)
        assert found is not None and (found.unet, found.batch) == ("whole", batch)
    assert place(sizes, Job(96, 96, "fp32"), room, pictures=3).batch == 3
    assert place(sizes, Job(96, 96, "fp32"), Room("cpu", 1, 1)) is None
    assert reckless(sizes, Job(96, 96, "fp32"), Room("cpu", 1, 1)).batch == 8


JOBS = st.builds(
    Job,
    st.integers(8, 128).map(lambda side: side * 32),
    st.integers(8, 128).map(lambda side: side * 32),
    st.sampled_from([*DTYPES]),
    guided=st.booleans(),
    strict=st.booleans(),
    keeping=st.booleans(),
    added=st.integers(0, 10**9),
)
FREE = st.integers(0, 100 * 10**9)
KINDS = st.sampled_from(["cuda", "cpu", "mps"])


def rank(found, strict_order=("whole", "waiting", "tiles")):
    """Where a placement stands in the order, the best the greatest; what decides last is how many pictures."""
    if found is None:
        return (-9, 0, 0)
    order = ORDER.index(found.unet + " apart" * found.apart)
    return (-order, -strict_order.index(found.decoding), found.batch)


@given(JOBS, KINDS, FREE, FREE, st.sampled_from([KOLORS_SIZES, sizes_of(MINI)]))
@settings(max_examples=300, deadline=None)
def test_more_memory_never_places_worse(job, kind, less, more, sizes):
    less, more = sorted((less, more))
    assert rank(place(sizes, job, Room(kind, less, less))) <= rank(place(sizes, job, Room(kind, more, more)))


@given(JOBS, KINDS, FREE, st.sampled_from([KOLORS_SIZES, sizes_of(MINI)]))
@settings(max_examples=300, deadline=None)
def test_what_is_accepted_leaves_the_margin_free(job, kind, free, sizes):
    found = place(sizes, job, Room(kind, free, 10**12))
    if found is None:
        return
    assert found.peak + MARGIN <= free
    assert not job.strict or (found.exact and found.batch == 1)
    assert f"about {found.peak / 1e9:.1f} GB" in str(found)

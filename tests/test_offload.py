"""A UNet streamed from the computer's memory: the same bits, and never more on the device than is reckoned with."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from renderer.errors import ModelError
from renderer.kolors.attention import fuse_projections, text_kept
from renderer.kolors.fitting.blocks import ALIGNED
from renderer.kolors.fitting.choosing import place
from renderer.kolors.fitting.needs import MARGIN, SLOTS, Needs
from renderer.kolors.fitting.offload import StreamedUNet
from renderer.kolors.fitting.placement import Job, Placement, Room
from renderer.kolors.fitting.sizes import part_of, sizes_of
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.sampling import denoise
from renderer.kolors.studio import Studio
from renderer.kolors.weights import load_denoiser
from renderer.take import Failed, Painted
from tests.loras import random_lora, save_kohya, use
from tests.test_kolors_painter import paint, pixels, take
from tests.tiny_kolors import LENGTH, WIDTH

CPU = torch.device("cpu")
PLENTY = 10**12


def unet_of(folder, precision=torch.float32, float8=False):
    unet = load_denoiser(folder, CPU, precision, float8=float8).unet
    fuse_projections(unet)
    return unet


def predict(unet, kept=True):
    generator = torch.Generator().manual_seed(5)
    dtype = next(unet.parameters()).dtype
    sample, states = (torch.randn(2, *shape, generator=generator).to(dtype) for shape in ((4, 8, 8), (LENGTH, 40)))
    added = {"text_embeds": torch.randn(2, WIDTH, generator=generator).to(dtype), "time_ids": torch.full((2, 6), 64.0)}
    with torch.inference_mode(), text_kept(unet, states) if kept else nullcontext():
        return unet(sample, torch.tensor(300), encoder_hidden_states=states, added_cond_kwargs=added)


@pytest.mark.parametrize("float8", [False, True])
def test_a_streamed_unet_gives_the_same_bits(folder, float8):
    dtype = torch.bfloat16 if float8 else torch.float32
    whole, streamed = unet_of(folder, dtype, float8), unet_of(folder, dtype, float8)
    StreamedUNet(streamed, CPU)
    for kept in (True, True, False, True):
        assert torch.equal(predict(whole, kept), predict(streamed, kept))


def test_only_slots_and_what_stays_are_on_the_device(folder):
    """Counted while each part is at work: nothing that it computes with lies where the computer's copies are."""
    unet = unet_of(folder)
    streaming = StreamedUNet(unet, CPU)
    homes = {part.block.data_ptr(): len(part.block) for part in streaming._parts.values()}
    slots = [(slot.block.data_ptr(), len(slot.block)) for slot in streaming._slots]
    seen = []

    def look(module, arguments):
        for parameter in module.parameters():
            at_home = any(start <= parameter.data_ptr() < start + size for start, size in homes.items())
            in_slot = any(start <= parameter.data_ptr() < start + size for start, size in slots)
            seen.append((at_home, in_slot))

    for name, module in unet.named_modules():
        if part_of(f"{name}.weight") and not [*module.children()]:
            module.register_forward_pre_hook(look)
    predict(unet)
    assert seen and set(seen) == {(False, True)}
    sizes = sizes_of(folder)
    aligned = SLOTS * ALIGNED * 40
    assert sizes.largest * 4 * SLOTS <= streaming.slot_bytes <= sizes.largest * 4 * SLOTS + aligned
    staying = sum(it.nbytes for name, it in unet.named_parameters() if part_of(name) is None)
    projection = sum(it.nbytes for it in load_denoiser(folder, CPU, torch.float32).text_projection.parameters())
    assert staying + projection == sizes.staying * 4


def test_the_part_that_follows_is_on_its_way_while_one_is_at_work(folder):
    unet = unet_of(folder)
    streaming = StreamedUNet(unet, CPU)
    predict(unet)
    late = []
    for name, part in streaming._parts.items():
        unet.get_submodule(name).register_forward_pre_hook(
            lambda module, arguments, part=part: late.append(streaming._slot_of(part) is None), prepend=True
        )
    predict(unet)
    assert len(late) == len(streaming._parts) and sum(late) <= 1, (
        f"{sum(late)} of {len(late)} parts had to be waited for"
    )


def test_an_error_in_the_middle_leaves_the_slots_free(folder):
    whole, streamed = unet_of(folder), unet_of(folder)
    StreamedUNet(streamed, CPU)
    handle = streamed.up_blocks[0].resnets[0].conv1.register_forward_pre_hook(lambda *rest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        predict(streamed)
    handle.remove()
    assert torch.equal(predict(whole), predict(streamed))


def test_weights_that_are_changed_in_place_are_copied_anew(folder):
    whole, streamed = unet_of(folder), unet_of(folder)
    streaming = StreamedUNet(streamed, CPU)
    for _ in range(2):  # after which the first part is on its way for a third time
        predict(streamed)
    for unet in (whole, streamed):
        with torch.no_grad():
            for parameter in unet.parameters():
                parameter.data.mul_(1.25)
    streaming.forget()
    assert torch.equal(predict(whole), predict(streamed))


def test_a_closed_one_is_an_ordinary_unet_again(folder):
    whole, streamed = unet_of(folder), unet_of(folder)
    StreamedUNet(streamed, CPU).close()
    assert torch.equal(predict(whole), predict(streamed))
    assert not any(module._forward_pre_hooks for module in streamed.modules())


def card(free, host=PLENTY):
    """What tells of a card with so much memory, whatever the device."""
    return lambda device, ours: Room("cuda", free, host)


def least(folder, job, chosen):
    """The memory at which a job is first placed so."""
    sizes = sizes_of(folder)
    free = MARGIN
    while (found := place(sizes, job, Room("cuda", free, PLENTY))) is None or not chosen(found):
        free += 2**14
        assert free < MARGIN + 2**26, "never placed so"
    return free


def job(**changes):
    return Job(**{"width": 48, "height": 32, "precision": "fp32"} | changes)


@pytest.mark.parametrize(
    ("side", "chosen", "levels"),
    [
        (48, lambda it: it.unet == "streamed" and it.exact, 0),
        (96, lambda it: it.unet == "whole" and it.decoding == "waiting" and it.exact, 0),
        (48, lambda it: it.apart, 1),
    ],
    ids=["streamed", "waiting", "apart"],
)
def test_small_cards_paint_the_same_picture(folder, painter, side, chosen, levels):
    free = least(folder, job(width=side, height=side), chosen)
    small, wanted = KolorsPainter(folder, device="cpu", room_of=card(free)), take(1, width=side, height=side)
    found = pixels(small, wanted).astype(int) - pixels(painter, wanted).astype(int)
    assert np.abs(found).max() <= levels


def test_tiles_are_used_where_the_placement_says_so(folder, painter):
    size = {"width": 768, "height": 64}
    free = least(folder, job(**size), lambda it: it.decoding == "tiles" and not it.apart)
    small, wanted = KolorsPainter(folder, device="cpu", room_of=card(free)), take(1, **size, steps=1)
    found = pixels(small, wanted).astype(int) - pixels(painter, wanted).astype(int)
    assert found.any() and np.abs(found).mean() < 20


def test_strict_takes_are_the_same_bits_streamed_with_loras_too(folder, painter, tmp_path):
    shapes = unet_shapes(folder)
    lora = use(save_kohya(tmp_path / "x.safetensors", random_lora(shapes), shapes))
    free = least(folder, job(strict=True), lambda it: it.unet == "streamed")
    small = KolorsPainter(folder, device="cpu", room_of=card(free))
    for loras in ((), (lora,), ()):
        chosen = take(2, strict=True, loras=loras)
        assert np.array_equal(pixels(small, chosen), pixels(painter, chosen))
        assert small._studio._streaming is not None


def test_quick_takes_stream_too(folder, painter):
    quick = take(2, cache_interval=2, guidance_interval=(0.25, 0.75))
    free = least(folder, job(keeping=True), lambda it: it.unet == "streamed")
    small = KolorsPainter(folder, device="cpu", room_of=card(free))
    assert np.array_equal(pixels(small, quick), pixels(painter, quick))


def test_a_strict_take_that_only_inexact_ways_would_fit_stops_all_before_anything_is_painted(folder):
    usual = least(folder, job(), lambda it: True)
    assert place(sizes_of(folder), job(strict=True), Room("cuda", usual, PLENTY)) is None
    small = KolorsPainter(folder, device="cpu", room_of=card(usual))
    painted = []
    with pytest.raises(ModelError, match="leave `strict` out"):
        painted += small.paint([take(0), take(1, strict=True)], lambda report: None)
    assert painted == []
    assert isinstance(paint(small, [take(0)])[take(0).key], Painted)


def test_a_size_that_fits_in_no_way_fails_its_takes_and_no_others(folder):
    small = KolorsPainter(folder, device="cpu", room_of=card(least(folder, job(), lambda it: True)))
    large = take(1, width=512, height=512)
    found = paint(small, [take(0), large])
    assert isinstance(found[take(0).key], Painted)
    assert isinstance(found[large.key], Failed) and "512x512 in fp32 takes at least" in found[large.key].reason


def test_where_nothing_fits_it_is_said_before_anything_is_loaded(folder):
    small = KolorsPainter(folder, device="cpu", room_of=card(0))
    with pytest.raises(ModelError, match=r"48x32 in fp32 takes at least .* choose a smaller size or `precision: fp16`"):
        paint(small, [take(0), take(1, width=32)])
    assert small._studio.resident == 0


def test_a_batch_is_as_large_as_fits(folder):
    one, two = (least(folder, job(), lambda it, count=count: it.batch == count) for count in (1, 2))
    batches = []

    def noting(denoiser, latents, *rest, **how):
        batches.append(len(latents))
        return denoise(denoiser, latents, *rest, **how)

    for free in (one, two):
        small = KolorsPainter(folder, device="cpu", denoising=noting, room_of=card(free))
        paint(small, [take(seed) for seed in range(4)])
    assert batches == [1] * 4 + [2] * 2


def test_what_needs_no_streaming_is_painted_first(folder):
    free = least(folder, job(), lambda it: it.unet == "whole")
    small = KolorsPainter(folder, device="cpu", room_of=card(free))
    large = take(1, width=96, height=96)
    assert place(sizes_of(folder), job(width=96, height=96), Room("cuda", free, PLENTY)).unet == "streamed"
    found = [it.take for it in small.paint([large, take(0)], lambda report: None)]
    assert found == [take(0), large]


def test_what_a_streamed_unet_takes_of_the_computer_itself_is_there_for_it(folder):
    """The system no longer counts its pinned memory as free: it must not be in the way of the next settings."""
    free = least(folder, job(), lambda it: it.unet == "streamed" and it.exact)
    enough = round(Needs(sizes_of(folder), job(), Room("cuda", free)).hosted * 1.2)
    small = KolorsPainter(
        folder, device="cpu", room_of=lambda device, ours: Room("cuda", free, enough - small._studio.hosted)
    )
    for takes in ([take(0), take(1, width=32)], [take(2)]):
        assert all(isinstance(it, Painted) for it in paint(small, takes).values())
    assert small._studio.hosted > 0.8 * 4 * (sizes_of(folder).unet - sizes_of(folder).staying)


def test_a_unet_that_finds_no_way_back_is_loaded_anew_and_nothing_painted_twice(folder, painter, monkeypatch):
    size = {"width": 96, "height": 96}
    free = least(folder, job(**size), lambda it: it.unet == "whole" and it.decoding == "waiting")
    small, moved = KolorsPainter(folder, device="cpu", room_of=card(free)), []
    move = nn.Module.to

    def full_once(module, *where, **how):
        if module is getattr(small._studio._denoiser, "unet", None) and where == (CPU,):
            moved.append(module)
            if len(moved) == 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return move(module, *where, **how)

    monkeypatch.setattr(nn.Module, "to", full_once)
    takes = [take(seed, **size) for seed in range(4)]
    found = list(small.paint(takes, lambda report: None))
    assert [it.take for it in found] == takes and all(isinstance(it, Painted) for it in found)
    assert len(set(map(id, moved))) == 2
    expected = paint(painter, takes)
    assert all(np.abs(it.pixels.astype(int) - expected[it.take.key].pixels).max() <= 1 for it in found)


def test_decoding_that_cost_the_weights_costs_no_other_picture_of_its_batch(folder, painter, monkeypatch):
    small, decode, move, failed = KolorsPainter(folder, device="cpu"), Studio._decode, nn.Module.to, []

    def short_once(studio, *what):
        if "decoding" not in failed:
            failed.append("decoding")
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return decode(studio, *what)

    def full_once(module, *where, **how):
        if module is getattr(small._studio._denoiser, "unet", None) and where == (CPU,) and "coming back" not in failed:
            failed.append("coming back")
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return move(module, *where, **how)

    monkeypatch.setattr(Studio, "_decode", short_once)
    monkeypatch.setattr(nn.Module, "to", full_once)
    takes = [take(seed) for seed in range(3)]
    found = list(small.paint(takes, lambda report: None))
    assert failed == ["decoding", "coming back"]
    assert [it.take for it in found] == takes and all(isinstance(it, Painted) for it in found)
    expected = paint(painter, takes)
    assert all(np.array_equal(it.pixels, expected[it.take.key].pixels) for it in found)


def test_what_is_prepared_already_is_left_alone(folder, tmp_path):
    studio, shapes = Studio(folder, CPU), unet_shapes(folder)
    lora = use(save_kohya(tmp_path / "x.safetensors", random_lora(shapes), shapes))
    studio.prepare("fp32", streamed=True)
    predict(studio.denoiser.unet)
    there = [slot.part for slot in studio._streaming._slots]
    assert all(there)
    studio.prepare("fp32", streamed=True, done=lambda *told: pytest.fail("loaded again"))
    assert [slot.part for slot in studio._streaming._slots] == there
    studio.prepare("fp32", (lora,), streamed=True)
    assert [slot.part for slot in studio._streaming._slots] == [None] * SLOTS


def test_the_studio_knows_what_its_weights_take(folder):
    studio = Studio(folder, CPU)
    assert studio.resident == 0
    studio.prepare("fp32")
    sizes = sizes_of(folder)
    projection = sum(it.numel() for it in studio.denoiser.text_projection.parameters())
    assert studio.resident == (sizes.unet + sizes.vae - projection) * 4


def test_placements_speak():
    assert str(Placement("streamed", True, 1, "tiles", 5_600_000_000)) == (
        "UNet streamed from the computer's memory, one picture at a time, negative and prompt one after the other, "
        "decoded in tiles: about 5.6 GB"
    )

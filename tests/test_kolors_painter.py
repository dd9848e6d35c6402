"""The painter: groups, batches, memory, failures, strictness."""

from __future__ import annotations

import platform
import shutil
from collections import Counter

import numpy as np
import pytest
import torch

from renderer.errors import ModelError
from renderer.kolors import memory
from renderer.kolors.card import SAMPLERS
from renderer.kolors.device import choose_device
from renderer.kolors.fitting.choosing import STRICT_BATCH
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.memory import is_out_of_memory
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.sampling import denoise
from renderer.kolors.studio import Studio
from renderer.take import Failed, Painted, Take
from tests.loras import random_lora, save_peft, use
from tests.tiny_kolors import edit_weights

PROMPTS = ("一个紫色短发小女孩", "a red cat sits on the sofa", "夜晚 森林", "蓝色 天空")


def take(seed=0, **settings):
    usual = {
        "scene": "s",
        "prompt": PROMPTS[seed % len(PROMPTS)],
        "negative": "红色",
        "width": 48,
        "height": 32,
        "steps": 4,
        "guidance": 4.0,
        "sampler": "ddim",
        "model": "tiny@1",
    }
    return Take(seed=seed, **{**usual, **settings})


def paint(painter, takes, progress=lambda report: None):
    return {it.take.key: it for it in painter.paint(takes, progress)}


def pixels(painter, chosen, takes=None):
    painted = paint(painter, takes or [chosen])[chosen.key]
    assert isinstance(painted, Painted), painted
    return painted.pixels


class Cramped:
    """The real denoising, on a device where only so many pictures fit."""

    def __init__(self, room):
        self.room = room
        self.batches = []

    def __call__(self, denoiser, latents, *rest, **how):
        if len(latents) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB")
        self.batches.append(len(latents))
        return denoise(denoiser, latents, *rest, **how)


def test_pictures_have_the_takes_size_and_repeat_themselves(painter):
    first = pixels(painter, take(1))
    assert first.shape == (32, 48, 3) and first.dtype == np.uint8
    assert first.std() > 5
    assert np.array_equal(first, pixels(painter, take(1)))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "小狗"},
        {"negative": "a cat"},
        {"steps": 5},
        {"guidance": 5.0},
        {"sampler": "euler"},
        {"width": 32},
        {"guidance": 1.0},
        {"guidance_interval": (0.0, 0.5)},
        {"cache_interval": 2},
        {"sampler": "euler-trailing"},
        {"precision": "fp8"},
    ],
)
def test_every_setting_changes_the_picture(painter, change):
    one, other = pixels(painter, take(1)), pixels(painter, take(1, **change))
    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_global_random_numbers_are_left_alone(painter, sampler):
    before = torch.get_rng_state()
    pixels(painter, take(1, sampler=sampler))
    assert torch.equal(before, torch.get_rng_state())


def test_quick_takes_of_every_kind_come_back_once_each_beside_exact_ones(painter):
    """Each as it is painted alone; a batch rounds otherwise, which 8 bits make more of."""
    quick = ({"cache_interval": 2}, {"guidance_interval": (0.25, 0.75)}, {"sampler": "euler-trailing"})
    kinds = [{}, *quick, {"precision": "fp8"}, {key: it for kind in quick for key, it in kind.items()}]
    takes = [take(seed, **kind) for seed in range(2) for kind in kinds]
    painted = paint(painter, takes)
    assert painted.keys() == {it.key for it in takes}
    for each in takes[: len(kinds)]:
        found = painted[each.key]
        assert found.provenance.dtype == (each.precision or "fp32") and found.provenance.batch == 2
        most = 12 if each.precision == "fp8" else 1
        assert np.abs(found.pixels.astype(int) - pixels(painter, each).astype(int)).max() <= most


@pytest.mark.parametrize("quick", [{"cache_interval": 3}, {"guidance_interval": (0.2, 0.8)}, {"precision": "fp8"}])
def test_quick_takes_can_be_strict_too(painter, quick):
    chosen = take(2, strict=True, steps=6, **quick)
    others = [take(seed, strict=True, steps=6, **quick) for seed in (0, 1)]
    assert np.array_equal(pixels(painter, chosen), pixels(painter, chosen, [others[0], chosen, others[1]]))


def test_a_quick_take_that_does_not_fit_goes_through_in_two_calls_too(painter, folder):
    quick = take(0, cache_interval=2, guidance_interval=(0.0, 0.5))
    found = pixels(KolorsPainter(folder, device="cpu", denoising=RoomForHalf()), quick)
    assert np.abs(found.astype(int) - pixels(painter, quick).astype(int)).max() <= 1


def test_four_steps_of_lcm_without_guidance_take_a_lora(painter, folder, tmp_path):
    """What an LCM-LoRA is painted with."""
    shapes = unet_shapes(folder)
    lora = use(save_peft(tmp_path / "lcm.safetensors", random_lora(shapes), shapes))
    few = {"sampler": "lcm", "steps": 4, "guidance": 1.0}
    plain = pixels(painter, take(1, **few))
    assert not np.array_equal(pixels(painter, take(1, loras=(lora,), **few)), plain)
    assert np.array_equal(pixels(painter, take(1, **few)), plain)


def test_without_guidance_the_negative_is_not_even_encoded(painter):
    seen = []
    takes = [take(1, guidance=1.0, prompt="森林", negative="never read")]
    paint(painter, takes, lambda report: seen.append(report))
    assert {it.total for it in seen if it.stage == "encoding"} == {1}


def test_takes_of_every_kind_come_back_once_each(painter):
    takes = [take(seed, **kind) for seed in range(3) for kind in ({}, {"width": 32}, {"sampler": "lcm"}, {"steps": 2})]
    assert Counter(it.take.key for it in painter.paint(takes, lambda report: None)) == Counter(it.key for it in takes)


def test_progress_tells_every_stage(folder):
    seen = []
    paint(KolorsPainter(folder, device="cpu"), [take(seed) for seed in range(2)], seen.append)
    assert [stage for stage in dict.fromkeys(it.stage for it in seen)] == [
        "encoding",
        "loading",
        "denoising",
        "decoding",
    ]
    assert [(it.done, it.total) for it in seen if it.stage == "encoding"] == [(n, 3) for n in range(4)]
    assert [(it.done, it.total, it.takes) for it in seen if it.stage == "denoising"] == [(n, 4, 2) for n in range(1, 5)]
    assert [it.done for it in seen if it.stage == "decoding"] == [1, 2]


def test_provenance_says_how_it_was_painted(painter):
    found = paint(painter, [take(seed) for seed in range(3)])[take(0).key].provenance
    assert (found.dtype, found.batch) == ("fp32", 3)
    assert found.device.startswith("cpu") and found.seconds > 0
    assert set(found.versions) == {"renderer", "torch", "diffsynth", "diffusers"}


def test_neighbours_change_a_picture_by_at_most_one_level(painter):
    """Matrix kernels sum in another order for another number of rows: 1e-6 of a latent, a rounding step of a pixel."""
    alone = pixels(painter, take(1, steps=8))
    together = pixels(painter, take(1, steps=8), [take(seed, steps=8) for seed in range(4)])
    difference = np.abs(alone.astype(int) - together.astype(int))
    assert difference.max() <= 1, f"{difference.max()} levels, {(difference > 0).mean():.2%} of the values"


def test_strict_pictures_are_the_same_bits_among_any_neighbours(painter):
    chosen = take(2, strict=True)
    alone = pixels(painter, chosen)
    for neighbours in ([0, 1], [5], [7, 8, 9, 10]):
        others = [take(seed, strict=True) for seed in neighbours]
        for place in range(len(others) + 1):
            assert np.array_equal(alone, pixels(painter, chosen, [*others[:place], chosen, *others[place:]]))


def test_strict_latents_are_the_same_bits_too(folder):
    kept = {}

    def keeping(denoiser, latents, *rest, **how):
        result = denoise(denoiser, latents, *rest, **how)
        kept.setdefault(float(latents.flatten()[0]), []).append(result)
        return result

    strict = KolorsPainter(folder, device="cpu", denoising=keeping)
    for takes in ([2], [0, 2, 1], [1, 0, 2]):
        paint(strict, [take(seed, strict=True) for seed in takes])
    assert {len(latents) for results in kept.values() for latents in results} == {STRICT_BATCH}
    for results in kept.values():
        assert all(torch.equal(results[0], other) for other in results)


def test_out_of_memory_halves_the_batch_and_paints_all(folder):
    cramped = Cramped(room=1)
    takes = [take(seed) for seed in range(6)]
    painted = paint(KolorsPainter(folder, device="cpu", denoising=cramped), takes)
    assert len(painted) == 6 and all(isinstance(it, Painted) for it in painted.values())
    assert cramped.batches == [1] * 6
    assert {it.provenance.batch for it in painted.values()} == {1}


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_memory_runs_out_in_many_words(words):
    assert is_out_of_memory(RuntimeError(words)) and not is_out_of_memory(ValueError(words))


def test_on_the_cpu_freed_memory_is_kept_until_weights_are_released(folder, monkeypatch):
    asked = []

    class Library:
        def mallopt(self, name, value):
            asked.append((name, value))

        def malloc_trim(self, pad):
            asked.append("trimmed")

    monkeypatch.setattr(memory, "_glibc", Library)
    studio = Studio(folder, torch.device("cpu"))
    studio.prepare("fp32")
    assert asked[-2:] == [(memory.MMAP_THRESHOLD, memory.MOST_KEPT), (memory.TRIM_THRESHOLD, memory.KEPT)]
    studio.release()
    assert asked[-1] == "trimmed"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_takes_what_it_is_asked_for():
    libc = memory._glibc()
    assert libc.mallopt(memory.MMAP_THRESHOLD, memory.MOST_KEPT) == 1
    assert libc.mallopt(memory.TRIM_THRESHOLD, memory.KEPT) == 1


def test_cuda_is_named_with_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert [str(choose_device(name)) for name in (None, "cuda", "cuda:0", "cpu")] == [
        "cuda:1",
        "cuda:1",
        "cuda:0",
        "cpu",
    ]


def test_a_take_that_never_fits_fails_alone(folder):
    class Small(Cramped):
        def __call__(self, denoiser, latents, *rest, **how):
            if latents.shape[-1] > 4:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
            return super().__call__(denoiser, latents, *rest, **how)

    painted = paint(KolorsPainter(folder, device="cpu", denoising=Small(4)), [take(0), take(1), take(0, width=32)])
    failed = [it for it in painted.values() if isinstance(it, Failed)]
    assert len(failed) == 2 and all("out of memory" in it.reason and "48x32" in it.reason for it in failed)


class RoomForHalf:
    """The real denoising, where a picture fits only without its negative beside it."""

    def __call__(self, denoiser, latents, *rest, apart=False, **how):
        if not apart:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return denoise(denoiser, latents, *rest, apart=apart, **how)


def test_a_guided_take_that_does_not_fit_goes_through_in_two_calls(painter, folder):
    found = pixels(KolorsPainter(folder, device="cpu", denoising=RoomForHalf()), take(0))
    assert np.abs(found.astype(int) - pixels(painter, take(0)).astype(int)).max() <= 1


def test_two_calls_are_nothing_for_takes_without_negative_nor_for_strict_ones(folder):
    cramped = KolorsPainter(folder, device="cpu", denoising=RoomForHalf())
    alone = take(0, guidance=1.0)
    assert isinstance(paint(cramped, [alone])[alone.key], Failed)
    with pytest.raises(ModelError, match="reproducible: strict"):
        paint(cramped, [take(0, strict=True)])


def test_strict_takes_that_do_not_fit_stop_with_words(folder):
    painter = KolorsPainter(folder, device="cpu", denoising=Cramped(room=0))
    with pytest.raises(ModelError, match=r"(?i)out of memory.*reproducible: strict"):
        paint(painter, [take(0, strict=True)])


def test_another_error_is_not_taken_for_memory(folder):
    def broken(*arguments, **how):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        paint(KolorsPainter(folder, device="cpu", denoising=broken), [take(0), take(1)])


def test_an_interrupt_comes_through_between_steps(painter):
    def press(report):
        if report.stage == "denoising" and report.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(painter, [take(3)], press)
    assert isinstance(paint(painter, [take(3)])[take(3).key], Painted)


def test_latents_out_of_range_fail_one_take_and_spare_the_others(folder):
    def overflowing(denoiser, latents, *rest, **how):
        result = denoise(denoiser, latents, *rest, **how).clone()
        result[1, 0, 0, 0] = float("inf")
        return result

    takes = [take(seed) for seed in range(3)]
    painted = paint(KolorsPainter(folder, device="cpu", denoising=overflowing), takes)
    assert [type(painted[it.key]) for it in takes] == [Painted, Failed, Painted]
    assert "out of range" in painted[takes[1].key].reason


def test_weights_that_are_no_numbers_fail_every_take_with_a_reason(folder, tmp_path):
    harmed = shutil.copytree(folder, tmp_path / "tiny")
    edit_weights(harmed / "unet" / "diffusion_pytorch_model.safetensors", conv_out_bias=float("nan"))
    painted = paint(KolorsPainter(harmed, device="cpu"), [take(0), take(1)])
    assert all("NaN" in it.reason for it in painted.values())


def test_a_decoder_that_overflows_gives_a_reason_and_no_black_picture(folder, tmp_path):
    harmed = shutil.copytree(folder, tmp_path / "tiny")
    edit_weights(harmed / "vae" / "diffusion_pytorch_model.safetensors", decoder_conv_out_bias=float("inf"))
    (failed,) = paint(KolorsPainter(harmed, device="cpu"), [take(0)]).values()
    assert "decoding" in failed.reason


def test_the_autoencoder_never_decodes_in_half_precision(painter):
    half = pixels(painter, take(1, precision="fp16"))
    full = pixels(painter, take(1))
    assert np.abs(half.astype(int) - full.astype(int)).mean() < 12
    assert paint(painter, [take(1, precision="bf16")])[take(1, precision="bf16").key].provenance.dtype == "bf16"
    assert next(painter._studio._vae.parameters()).dtype == torch.float32


def test_a_missing_shard_is_a_model_error_with_the_command(folder, tmp_path):
    harmed = shutil.copytree(folder, tmp_path / "tiny")
    (harmed / "text_encoder" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"(?s)text_encoder/: no weights.*storyboard models pull kolors"):
        paint(KolorsPainter(harmed, device="cpu"), [take(0)])


@pytest.mark.parametrize(
    ("part", "tensor"),
    [
        ("unet", "mid_block.resnets.0.conv1.weight"),
        ("unet", "encoder_hid_proj.weight"),
        ("vae", "decoder.conv_in.bias"),
        ("text_encoder", "encoder.layers.0.mlp.dense_h_to_4h.weight"),
    ],
)
@pytest.mark.parametrize("change", ["missing", "shape"])
def test_weights_of_another_model_are_named(folder, tmp_path, part, tensor, change):
    from safetensors.torch import load_file, save_file

    harmed = shutil.copytree(folder, tmp_path / "tiny")
    file = next((harmed / part).glob("*.safetensors"))
    state = load_file(file)
    removed = state.pop(tensor)
    if change == "shape":
        state[tensor] = torch.zeros(*removed.shape[:-1], removed.shape[-1] + 1)
    save_file(state, file)
    with pytest.raises(ModelError, match=rf"{part}.*{tensor}"):
        paint(KolorsPainter(harmed, device="cpu"), [take(0)])


def test_pickled_and_old_style_weights_paint_the_same_picture(folder, tmp_path, painter):
    from safetensors.torch import load_file, save_file

    other = shutil.copytree(folder, tmp_path / "tiny")
    single = other / "text_encoder" / "model.safetensors"
    state = {f"transformer.{name}": tensor for name, tensor in load_file(single).items()}
    single.unlink()
    torch.save(state, other / "text_encoder" / "pytorch_model.bin")
    vae = next((other / "vae").glob("*.safetensors"))
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    renamed = {}
    for name, tensor in load_file(vae).items():
        for new, former in old.items():
            name = name.replace(new, former)
        attends = "attentions" in name and name.endswith("weight") and tensor.ndim == 2
        renamed[name] = tensor[:, :, None, None] if attends else tensor
    save_file(renamed, vae)
    assert np.array_equal(pixels(KolorsPainter(other, device="cpu"), take(1)), pixels(painter, take(1)))


def test_a_pickle_that_would_run_code_is_not_read(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    other = shutil.copytree(folder, tmp_path / "tiny")
    (other / "text_encoder" / "model.safetensors").unlink()
    torch.save({"x": Evil()}, other / "text_encoder" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin: can't be read"):
        paint(KolorsPainter(other, device="cpu"), [take(0)])
    assert not (tmp_path / "ran").exists()


def test_a_model_of_another_kind_is_refused(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "tiny")
    config = other / "unet" / "config.json"
    config.write_text(config.read_text().replace('"text_proj"', "null"))
    with pytest.raises(ModelError, match="not Kolors'"):
        paint(KolorsPainter(other, device="cpu"), [take(0)])


@pytest.mark.parametrize("cramped", [1, 2])
def test_a_text_encoder_that_does_not_fit_beside_the_unet_gets_its_room(folder, cramped):
    studio = Studio(folder, torch.device("cpu"))
    studio.prepare("fp32")
    tries = []

    def work():
        tries.append(studio.precision)
        if len(tries) <= cramped:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "states"

    if cramped == 1:
        assert studio.with_room(work) == "states"
    else:
        with pytest.raises(ModelError, match="don't fit into the memory of cpu"):
            studio.with_room(work)
    assert tries == ["fp32", None]


@pytest.mark.parametrize(("failures", "strict"), [(1, False), (2, False), (3, False), (1, True), (2, True)])
def test_decoding_that_does_not_fit_gets_its_room_and_then_goes_by_tiles(folder, failures, strict):
    painter, wanted = KolorsPainter(folder, device="cpu"), take(1, strict=strict)
    expected = pixels(painter, wanted)
    vae = painter._studio._vae
    decode, tries = vae.decode, []

    def cramped(latents):
        tries.append(latents)
        if len(tries) <= failures:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(latents)

    vae.decode = cramped
    found = paint(painter, [wanted])[wanted.key]
    if failures < (2 if strict else 3):
        assert np.array_equal(found.pixels, expected)  # one tile is the whole of so small a picture
    else:
        assert isinstance(found, Failed) and "out of memory while decoding 48x32" in found.reason

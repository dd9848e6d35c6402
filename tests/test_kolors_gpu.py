"""The painter on a CUDA device; skipped, visibly, where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from renderer.errors import ModelError
from renderer.kolors.card import SAMPLERS
from renderer.kolors.fitting.placement import Room
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.quick.float8 import Float8Linear, multiplies_float8, round_rows
from renderer.take import Painted
from tests.loras import random_lora, save_kohya, use
from tests.test_kolors_painter import paint, pixels, take

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module")
def on_cpu(folder):
    return KolorsPainter(folder, device="cpu")


@pytest.fixture(scope="module")
def on_gpu(folder):
    return KolorsPainter(folder, device="cuda")


@pytest.fixture
def little_memory():
    """A device that allows 48 MiB more than one picture of 512x512 takes: those of several, but not of 24."""
    yield lambda: torch.cuda.set_per_process_memory_fraction(
        min(1.0, (torch.cuda.max_memory_reserved() + 48 * 2**20) / torch.cuda.get_device_properties(0).total_memory)
    )
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.parametrize(("precision", "mean"), [("fp32", 0.1), ("fp16", 2.0), ("bf16", 10.0)])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pictures_are_those_of_the_cpu(on_cpu, on_gpu, precision, mean, sampler):
    """Within rounding (mean levels of 255): of fp32 sums in another order, of 11 bits (fp16), of 8 bits (bf16)."""
    expected = pixels(on_cpu, take(1, sampler=sampler)).astype(int)
    found = paint(on_gpu, [take(1, sampler=sampler, precision=precision)]).popitem()[1]
    assert isinstance(found, Painted), found
    assert np.abs(found.pixels.astype(int) - expected).mean() < mean
    assert found.provenance.dtype == precision and found.provenance.device == torch.cuda.get_device_name(0)


def test_pictures_in_8_bits_are_nearly_those_of_the_cpu(on_cpu, on_gpu):
    """Of the same rounded numbers, summed in another order, which the next rounding to 8 bits makes more of."""
    chosen = take(1, precision="fp8")
    expected, found = pixels(on_cpu, chosen).astype(int), paint(on_gpu, [chosen])[chosen.key]
    assert isinstance(found, Painted) and found.provenance.dtype == "fp8", found
    assert np.abs(found.pixels.astype(int) - expected).mean() < 20


@pytest.mark.parametrize("settings", [{"cache_interval": 2}, {"guidance_interval": (0.25, 0.75)}])
def test_quick_pictures_are_those_of_the_cpu(on_cpu, on_gpu, settings):
    chosen = take(1, precision="fp32", **settings)
    assert np.abs(pixels(on_cpu, chosen).astype(int) - pixels(on_gpu, chosen).astype(int)).mean() < 0.1


@pytest.mark.skipif(
    not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 9), reason="needs e4m3 multiplication"
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("count", [1, 7, 77, 8192])
@pytest.mark.parametrize(("inputs", "outputs"), [(640, 5120), (2560, 640), (1280, 3840), (2048, 1280), (5120, 1280)])
def test_newer_gpus_multiply_8_bits_as_an_ordinary_multiplication_does(inputs, outputs, count, bias):
    """In all of Kolors' shapes, to bfloat16's last bit: against float64."""
    assert multiplies_float8(torch.device("cuda", 0))
    torch.manual_seed(0)
    layer = Float8Linear.of(nn.Linear(inputs, outputs, bias=bias, device="cuda", dtype=torch.bfloat16))
    rows = torch.randn(count, inputs, device="cuda", dtype=torch.bfloat16)
    rows[0] = 0
    numbers, scales = round_rows(rows)
    weight = layer.weight.double() * layer.scale
    expected = linear(numbers.double() * scales, weight, layer.bias.double() if bias else None)
    found = layer(rows).double()
    assert (found - expected).abs().max() <= 2**-8 * expected.abs().max()
    assert torch.equal(found[0], layer.bias.double() if bias else torch.zeros_like(found[0]))


def test_half_precision_is_the_default_and_never_decodes(on_gpu):
    assert paint(on_gpu, [take(1)]).popitem()[1].provenance.dtype == "fp16"
    assert next(on_gpu._studio._vae.parameters()).dtype == torch.float32


def test_neighbours_change_a_picture_by_rounding_only(on_gpu):
    alone = pixels(on_gpu, take(1)).astype(int)
    together = pixels(on_gpu, take(1), [take(seed) for seed in range(7)]).astype(int)
    assert np.abs(alone - together).mean() < 2.0


def test_strict_pictures_are_the_same_bits_among_any_neighbours(on_gpu):
    chosen = take(2, strict=True)
    alone = pixels(on_gpu, chosen)
    others = [take(seed, strict=True) for seed in (5, 6, 7)]
    for place in range(4):
        assert np.array_equal(alone, pixels(on_gpu, chosen, [*others[:place], chosen, *others[place:]]))


def test_a_real_shortage_of_memory_halves_the_batch_and_paints_all(folder, little_memory):
    plenty = Room("cuda", 10**12, 10**12)  # what is planned with: the shortage is to be found by running out
    painter = KolorsPainter(folder, device="cuda", room_of=lambda device, ours: plenty)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    large = [take(seed, width=512, height=512, steps=2) for seed in range(24)]
    paint(painter, large[:1])
    little_memory()
    painted = paint(painter, large)
    assert len(painted) == 24 and all(isinstance(it, Painted) for it in painted.values())
    assert max(it.provenance.batch for it in painted.values()) < 24


def test_weights_that_do_not_fit_say_so(folder):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        with pytest.raises(ModelError, match=r"48x32 in fp16 takes at least .* choose a smaller size"):
            paint(KolorsPainter(folder, device="cuda"), [take(0)])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_loras_leave_a_gpu_without_a_trace(on_gpu, folder, tmp_path):
    from renderer.kolors.lora.file import unet_shapes

    shapes = unet_shapes(folder)
    lora = use(save_kohya(tmp_path / "x.safetensors", random_lora(shapes), shapes))
    base = pixels(on_gpu, take(1, strict=True))
    changed = pixels(on_gpu, take(1, strict=True, loras=(lora,)))
    assert not np.array_equal(base, changed)
    assert np.array_equal(base, pixels(on_gpu, take(1, strict=True)))

"""The painter on a CUDA device; skipped, visibly, where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from renderer.errors import ModelError
from renderer.kolors.pipeline import KolorsPainter
from renderer.take import Painted
from tests.loras import random_lora, save_kohya, use
from tests.test_kolors_painter import paint, pixels, take
from tests.tiny_kolors import make_folder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def on_cpu(folder):
    return KolorsPainter(folder, device="cpu")


@pytest.fixture(scope="module")
def on_gpu(folder):
    return KolorsPainter(folder, device="cuda")


@pytest.fixture
def little_memory():
    """A device that allows three times what one picture of 512x512 takes."""
    yield lambda: torch.cuda.set_per_process_memory_fraction(
        min(1.0, 3 * torch.cuda.max_memory_reserved() / torch.cuda.get_device_properties(0).total_memory)
    )
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.parametrize(("precision", "mean"), [("fp32", 0.1), ("fp16", 2.0), ("bf16", 10.0)])
@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpm++2m", "unipc", "lcm"])
def test_pictures_are_those_of_the_cpu(on_cpu, on_gpu, precision, mean, sampler):
    """Within rounding (mean levels of 255): of fp32 sums in another order, of 11 bits (fp16), of 8 bits (bf16)."""
    expected = pixels(on_cpu, take(1, sampler=sampler)).astype(int)
    found = paint(on_gpu, [take(1, sampler=sampler, precision=precision)]).popitem()[1]
    assert isinstance(found, Painted), found
    assert np.abs(found.pixels.astype(int) - expected).mean() < mean
    assert found.provenance.dtype == precision and found.provenance.device == torch.cuda.get_device_name(0)


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
    painter = KolorsPainter(folder, device="cuda")
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
        with pytest.raises(ModelError, match="memory"):
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

"""What the benchmark is made of: counting, random weights, rounds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from renderer.benching.clock import Gemm, peak_memory, timed
from renderer.benching.flops import count_flops, picture_flops
from renderer.benching.model import OfRandomWeights
from renderer.benching.painters import Diffusers, Own, PlainLoop, kolors_pipeline
from renderer.benching.parts import FULL_SIZE, parts_of
from renderer.benching.random_weights import require_room
from renderer.benching.rounds import paint_rounds
from renderer.benching.settings import choose
from renderer.benching.work import Work
from renderer.benchmark import benchmark
from renderer.errors import ModelError
from renderer.kolors.chatglm import Layer
from renderer.kolors.quick.float8 import FLOAT8, Float8Linear, round_rows
from renderer.kolors.weights import build_unet
from tests.tiny_kolors import LENGTH, make_folder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return parts_of(make_folder(tmp_path_factory.mktemp("models") / "tiny"))


def test_a_linear_layer_counts_two_for_each_weight_and_row():
    with torch.device("meta"):
        layer, rows = nn.Linear(30, 7), torch.empty(11, 30)
    assert count_flops(lambda: layer(rows)) == 2 * 11 * 30 * 7


def test_kolors_at_its_own_size_takes_what_it_is_known_to_take():
    """In TFLOP at 1024²: 6.96 for a call of the UNet, 6.78 with keys and values of the text kept; 10.5 to decode."""
    flops = picture_flops(FULL_SIZE, 1024, 1024, 50, 256)
    assert flops.forward == pytest.approx(6.96e12, rel=2e-3)
    assert flops.plain == 100 * flops.forward
    assert flops.denoising == pytest.approx(100 * 6.78e12, rel=2e-3)
    assert flops.decoding == pytest.approx(10.5e12, rel=0.02)
    assert flops.reading == pytest.approx(3e12, rel=0.05)


def test_kolors_has_its_known_numbers_of_parameters():
    """2.579 billion with the projection; ChatGLM3's 6.2436, of which two tables and the last norm are in no layer."""
    with torch.device("meta"):
        unet, projection, layer = build_unet(FULL_SIZE.unet), nn.Linear(4096, 2048), Layer(FULL_SIZE.text)
    assert _count(unet) + _count(projection) == pytest.approx(2.579e9, rel=1e-3)
    assert 28 * _count(layer) + 2 * 65_024 * 4096 + 4096 == 6_243_584_000


def test_random_weights_paint_numbers_that_stay_finite_and_are_the_same_for_all(parts):
    subject = OfRandomWeights(CPU, "fp32", LENGTH, parts)
    seconds, (prompt, negative) = subject.read()
    assert seconds > 0 and prompt.states.shape == (LENGTH, 48) and not torch.equal(prompt.states, negative.states)
    studio, vae = subject.studio(), subject.vae()
    work = Work(CPU, "fp32", 48, 32, 4.0, prompt, negative)
    own = Own(work, studio, vae, 2)
    expected = own.denoise(3)
    own.decode(expected)
    assert torch.isfinite(expected).all() and expected.std() > 0.1
    plain = PlainLoop(work, parts, studio.denoiser, vae)
    diffusers = Diffusers(work, kolors_pipeline(work, parts, studio.denoiser, vae), 2)
    assert torch.allclose(plain.denoise(3), expected[:1], atol=1e-4 * float(expected.abs().max()))
    assert torch.allclose(diffusers.denoise(3), expected, atol=1e-4 * float(expected.abs().max()))
    assert plain.weights < own.weights == diffusers.weights  # which have the projection of the text states


def test_random_weights_in_8_bits_are_the_same_weights_rounded(parts):
    rounded = OfRandomWeights(CPU, "fp8", LENGTH, parts)
    unet, whole = rounded.studio().denoiser.unet, rounded.unrounded().unet
    found = {name: it for name, it in unet.named_modules() if isinstance(it, Float8Linear)}
    assert found
    for name, layer in found.items():
        assert torch.equal(layer.weight.float(), round_rows(whole.get_submodule(name).weight)[0].float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, FLOAT8])
def test_matrices_of_each_format_are_multiplied(dtype):
    assert Gemm(CPU, dtype).tflops() > 0


def test_weights_that_would_not_fit_are_not_drawn(monkeypatch, tmp_path):
    """Full size in fp32: 10.3 GB for the UNet, 0.3 for the VAE, and so often as there are those that paint."""
    told = tmp_path / "meminfo"
    monkeypatch.setattr("renderer.benching.clock.MEMORY", told)
    told.write_text("MemTotal: 99000000 kB\nMemAvailable: 30000000 kB\n")
    with pytest.raises(ModelError, match=r"take 32 GB, and 31 GB are free on cpu. Choose --no-compare"):
        benchmark(choose(random_weights=True), device="cpu")
    require_room(FULL_SIZE, CPU, "fp32", 1)
    told.unlink()
    require_room(FULL_SIZE, CPU, "fp32", 99)  # where nothing tells, nothing is refused


def test_rounds_go_back_and_forth_and_leave_out_who_does_not_fit():
    said = []
    one, huge, other = Fake("storyboard", 1, said), Fake("diffusers", 64, said, room=8), Fake("diffusers", 2, said)
    rounds = paint_rounds([one, huge, other], Gemm(CPU, torch.float32), CPU, 7, 2, lambda words: None)
    assert said == [(1, 2), (64, 2), (2, 2), (1, 7), (2, 7), (2, 7), (1, 7)]
    assert rounds.skipped == ["diffusers, batch 64: out of memory"]
    assert [len(runs.seconds) for runs in rounds.runs] == [2, 2] and len(rounds.gemm) == 2
    assert all(rate > 0 for rate in rounds.gemm)


def test_an_error_that_is_not_about_memory_comes_through():
    with pytest.raises(RuntimeError, match="mat1"):
        paint_rounds([Fake("diffusers", 1, [], words="mat1 and mat2")], Gemm(CPU, torch.float32), CPU, 1, 1, print)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_waited_for_and_its_memory_measured():
    device = torch.device("cuda")
    matrix = torch.randn(4096, 4096, device=device)
    with peak_memory(device) as peak:
        long, _ = timed(device, lambda: [matrix @ matrix for _ in range(50)][-1])
    short, _ = timed(device, lambda: matrix @ matrix)
    assert long > 10 * short
    assert 2 * matrix.nbytes <= peak.bytes <= 60 * matrix.nbytes


class Fake:
    """Paints nothing, and runs out of memory where a batch is larger than the room."""

    precision, weights = "fp32", 0

    def __init__(self, who, batch, said, room=99, words=""):
        self.who, self.batch, self._said, self._room, self._words = who, batch, said, room, words

    def denoise(self, steps):
        self._said.append((self.batch, steps))
        if self._words:
            raise RuntimeError(self._words)
        if self.batch > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.zeros(self.batch, 4, 2, 2)

    def decode(self, latents):
        pass


def _count(module):
    return sum(it.numel() for it in module.parameters())

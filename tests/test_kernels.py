"""Kernels: the same numbers, by whichever computes them sooner."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from renderer.kolors.attention import Attention, fuse_projections, text_kept
from renderer.kolors.kernels import attending, multiplying
from renderer.kolors.kernels.attending import attend, quickest
from renderer.kolors.kernels.compiled import Use
from renderer.kolors.kernels.cuda_graphs import MOST_LATENTS, GraphedUNet
from renderer.kolors.kernels.multiplying import Linear, linear, quicken
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.weights import load_denoiser
from tests.loras import random_lora, save_kohya, use

CPU = torch.device("cpu")
with_onednn = pytest.mark.skipif(not multiplying.HAS_ONEDNN, reason="needs AVX-512 and oneDNN")
on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture
def unet(folder):
    return load_denoiser(folder, CPU, torch.float32).unet


def told(unet, batch=2, side=8, seed=0):
    """Arguments of a call, on the device of the UNet."""
    chance = torch.Generator().manual_seed(seed)
    device = next(unet.parameters()).device
    width = next(it.to_k.in_features for it in unet.modules() if isinstance(it, Attention) and it.to_text)
    pooled = unet.add_embedding.linear_1.in_features - 6 * 8
    sample = torch.randn(batch, 4, side, side, generator=chance).to(device)
    states = torch.randn(batch, 7, width, generator=chance).to(device)
    ids = torch.tensor([64.0, 64, 0, 0, 64, 64], device=device).expand(batch, -1)
    vectors = torch.randn(batch, pooled, generator=chance).to(device)
    return sample, torch.tensor(500, device=device), states, {"text_embeds": vectors, "time_ids": ids}


@torch.inference_mode()
def predicted(unet, arguments):
    with text_kept(unet, arguments[2]):
        return unet(*arguments[:3], added_cond_kwargs=arguments[3])


def test_a_quickened_unet_predicts_the_same_to_rounding(unet):
    arguments = told(unet)
    plain, names = predicted(unet, arguments), list(unet.state_dict())
    fuse_projections(unet)
    quicken(unet)
    assert torch.allclose(predicted(unet, arguments), plain, rtol=0, atol=1e-5 * plain.abs().max().item())
    assert list(unet.state_dict()) == names
    assert all(type(it) is not nn.Linear for it in unet.modules())


def test_pictures_stay_channels_last_through_a_quickened_transformer(unet):
    quicken(unet)
    transformer = next(it for it in unet.modules() if type(it).__name__ == "Transformer2DModel")
    seen = []
    transformer.register_forward_hook(lambda module, given, result: seen.append(result))
    predicted(unet, told(unet))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert not seen[0].is_contiguous()


@with_onednn
def test_layers_of_a_quickened_unet_multiply_by_onednn(unet, monkeypatch):
    quicken(unet)
    calls = []
    onednn = multiplying._by_onednn
    monkeypatch.setattr(multiplying, "_by_onednn", lambda *given: calls.append(1) or onednn(*given))
    predicted(unet, told(unet))
    plain = [it for it in unet.modules() if isinstance(it, Linear)]
    gates = [it for it in unet.modules() if type(it).__name__ == "GEGLU"]
    assert len(calls) >= len(plain) - len(gates)  # these multiply and gate at once


@with_onednn
def test_loras_reach_a_quickened_unet_and_leave_it(folder, unet, tmp_path):
    fuse_projections(unet)
    quicken(unet)
    arguments = told(unet)
    plain, shapes = predicted(unet, arguments), unet_shapes(folder)
    gates = [name for name in shapes if name.endswith("ff.net.0.proj")]
    merged = MergedUNet(unet, shapes, folder)
    merged.use((use(save_kohya(tmp_path / "it.safetensors", random_lora(shapes, layers=gates), shapes)),))
    assert not torch.allclose(predicted(unet, arguments), plain, atol=1e-3)
    merged.use(())
    assert torch.equal(predicted(unet, arguments), plain)


def test_gradients_go_through_a_linear_layer_as_ever():
    layer = Linear(3, 2)
    layer(torch.ones(4, 3)).sum().backward()
    assert torch.equal(layer.weight.grad, torch.full((2, 3), 4.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_number_format_multiplies(dtype):
    rows, weight, bias = torch.randn(2, 5, 3).to(dtype), torch.randn(4, 3).to(dtype), torch.randn(4).to(dtype)
    with torch.no_grad():
        for its in (bias, None):
            assert torch.allclose(linear(rows, weight, its), nn.functional.linear(rows, weight, its), atol=1e-6)


def test_the_quickest_kernel_that_can_do_it_is_chosen():
    seconds = {SDPBackend.FLASH_ATTENTION: 3.0, SDPBackend.CUDNN_ATTENTION: None, SDPBackend.EFFICIENT_ATTENTION: 2.0}
    assert quickest(list, _FakeClock(seconds)) == SDPBackend.EFFICIENT_ATTENTION
    assert quickest(list, _FakeClock(dict.fromkeys(seconds))) is None


def test_a_kernel_without_memory_is_no_kernel_that_cannot():
    def cramped(work):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        quickest(list, cramped)


def test_choosing_a_kernel_leaves_nothing_for_a_backward_pass(monkeypatch):
    """Of a block that is computed anew for it, the choice is made only the first time: it must keep what it kept."""
    tries, kept = [], []
    monkeypatch.setattr(attending, "_timed_on_cuda", lambda work: tries.append(work()) or 1.0)
    tokens = torch.randn(3, 1, 2, 5, 4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda it: it):
        attending._chosen(*tokens)
    assert tries and not kept


def test_a_kernel_that_pytorch_takes_anyway_is_not_named(monkeypatch):
    tokens = torch.randn(3, 1, 2, 5, 4)
    own = SDPBackend(torch._fused_sdp_choice(*tokens))
    other = next(it for it in attending.KERNELS if it != own)
    for found, named in ((own, None), (other, other), (None, None)):
        monkeypatch.setattr(attending, "quickest", lambda work, clock, found=found: found)
        assert attending._chosen(*tokens) == named


def test_off_cuda_nothing_is_timed(monkeypatch):
    monkeypatch.setattr(attending, "quickest", lambda *given: pytest.fail("timed"))
    tokens = torch.randn(3, 1, 2, 5, 4)
    assert torch.equal(attend(*tokens), scaled_dot_product_attention(*tokens))


class _FakeClock:
    """Tells these seconds, in the order of `KERNELS`; None: this kernel can't."""

    def __init__(self, seconds):
        self.seconds = iter([seconds[kernel] for kernel in attending.KERNELS])

    def __call__(self, work):
        told = next(self.seconds)
        if told is None:
            raise RuntimeError("No available kernel. Aborting execution.")
        return told


class _Tape:
    """A graph on the CPU: what repeats the work reads and writes the tensors that it was captured with."""

    def __init__(self):
        self.captured = self.replayed = 0

    def __call__(self, work):
        self.captured += 1
        output = work()

        def replay():
            self.replayed += 1
            output.copy_(work())

        return self._with_its_texts(work, replay), output

    def _with_its_texts(self, work, replay):
        unet = work.func.__self__
        attentions = [it for it in unet.modules() if isinstance(it, Attention) and it.to_text]
        texts = [it.kept for it in attentions]

        def replay_with_them():
            now = [it.kept for it in attentions]
            for attention, text in zip(attentions, texts, strict=True):
                attention.kept = text
            replay()
            for attention, text in zip(attentions, now, strict=True):
                attention.kept = text

        return replay_with_them


@torch.inference_mode()
def test_a_graph_sees_every_batchs_noise_texts_and_weights(unet):
    batches = [told(unet, seed=seed) for seed in (1, 2)]
    expected = [predicted(unet, batch) for batch in batches]
    tape = _Tape()
    graphed = GraphedUNet(unet, tape)
    for _ in range(2):
        for batch, wanted in zip(batches, expected, strict=True):
            with graphed.switched(it := Use()):
                assert torch.equal(predicted(unet, batch), wanted)
            assert it.ran
    assert (tape.captured, tape.replayed) == (1, 4)
    next(unet.parameters()).data.mul_(1.5)
    with graphed.switched(Use()):
        assert not torch.equal(predicted(unet, batches[0]), expected[0])
    assert tape.captured == 1


@torch.inference_mode()
def test_a_graph_is_captured_for_two_shapes_and_not_for_large_ones(unet):
    tape = _Tape()
    graphed = GraphedUNet(unet, tape)
    with graphed.switched(Use()):
        for side in (8, 16, 8, 24, 16):
            assert torch.isfinite(predicted(unet, told(unet, side=side))).all()
    assert (tape.captured, tape.replayed) == (2, 4)
    with graphed.switched(it := Use()):
        predicted(unet, told(unet, batch=MOST_LATENTS // 8**2 + 1))
    assert tape.captured == 2 and not it.ran


@torch.inference_mode()
def test_weights_that_moved_are_captured_anew(unet):
    tape = _Tape()
    graphed = GraphedUNet(unet, tape)
    for number in (1, 2):
        for parameter in unet.parameters():
            parameter.data = parameter.data.clone()
        with graphed.switched(Use()):
            predicted(unet, told(unet))
        assert tape.captured == number and len(graphed._graphs) == 1


@torch.inference_mode()
def test_a_capture_that_fails_is_said_once_and_all_goes_on(unet, caplog):
    def failing(work):
        work()
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    expected = predicted(unet, told(unet))
    graphed = GraphedUNet(unet, failing)
    with graphed.switched(it := Use()):
        assert torch.equal(predicted(unet, told(unet)), expected)
        assert torch.equal(predicted(unet, told(unet)), expected)
    assert [record.message for record in caplog.records] == [
        "no CUDA graph could be captured (out of memory): going on without it"
    ]
    assert not it.ran


def test_without_being_switched_on_nothing_is_captured(unet):
    tape = _Tape()
    graphed = GraphedUNet(unet, tape)
    predicted(unet, told(unet))
    with graphed.switched(None):
        predicted(unet, told(unet))
    assert tape.captured == 0


class TestOnGpu:
    pytestmark = on_gpu

    @torch.inference_mode()
    def test_a_graph_gives_the_same_bits(self, folder):
        unet = load_denoiser(folder, torch.device("cuda"), torch.float16).unet
        batches = [_halved(told(unet, seed=seed)) for seed in (1, 2)]
        expected = [predicted(unet, batch) for batch in batches]
        graphed = GraphedUNet(unet)
        for _ in range(2):
            for batch, wanted in zip(batches, expected, strict=True):
                with graphed.switched(it := Use()):
                    assert torch.equal(predicted(unet, batch), wanted)
                assert it.ran

    def test_the_kernel_chosen_attends_the_same_to_rounding(self):
        tokens = torch.randn(3, 2, 4, 256, 64, device="cuda", dtype=torch.float16)
        with sdpa_kernel(SDPBackend.MATH):
            expected = scaled_dot_product_attention(*tokens)
        assert torch.allclose(attend(*tokens), expected, atol=2e-3)
        assert attending._shape(tokens[0], tokens[1]) in attending._CHOSEN


def _halved(arguments):
    sample, timestep, states, added = arguments
    return sample.half(), timestep, states.half(), {**added, "text_embeds": added["text_embeds"].half()}

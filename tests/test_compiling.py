"""Compiling the UNet: the same numbers, never a failure, once for a shape, and only where it pays."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from renderer.kolors.attention import fuse_projections
from renderer.kolors.kernels import compiled as compiling
from renderer.kolors.kernels.compiled import MOST_SHAPES, CompiledUNet
from renderer.kolors.kernels.multiplying import quicken
from renderer.kolors.kernels.packing import pack_convolutions
from renderer.kolors.kernels.worth import KNOWN, Compiling
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.lora.merging import MergedUNet
from renderer.kolors.pipeline import KolorsPainter
from renderer.kolors.weights import load_denoiser
from renderer.take import Painted, Provenance, TakeHypernetwork
from tests.loras import random_lora, save_kohya, use
from tests.test_kernels import predicted, told
from tests.test_kolors_painter import paint, take

CPU = torch.device("cpu")


@pytest.fixture
def as_on_gpu(folder):
    unet = load_denoiser(folder, CPU, torch.float32).unet
    fuse_projections(unet)
    quicken(unet)
    return unet


@pytest.fixture
def unet(as_on_gpu):
    pack_convolutions(as_on_gpu)
    return as_on_gpu


@pytest.fixture
def one_region(monkeypatch, request):
    """Only one block is compiled, a transformer's if no other is asked for: seconds instead of a minute."""
    kind = getattr(request, "param", "BasicTransformerBlock")

    def regions(unet):
        return [next(it for it in unet.modules() if type(it).__name__ == kind)]

    monkeypatch.setattr(compiling, "_regions", regions)


class Fake:
    """A compiler that adds `more` to what is computed, and counts what it is given; it fails with `error`."""

    def __init__(self, more=0.0, error=None):
        self.more, self.error, self.calls = more, error, []

    def __call__(self, plain):
        def compiled(*args, **kwargs):
            self.calls.append(tuple(args[0].shape))
            if self.error:
                raise self.error
            return plain(*args, **kwargs) + self.more

        return compiled


def graphs():
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def by_dynamo(plain):
    """What torch's compiler sees, without the minute that it takes to make machine code of it."""
    return torch.compile(plain, dynamic=False, backend="eager")


def test_compiling_is_said_once_for_a_batch_and_not_again_for_its_like(unet, caplog):
    caplog.set_level("INFO")
    compiled = CompiledUNet(unet, Fake())
    for batch in (2, 2, 3):
        with compiled.switched(True):
            predicted(unet, told(unet, batch=batch))
    assert [record.message.partition(":")[0] for record in caplog.records] == ["compiling the UNet"] * 2


def test_compiled_code_runs_only_while_it_is_switched_on(unet):
    plain, fake = predicted(unet, told(unet)), Fake(more=1.0)
    compiled = CompiledUNet(unet, fake)
    assert torch.equal(predicted(unet, told(unet)), plain) and not fake.calls
    with compiled.switched(True) as used:
        assert torch.equal(predicted(unet, told(unet)), plain + 1)
    assert used.ran and used.seconds > 0
    with compiled.switched(True) as used:
        predicted(unet, told(unet))
    assert used.ran and used.seconds == 0  # only the first of a shape is compiling
    with compiled.switched(False) as used:
        assert torch.equal(predicted(unet, told(unet)), plain)
    assert not used.ran


def test_shapes_beyond_the_first_two_go_without(unet):
    fake = Fake(more=1.0)
    with CompiledUNet(unet, fake).switched(True):
        for side in (8, 16, 24, 8, 24, 16):
            predicted(unet, told(unet, side=side))
    assert [shape[-1] for shape in fake.calls] == [8, 16, 8, 16] and MOST_SHAPES == 2


def test_a_compiler_that_fails_is_said_once_and_all_goes_on(unet, caplog):
    plain, fake = predicted(unet, told(unet)), Fake(error=RuntimeError("no g++ here\nat line 1"))
    with CompiledUNet(unet, fake).switched(True) as used:
        assert torch.equal(predicted(unet, told(unet)), plain)
        assert torch.equal(predicted(unet, told(unet)), plain)
    assert len(fake.calls) == 1 and not used.ran
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "torch's compiler doesn't work here (RuntimeError: no g++ here): going on without it"
    ]


def test_memory_that_runs_out_is_not_the_compilers_fault(unet):
    fake = Fake(error=torch.OutOfMemoryError("CUDA out of memory"))
    with CompiledUNet(unet, fake).switched(True), pytest.raises(torch.OutOfMemoryError):
        predicted(unet, told(unet))


def test_a_machine_without_c_compiler_paints_on(unet, one_region, caplog, monkeypatch, tmp_path):
    """The real one, with its cache empty."""
    import torch._inductor.config as inductor

    monkeypatch.setenv(compiling.CACHE_VARIABLE, str(tmp_path))
    plain = predicted(unet, told(unet, batch=3))
    with inductor.patch({"cpp.cxx": ("no-such-compiler",), "fx_graph_cache": False}):
        with CompiledUNet(unet).switched(True) as used:
            assert torch.equal(predicted(unet, told(unet, batch=3)), plain)
    assert not used.ran and "going on without it" in caplog.text


def test_another_batch_of_the_same_shape_is_not_compiled_again_and_is_seen(unet):
    """Its noise, its texts' kept keys and values, and its time."""
    batches = [told(unet, seed=seed) for seed in (1, 2, 3)]
    batches = [
        (sample, torch.tensor(time), *rest) for time, (sample, _, *rest) in zip((9, 500, 1), batches, strict=True)
    ]
    expected = [predicted(unet, batch) for batch in batches]
    compiled, before = CompiledUNet(unet, by_dynamo), graphs()
    counted = []
    for batch, wanted in zip(batches, expected, strict=True):
        with compiled.switched(True):
            assert torch.allclose(predicted(unet, batch), wanted, rtol=0, atol=1e-5)
        counted.append(graphs() - before)
    assert counted == [1, 1, 1]  # the whole UNet in one graph


def test_a_lora_is_seen_without_compiling_again(folder, unet, tmp_path):
    shapes = unet_shapes(folder)
    merged = MergedUNet(unet, shapes, folder)
    with CompiledUNet(unet, by_dynamo).switched(True):
        bare, before = predicted(unet, told(unet)), graphs()
        merged.use((use(save_kohya(tmp_path / "it.safetensors", random_lora(shapes), shapes)),))
        changed = predicted(unet, told(unet))
        merged.use(())
        assert torch.equal(predicted(unet, told(unet)), bare)
    assert graphs() == before and not torch.allclose(changed, bare, atol=1e-3)


def test_regions_of_a_gpu_are_few_graphs_and_the_same_numbers(as_on_gpu, monkeypatch):
    plain = predicted(as_on_gpu, told(as_on_gpu))
    blocks = [it for it in as_on_gpu.modules() if type(it).__name__ in compiling.REGIONS]
    monkeypatch.setattr(compiling, "_regions", lambda unet: blocks)
    before = graphs()
    compiling._allow_graphs(compiling.MOST_GRAPHS)
    with CompiledUNet(as_on_gpu, by_dynamo).switched(True) as used:
        assert torch.allclose(predicted(as_on_gpu, told(as_on_gpu)), plain, rtol=0, atol=1e-5)
    assert used.ran and 0 < graphs() - before < len(blocks)


@pytest.fixture
def compiled_by_nobody_else():
    """What others have compiled is forgotten, and so is, afterwards, what this test has."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("compiled_by_nobody_else")
def test_transformer_blocks_of_a_shape_share_one_graph(as_on_gpu, monkeypatch, tmp_path):
    """Inductor, which takes a minute for them and alone shares graphs, runs what it is given as it is."""
    import torch._inductor.compile_fx as inductor

    given = []
    monkeypatch.setenv(compiling.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(inductor, "compile_fx", lambda graph, inputs, **how: given.append(graph) or graph.forward)
    blocks = [it for it in as_on_gpu.modules() if type(it).__name__ == "BasicTransformerBlock"]
    shapes = set()
    handles = [it.register_forward_pre_hook(lambda block, given: shapes.add(given[0].shape)) for it in blocks]
    predicted(as_on_gpu, told(as_on_gpu))
    for handle in handles:
        handle.remove()
    monkeypatch.setattr(compiling, "_regions", lambda unet: blocks)
    compiled = CompiledUNet(as_on_gpu)
    for seed in (0, 1):
        with compiled.switched(True) as used:
            predicted(as_on_gpu, told(as_on_gpu, seed=seed))
        assert used.ran and len(given) == len(shapes) < len(blocks)


@pytest.mark.parametrize("one_region", compiling.REGIONS, indirect=True)
def test_machine_code_predicts_the_same_to_rounding_and_is_kept_for_later_runs(unet, one_region, monkeypatch, tmp_path):
    monkeypatch.setenv(compiling.CACHE_VARIABLE, str(tmp_path))
    plain = predicted(unet, told(unet))
    with CompiledUNet(unet).switched(True) as used:
        found = predicted(unet, told(unet))
    assert used.ran and [*tmp_path.rglob("*.so")]
    assert torch.allclose(found, plain, rtol=0, atol=1e-5 * plain.abs().max().item())


def test_the_cache_is_the_users_own_unless_told(monkeypatch):
    monkeypatch.delenv(compiling.CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(compiling, "user_cache_path", lambda name, appauthor: CACHE)
    compiling._by_torch()
    assert os.environ[compiling.CACHE_VARIABLE] == str(CACHE / "compiled")
    monkeypatch.setenv(compiling.CACHE_VARIABLE, "elsewhere")
    compiling._by_torch()
    assert os.environ[compiling.CACHE_VARIABLE] == "elsewhere"


CACHE = compiling.user_cache_path("tests-of-compiling", appauthor=False)


def test_what_is_asked_for_is_done_for_full_batches():
    compiling = Compiling(True, CPU)
    compiling.expect([("a", 10)])
    assert compiling.wanted("a", 4)
    compiling.painted("a", 4, 1.0)
    assert compiling.wanted("a", 4) and not compiling.wanted("a", 2) and compiling.wanted("b", 2)
    assert not Compiling(False, CPU).wanted("a", 4)
    assert not Compiling(True, torch.device("mps")).wanted("a", 4)


def test_unasked_it_is_done_where_the_takes_left_repay_it():
    known = KNOWN["cpu"]
    repaying = known.seconds / known.saved  # of denoising
    for left, wanted in ((repaying * 1.1, True), (repaying * 0.9, False)):
        compiling = Compiling(None, CPU)
        compiling.expect([("a", 4 + int(left)), ("b", 1_000_000)])
        assert not compiling.wanted("a", 4)  # nobody knows yet how long one takes
        compiling.painted("a", 4, 4.0)
        assert compiling.wanted("a", 4) is wanted
    compiling = Compiling(None, CPU)
    compiling.expect([("a", 4 + int(repaying * 1.1))])
    compiling.painted("a", 4, 4.0)
    for _ in range(int(repaying / 4)):
        assert compiling.wanted("a", 4)  # what is compiled stays in use to the end
        compiling.painted("a", 4, 4.0)


def test_pictures_are_the_same_compiled_and_say_so(folder, monkeypatch):
    takes = [take(seed) for seed in range(3)]
    plain = paint(KolorsPainter(folder, device="cpu", compiled=False), takes)
    monkeypatch.setattr(compiling, "_by_torch", lambda: by_dynamo)
    found = paint(KolorsPainter(folder, device="cpu", compiled=True), takes)
    for it in takes:
        assert isinstance(found[it.key], Painted)
        assert np.abs(found[it.key].pixels.astype(int) - plain[it.key].pixels).max() <= 1
        assert found[it.key].provenance.compiled and not plain[it.key].provenance.compiled


def test_strict_takes_and_hypernetworks_are_never_compiled(folder):
    from renderer.kolors.pipeline import Settings

    plain = Settings(32, 32, 4, 4.0, "ddim", (), (), "fp32", False, (0.0, 1.0), 1)
    assert plain.compilable and not replace(plain, strict=True).compilable
    assert not replace(plain, hypernetworks=(TakeHypernetwork("glow", "0" * 64),)).compilable
    assert replace(plain, hypernetworks=(TakeHypernetwork("glow", "0" * 64, 0.0),)).compilable


def test_old_records_were_not_compiled():
    read = TypeAdapter(Provenance).validate_python({"device": "cpu", "dtype": "fp32", "batch": 1, "seconds": 1.0})
    assert read.compiled is False


def test_painting_without_compiling_imports_no_compiler(folder):
    code = (
        "import sys\nfrom pathlib import Path\nfrom renderer.kolors.studio import Studio\nimport torch\n"
        f"studio = Studio(Path({str(folder)!r}), torch.device('cpu'))\n"
        "studio.prepare('fp32')\n"
        "with studio.compiling(False):\n    pass\n"
        "assert 'torch._inductor.compile_fx' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""The benchmark: what it counts, that all paint the same, what it prints and writes, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, replace

import pytest
import torch
import typer
from torch import nn

from renderer.benching.clock import busy
from renderer.benching.painters import Own, PlainLoop
from renderer.benching.parts import parts_of
from renderer.benching.report import Report
from renderer.benching.settings import choose, read_batches
from renderer.benchmark import benchmark
from renderer.commands.bench import bench, say_report
from renderer.commands.console import out
from renderer.errors import StoryboardError
from renderer.kolors.card import BUNDLED, Draft, read_card, write_card
from renderer.kolors.kernels import compiled
from tests.stories import MINI


@pytest.fixture(scope="module")
def report(folder):
    """Of the tiny model, one picture and three at once."""
    return benchmark(choose(str(folder), "48x32", 3, (1, 3), repeat=2), device="cpu")


def test_every_stage_is_timed(report):
    assert [stage.name for stage in report.stages] == ["load", "encode", "denoise", "decode", "write"]
    assert all(stage.seconds > 0 for stage in report.stages)
    assert [len(stage.runs) for stage in report.stages] == [1, 2, 2, 2, 2]


def test_all_paint_the_same_pictures(report):
    """In fp32 the largest difference is rounding: of latents that reach into the ones."""
    assert [(row.who, row.batch) for row in report.rows] == [
        *(("storyboard", 1), ("storyboard", 3)),
        ("plain loop", 1),
        *(("diffusers", 1), ("diffusers", 3)),
    ]
    assert report.latents_range > 0.5
    assert report.rows[0].difference is None
    assert all(row.difference < 1e-4 * report.latents_range for row in report.rows[1:])


def test_numbers_of_a_row_belong_together(report):
    for row in report.rows:
        assert row.pictures_per_minute == pytest.approx(60 / row.seconds)
        assert row.seconds == pytest.approx(sum(row.runs) / 2)  # the median of two
        assert row.tflops == pytest.approx(row.batch * row.tflop / row.denoise_seconds)
        assert row.peak_bytes is None
    assert report.rows[2].over_plain == 1
    assert min(row.over_diffusers for row in report.rows[3:]) <= 1
    best = report.best
    assert best.seconds == min(row.seconds for row in report.rows[:2])
    assert report.stages[2].gemm_share == best.gemm_share


def test_file_and_table_have_the_same(report, capsys, monkeypatch):
    monkeypatch.setattr(out, "_width", 250)
    written = json.loads(report.to_json())
    assert written == json.loads(json.dumps(asdict(report)))
    say_report(report)
    said = capsys.readouterr().out
    rows = _rows_of(said)
    assert len(rows) == len(written["rows"]) == 5
    for shown, row in zip(rows, written["rows"], strict=True):
        words = row["who"].split()
        assert shown[: len(words) + 1] == [*words, str(row["batch"])]
        assert float(shown[len(words) + 1]) == pytest.approx(row["seconds"], rel=0.01)
        assert float(shown[len(words) + 2]) == pytest.approx(row["cpu_seconds"], rel=0.01)
        assert float(shown[len(words) + 3]) == pytest.approx(row["pictures_per_minute"], rel=0.01)
        assert float(shown[-2]) == pytest.approx(row["over_plain"], rel=0.01)
        assert float(shown[-1]) == pytest.approx(row["over_diffusers"], rel=0.01)
    assert "memory:" in said and "not measured" in said
    for stage in written["stages"]:
        assert any(line.startswith(stage["name"]) and stage["what"] in line for line in said.splitlines()), said
    assert "tiny, 48x32, 3 steps, euler, guidance 4, fp32; medians of 2 rounds" in said


def test_a_gpus_table_fits_an_ordinary_terminal(report, capsys, monkeypatch):
    """With a format of its own for each, and memory; without processor time."""
    monkeypatch.setattr(out, "_width", 80)
    rows = tuple(
        replace(
            row, precision="fp16" if row.who == "plain loop" else "bf16", peak_bytes=12_345_678_901, cpu_seconds=None
        )
        for row in report.rows
    )
    say_report(replace(report, rows=rows, gemm_tflops=700.0))
    said = capsys.readouterr().out
    shown = [
        line.split() for line in said.splitlines() if line.startswith(("storyboard ", "plain loop ", "diffusers "))
    ]
    assert [words[-6:-4] for words in shown[1:]] == [[words[-6], "12.3"] for words in shown[1:]]
    assert shown[0][:3] == ["storyboard", "1", "bf16"] and shown[2][:4] == ["plain", "loop", "1", "fp16"]
    assert "TFLOP" in said and "GFLOP" not in said and "CPU\n" not in said and "not measured" not in said


def test_without_comparison_only_this_program_paints(folder):
    report = benchmark(choose(str(folder), "32x32", 1, (2,), repeat=1, compare=False), device="cpu")
    assert [(row.who, row.batch, row.over_plain) for row in report.rows] == [("storyboard", 2, None)]


@pytest.mark.parametrize("precision", ["bf16", "fp8"])
def test_half_precision_and_less_paint_on_the_cpu_too(folder, precision):
    report = benchmark(choose(str(folder), "32x32", 2, (1,), precision, repeat=1), device="cpu")
    # The plain loop has its own, and no one else knows layers in 8 bits: they paint with the weights before rounding.
    assert [row.precision for row in report.rows] == [precision, "fp32", "bf16"]
    assert all(0 < row.difference < 0.2 * report.latents_range for row in report.rows[1:])


def test_compiled_it_paints_the_same_and_says_what_compiling_took(folder, capsys, monkeypatch):
    monkeypatch.setattr(compiled, "_by_torch", lambda: lambda plain: plain)
    monkeypatch.setattr(out, "_width", 250)
    report = benchmark(choose(str(folder), "32x32", 1, (1, 2), repeat=1, compare=False, compiled=True), device="cpu")
    assert [(row.who, row.batch) for row in report.rows] == [
        *(("storyboard", 1), ("storyboard", 2)),
        *(("storyboard (compiled)", 1), ("storyboard (compiled)", 2)),
    ]
    assert [row.compile_seconds is None for row in report.rows] == [True, True, False, False]
    assert all(row.difference < 1e-4 * report.latents_range for row in report.rows[1:])
    assert report.rows[2].tflop == report.rows[0].tflop
    assert report.best.seconds == min(row.seconds for row in report.rows)
    say_report(report)
    said = capsys.readouterr().out
    assert "storyboard (compiled): the same by code" in said and "ing s" in said


def test_it_is_compiled_for_one_picture_and_for_the_largest_batch(folder, monkeypatch):
    monkeypatch.setattr(compiled, "_by_torch", lambda: lambda plain: plain)
    for batches, expected in (((1, 2, 4), [1, 4]), ((2,), [2])):
        report = benchmark(
            choose(str(folder), "32x32", 1, batches, repeat=1, compare=False, compiled=True), device="cpu"
        )
        assert [row.batch for row in report.rows if row.who == "storyboard (compiled)"] == expected
        assert not [note for note in report.notes if "not compiled" in note]


def test_a_draft_takes_less_arithmetic_and_says_how_like_the_full_picture_it_is(folder):
    settings = choose(str(folder), "32x32", 12, (1, 2), repeat=1, compare=False, draft=True)
    card = settings.card.model_copy(update={"draft": Draft(sampler="euler", steps=6, cache_interval=2)})
    report = benchmark(replace(settings, card=card), device="cpu")
    assert [(row.who, row.batch) for row in report.rows[2:]] == [("storyboard (draft)", 1), ("storyboard (draft)", 2)]
    assert 0.25 < report.rows[2].tflop / report.rows[0].tflop < 0.5  # half of the steps, and half of those in part
    assert report.best.who == "storyboard"
    assert re.fullmatch(r"storyboard \(draft\): \d+\.\d dB \(PSNR\) from the full picture, .*", report.notes[-1])


def test_a_compiler_that_fails_is_told_and_the_rest_is_measured(folder, monkeypatch):
    def failing(plain):
        def call(*args, **kwargs):
            raise RuntimeError("no g++")

        return call

    monkeypatch.setattr(compiled, "_by_torch", lambda: failing)
    report = benchmark(choose(str(folder), "32x32", 1, (1,), repeat=1, compare=False, compiled=True), device="cpu")
    assert [row.compile_seconds for row in report.rows] == [None, None]
    assert "storyboard (compiled), batch 1: not compiled: torch's compiler doesn't work here" in report.notes[-1]


def test_the_command_says_and_writes_what_it_found(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(out, "_width", 250)
    file = tmp_path / "found.json"
    options = ["--model", str(folder), "--size", "32x32", "--steps", "1", "--batch", "1", "--repeat", "1"]
    _command([*options, "--no-compare", "--json", str(file)])
    said = capsys.readouterr().out
    assert str(file) in said and "pictures" in said and "diffusers 0" in said and "×" not in said
    assert Report(**json.loads(file.read_text())).rows[0]["who"] == "storyboard"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--batch", "0"), "--batch 0: at least 1"),
        (("--batch", "1;4"), "with commas, such as 1,4"),
        (("--steps", "0"), "--steps 0: at least 1"),
        (("--repeat", "0"), "--repeat 0: at least 1"),
        (("--size", "50x32"), "--size 50x32: tiny paints 16 to 128 pixels a side, in steps of 8; the nearest size is"),
        (("--size", "large"), "a size is written like 768x512 or 16:9"),
        (("--precision", "int4"), "--precision int4: there is no such number format. Known: bf16, fp16, fp32, fp8."),
        (("--random-weights",), "--random-weights makes a model of Kolors' size"),
        (("--json", "no/such/folder/x.json"), "there is no folder no/such/folder"),
    ],
)
def test_options_that_cannot_be_are_told_before_anything_is_loaded(folder, monkeypatch, options, words):
    monkeypatch.setattr("renderer.benchmark.benchmark", lambda *arguments: pytest.fail("began to measure"))
    with pytest.raises(StoryboardError) as told:
        _command(["--model", str(folder), *options])
    assert words in str(told.value)


def test_an_unknown_model_is_told():
    with pytest.raises(StoryboardError, match=r'"kolors-mimi" is not on this machine. Did you mean "kolors-mini"\?'):
        _command(["--model", "kolors-mimi"])


def test_no_batch_that_fits_is_told(folder, monkeypatch):
    def cramped(self, steps):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Own, "denoise", cramped)
    with pytest.raises(StoryboardError, match="not even 2 at once of 32x32 fit into that of cpu"):
        benchmark(choose(str(folder), "32x32", 1, (2, 4), repeat=1, compare=False), device="cpu")


def test_a_busy_machine_is_told(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (3.1, 0.0, 0.0))
    assert "load 3.1, 2 cores" in busy()
    monkeypatch.setattr("os.getloadavg", lambda: (0.3, 9.0, 9.0))
    assert busy() == ""


def test_others_that_do_not_fit_are_left_out_by_name(folder, monkeypatch):
    def cramped(*weights):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("renderer.benchmark.kolors_pipeline", cramped)
    report = benchmark(choose(str(folder), "32x32", 1, (1,), repeat=1), device="cpu")
    assert [row.who for row in report.rows] == ["storyboard", "plain loop"]
    assert "diffusers: out of memory" in report.notes
    assert all(row.over_diffusers is None for row in report.rows)


def test_another_whose_numbers_leave_its_range_is_timed_but_not_compared(folder, monkeypatch):
    whole = PlainLoop.denoise
    monkeypatch.setattr(PlainLoop, "denoise", lambda self, steps: whole(self, steps) * float("inf"))
    report = benchmark(choose(str(folder), "32x32", 1, (1,), repeat=1), device="cpu")
    assert [row.difference is None for row in report.rows] == [True, True, False]
    assert report.rows[1].seconds > 0 and "plain loop, batch 1: its numbers went out of range" in report.notes[-1]
    json.loads(report.to_json(), parse_constant=pytest.fail)


def test_numbers_out_of_range_are_told(folder, monkeypatch):
    whole = Own.denoise
    monkeypatch.setattr(Own, "denoise", lambda self, steps: whole(self, steps) * float("nan"))
    with pytest.raises(StoryboardError, match=r"out of range.* in fp32. Choose another --precision"):
        benchmark(choose(str(folder), "32x32", 1, (1,), repeat=1, compare=False), device="cpu")


def test_nothing_chosen_is_the_miniature_as_its_card_has_it():
    settings = choose()
    assert (settings.card, settings.width, settings.height, settings.steps) == (MINI, *MINI.size, MINI.steps)
    assert read_batches("4, 1") == (4, 1) and choose(batches=(4, 1, 4)).batches == (1, 4)
    assert settings.guidance == 4.0
    assert choose(random_weights=True).card.name == "kolors" and choose(random_weights=True).folder is None


def test_a_model_without_guidance_is_measured_with_it(tmp_path):
    """diffusers leaves out the negatives at a scale of 1, and so would do half of the others' work."""
    folder = shutil.copytree(BUNDLED / "kolors-mini", tmp_path / "quick")
    write_card(folder, read_card(folder).model_copy(update={"guidance": 1.0}))
    assert choose(str(folder)).guidance == 5.0


def test_parts_of_a_folder_build_the_plain_unet_under_the_same_names(folder):
    parts = parts_of(folder)
    with torch.device("meta"):
        plain = parts.build_plain_unet()
    assert isinstance(plain, nn.Module)
    kinds = {type(plain.get_submodule(name)).__module__ for name, _ in plain.named_modules() if name.endswith("attn1")}
    assert kinds == {type(plain).__module__}


def _rows_of(said):
    return [line.split() for line in said.splitlines() if line.startswith(("storyboard ", "plain loop ", "diffusers "))]


def _command(words):
    app = typer.Typer()
    app.command()(bench)
    app(words, standalone_mode=False)

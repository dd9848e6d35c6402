"""What a recipe asks for that the machine lacks is told at its place, before anything is fetched."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from renderer.errors import AuthoringError, TrainingError
from renderer.trainer.machine import require_data_tools, require_machine, require_packages
from renderer.trainer.recipe import load_recipe
from tests.recipes import SHORTEST, write_recipe
from tests.test_cli import run

__all__ = ["run"]

pytest.importorskip("lightning", reason="Lightning is not installed")
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def lacking(tmp_path: Path, text: str) -> str:
    """What is told of a recipe that says this besides."""
    path = write_recipe(tmp_path, f"{SHORTEST}{text}\n")
    with pytest.raises(AuthoringError) as error:
        require_machine(load_recipe(path))
    return str(error.value).replace(f"{path}:", "")


def test_a_recipe_that_can_be_trained_here_passes_in_silence(tmp_path):
    text = f"{SHORTEST}loggers: [csv, lightning.pytorch.loggers.CSVLogger]\ntrain: {{devices: 2, strategy: ddp}}\n"
    recipe = load_recipe(write_recipe(tmp_path, text))
    if torch.cuda.device_count() != 1:
        require_machine(recipe)
    require_data_tools(recipe)


@no_gpu
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train: {optimizer: adamw8bit}", "2:20: train.optimizer: adamw8bit needs CUDA, and there is none here."),
        ("train: {precision: fp16-mixed}", "2:20: train.precision: fp16-mixed needs CUDA, and there is none here."),
        ("train: {devices: [1]}", "2:19: train.devices[0]: there is no GPU 1 here; there are none."),
    ],
)
def test_what_needs_a_gpu_is_told_without_one(tmp_path, text, expected):
    assert lacking(tmp_path, text).startswith(expected)


def test_a_strategy_that_lightning_has_not_is_told(tmp_path):
    told = lacking(tmp_path, "train: {strategy: dpp}")
    assert told == '2:19: train.strategy: Lightning has no strategy "dpp". Did you mean "ddp"?'


def test_a_logger_is_imported_from_installed_packages_only(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("raise SystemExit('this ran')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    told = lacking(tmp_path, "loggers: [csv, beside.Logger]")
    assert told == '2:16: loggers[1]: no package "beside" is installed. Install it, or remove the logger.'


@no_gpu
def test_all_that_is_lacking_comes_at_once(tmp_path):
    told = lacking(tmp_path, "train: {optimizer: adamw8bit, strategy: none}\nloggers: [nothing.Logger]")
    assert len(told.splitlines()) == 3


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_ray_is_asked_for_where_it_is_missing(tmp_path):
    recipe = load_recipe(write_recipe(tmp_path, f"{SHORTEST}executor: ray\n"))
    with pytest.raises(AuthoringError, match="pip install ray"):
        require_data_tools(recipe)


def test_missing_packages_name_the_extra():
    with pytest.raises(
        TrainingError, match=r'more packages \(no_such_thing\). Run: pip install "kolors-storyboard\[train\]"'
    ):
        require_packages(["lightning", "no_such_thing"])


@no_gpu
def test_the_command_tells_it_before_anything_is_made(run, tmp_path):
    file = write_recipe(tmp_path, f"{SHORTEST}train: {{optimizer: adamw8bit}}\n")
    code, out, err = run("train", file)
    assert (code, out) == (2, "")
    assert "adamw8bit needs CUDA" in err
    assert "1 problem; nothing was trained." in err
    assert not (tmp_path / "training").exists()

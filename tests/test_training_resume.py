"""A training that is stopped and gone on with is the one that never was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

lightning = pytest.importorskip("lightning")

from renderer.errors import TrainingError  # noqa: E402
from renderer.files import file_sha256  # noqa: E402
from renderer.trainer.fit import fit  # noqa: E402
from renderer.trainer.learning.checkpoints import checkpoints_in  # noqa: E402
from renderer.trainer.learning.progress import TrainingProgress  # noqa: E402
from tests.fakes import FakePainter  # noqa: E402
from tests.trainings import make_job, make_models  # noqa: E402

torch.set_num_threads(1)

STEPS = "train: {steps: 8, gradient_checkpointing: false, learning_rate: 0.01}\ncheckpoints: {every: 3}\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def job_of(tmp_path, models):
    """A training in a folder of its own."""
    return lambda text=STEPS, name="a", **told: make_job(tmp_path / name, models, text, **told)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, models):
    """The folder of a training that ran through, with checkpoints of steps 6 and 8."""
    folder = tmp_path_factory.mktemp("finished")
    run(make_job(folder, models, STEPS))
    return folder


@pytest.fixture
def copied(tmp_path, models):
    """A training in a copy of another one's folder."""

    def make(folder: Path, text: str = STEPS, **told):
        shutil.copytree(folder, tmp_path / "copy")
        return make_job(tmp_path / "copy", models, text, **told)

    return make


def sha256_of(folder: Path) -> str:
    """Of the result of a training in a folder."""
    return file_sha256(folder / "out" / "pencil.safetensors")


class Signals:
    """Sends a signal to this process as soon as a step is told."""

    def __init__(self, step: int, number: int = signal.SIGINT) -> None:
        self._step, self._number = step, number
        self.steps: list[int] = []

    def __call__(self, progress: TrainingProgress) -> None:
        if progress.stage == "training":
            self.steps.append(progress.done)
            if progress.done == self._step:
                os.kill(os.getpid(), self._number)


class Steps:
    """Remembers which steps were told."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def __call__(self, progress: TrainingProgress) -> None:
        if progress.stage == "training":
            self.done.append(progress.done)


def run(job):
    return fit(job, "cpu", lambda recipe, device: FakePainter())


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


# Going on.


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (
            "image: {size: 32, crop: random, flip: true}\nvalidation: {share: 0.25, every: 2}\n"
            "samples: {prompts: [夜晚], every: 4}\ncheckpoints: {every: 5}\n"
            "train: {steps: 6, batch: 2, accumulate: 2, ema: 0.9, schedule: cosine, warmup: 2, caption_shuffle: true,"
            " caption_dropout: 0.2, min_snr: 5, noise_offset: 0.1, learning_rate: 0.01}\n",
            signal.SIGTERM,
        ),
        ("lora: {rank: 2, dora: true}\ntrain: {steps: 6, optimizer: prodigy, learning_rate: 1.0}\n", signal.SIGINT),
    ],
)
def test_stopped_and_resumed_training_ends_in_the_same_file_and_records(job_of, text, number):
    whole = job_of(text, "whole")
    expected = run(whole)
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    signals = Signals(3, number)
    with pytest.raises(KeyboardInterrupt):
        run(job_of(text, "parts", tell=signals))
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    stopped = signals.steps[-1]
    assert 4 <= stopped < 6  # the step in hand is finished first
    steps = Steps()
    parts = job_of(text, "parts", tell=steps)
    assert json.loads((parts.run / "progress.json").read_text())["state"] == "stopped"
    assert names(parts.checkpoints) == [f"step-{stopped:06d}.ckpt"]
    found = run(parts)
    assert steps.done == list(range(stopped, 7))
    assert file_sha256(found.file) == file_sha256(expected.file)
    assert found.losses == expected.losses
    assert (parts.run / "log.csv").read_text() == (whole.run / "log.csv").read_text()
    if whole.recipe.samples.prompts:
        assert names(parts.samples) == names(whole.samples)


CHILD = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from renderer.trainer.fit import fit
from tests.trainings import make_job
folder, models, text, pause = sys.argv[1:]
def tell(progress):
    if progress.stage == "training" and progress.done == int(pause):
        time.sleep(600)
fit(make_job(Path(folder), Path(models), text, tell), "cpu")
"""
"""Trains, and waits after a step to be killed."""


def test_killed_training_ends_in_the_file_of_the_one_that_was_not(job_of, models, tmp_path):
    text = STEPS.replace("steps: 8", "steps: 12, ema: 0.9")
    expected = file_sha256(run(job_of(text, "whole")).file)
    killed = job_of(text, "killed")
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "killed"), str(models), text, "8"])
    try:
        deadline = time.monotonic() + 120
        while not (killed.checkpoints / "step-000006.ckpt").exists() and time.monotonic() < deadline:
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert names(killed.checkpoints) == ["step-000003.ckpt", "step-000006.ckpt"]
    assert file_sha256(run(killed).file) == expected


def test_training_that_is_finished_is_not_trained_again(finished, copied):
    steps = Steps()
    job = copied(finished, tell=steps)
    job.result.unlink()
    assert file_sha256(run(job).file) == sha256_of(finished)
    assert steps.done == []


def test_training_killed_at_its_last_samples_is_finished_on_its_page_too(finished, copied):
    job = copied(finished)
    (job.run / "index.html").unlink()
    (job.run / "progress.json").write_text('{"state": "running"}')
    run(job)
    assert json.loads((job.run / "progress.json").read_text())["state"] == "finished"
    assert "data-running" not in (job.run / "index.html").read_text(encoding="utf-8")


def test_file_of_a_checkpoint_that_a_kill_came_before_is_there_afterwards(finished, copied):
    job = copied(finished)
    (job.checkpoints / "step-000008.ckpt").unlink()  # as if it was killed just after it had saved step 6
    expected = file_sha256(job.result_at(6))
    job.result_at(6).unlink()
    run(job)
    assert file_sha256(job.result_at(6)) == expected


def test_finished_trainings_samples_are_those_of_the_prompts_asked_for_now(finished, copied):
    job = copied(finished, f"samples: {{prompts: [夜晚]}}\n{STEPS}")
    result = run(job)
    assert names(job.samples) == ["000008-01.png"]
    assert result.samples == job.out / "pencil.png"


def test_more_steps_may_be_asked_for_where_the_past_stays_the_same(finished, copied, job_of):
    longer = STEPS.replace("steps: 8", "steps: 10")
    steps = Steps()
    found = run(copied(finished, longer, tell=steps))
    assert steps.done == [8, 9, 10]
    assert file_sha256(found.file) == file_sha256(run(job_of(longer)).file)


# What is kept.


def test_checkpoints_hold_all_but_the_frozen_weights(job_of):
    job = job_of(STEPS.replace("steps: 8", "steps: 8, ema: 0.9"))
    run(job)
    assert names(job.checkpoints) == ["step-000006.ckpt", "step-000008.ckpt"]
    kept = torch.load(job.checkpoints / "step-000008.ckpt", weights_only=True)
    assert kept["global_step"] == 8
    assert kept["state_dict"].keys() == kept["average"].keys()
    assert all(".lora_" in name for name in kept["state_dict"])
    assert len(kept["optimizer_states"][0]["state"]) == len(kept["state_dict"])
    assert kept["training"]["recipe"] == job.recipe.settings


def test_so_many_checkpoints_are_kept_as_asked_for(job_of):
    job = job_of(STEPS.replace("every: 3", "every: 1, keep: 3, files: false"))
    run(job)
    assert names(job.checkpoints) == [f"step-{step:06d}.ckpt" for step in (6, 7, 8)]
    assert not job.result_at(1).parent.exists()


# What is not gone on with.


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, models):
    """The folder of a training that was stopped with checkpoints of steps 3 and 6."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KeyboardInterrupt):
        run(make_job(folder, models, STEPS, Signals(6)))
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STEPS.replace("0.01", "0.02"), r"recipe\.train\.learning_rate was 0\.01 and is 0\.02\."),
        (STEPS.replace("steps: 8", "steps: 7"), r"recipe\.train\.steps was 8 and is 7\."),
        (
            STEPS.replace("steps: 8", "steps: 9, schedule: linear"),
            r"schedule was constant.*; recipe\.train\.steps was 8",
        ),
        (f"lora: {{rank: 4}}\n{STEPS}", r"recipe\.lora\.rank was 16 and is 4\."),
        (f"image: {{flip: true}}\n{STEPS}", r"recipe\.image\.flip was false and is true\."),
    ],
)
def test_checkpoint_of_another_recipe_is_refused_with_what_differs(stopped, models, text, words):
    with pytest.raises(TrainingError, match=rf"step-0+\d\.ckpt is of another training: .*{words}") as caught:
        run(make_job(stopped, models, text))
    assert "to begin anew, train with --fresh" in str(caught.value)
    assert "--run DIR" in str(caught.value)


def test_checkpoint_of_other_pictures_is_refused(stopped, models):
    job = make_job(stopped, models, STEPS)
    fewer = replace(job, dataset=replace(job.dataset, samples=job.dataset.samples[1:], digest="1" * 64))
    with pytest.raises(TrainingError, match=r"pictures\.count was 4 and is 3; pictures\.digest was"):
        run(fewer)


def test_settings_that_change_no_result_are_no_other_recipe(stopped, finished, copied):
    text = STEPS.replace("gradient_checkpointing: false", "gradient_checkpointing: true, cache: false")
    assert file_sha256(run(copied(stopped, text)).file) == sha256_of(finished)


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_damaged_newest_checkpoint_falls_back_to_the_one_before(finished, copied, damage, caplog):
    steps = Steps()
    job = copied(finished, tell=steps)
    newest, before = checkpoints_in(job.checkpoints)
    assert [newest.name, before.name] == ["step-000008.ckpt", "step-000006.ckpt"]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 255
    newest.write_bytes({"cut": newest.read_bytes()[:-100], "flipped": bytes(content), "foreign": b"PK"}[damage])
    assert file_sha256(run(job).file) == sha256_of(finished)
    assert steps.done == [6, 7, 8]
    assert "step-000008.ckpt is damaged: going on from the one before" in caplog.text


def test_damaged_checkpoint_pushes_out_none_that_is_whole(finished, copied):
    job = copied(finished, STEPS.replace("every: 3", "every: 3, keep: 1"), tell=Signals(3))
    (job.checkpoints / "step-000006.ckpt").unlink()
    (job.checkpoints / "step-000008.ckpt").write_bytes(b"damaged")
    with pytest.raises(KeyboardInterrupt):
        run(job)
    whole, damaged = names(job.checkpoints)
    assert whole in ("step-000004.ckpt", "step-000005.ckpt")
    assert damaged == "step-000008.ckpt"


def test_without_a_whole_checkpoint_it_begins_anew(job_of):
    job = job_of()
    job.checkpoints.mkdir(parents=True)
    (job.checkpoints / "step-000005.ckpt").write_bytes(b"")
    (job.checkpoints / "notes.ckpt").write_bytes(b"mine")
    steps = Steps()
    run(replace(job, tell=steps))
    assert steps.done == list(range(9))
    assert (job.checkpoints / "notes.ckpt").read_bytes() == b"mine"


def test_what_a_killed_training_left_half_done_is_removed(finished, copied):
    job = copied(finished)
    (job.checkpoints / "step-000009.partial").write_bytes(b"half")
    (job.run / ".painting-abc").mkdir()
    (job.run / ".painting-abc" / "pencil.safetensors").write_bytes(b"half")
    run(job)
    assert names(job.checkpoints) == ["step-000006.ckpt", "step-000008.ckpt"]
    assert not list(job.run.glob(".painting*"))


def test_second_interrupt_ends_at_once(job_of):
    def impatient(progress: TrainingProgress) -> None:
        if progress.stage == "training" and progress.done == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    job = job_of(tell=impatient)
    with pytest.raises(KeyboardInterrupt):
        run(job)
    assert threading.current_thread() is threading.main_thread()
    assert not job.result.exists()


# Several devices.


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_twice_the_batch(job_of, models, tmp_path):
    """pytest -m slow -k two_processes tests/test_training_resume.py"""
    image = "image: {size: 64, upscale: true}\n"
    one = image + STEPS.replace("steps: 8", "steps: 4, batch: 2")
    two = image + STEPS.replace("steps: 8", "steps: 4, devices: 2, strategy: ddp")
    expected = load_file(run(job_of(one, "one")).file)
    script = tmp_path / "train.py"
    script.write_text(CHILD)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    folder = tmp_path / "two"
    subprocess.run([sys.executable, script, folder, models, two, "-1"], check=True, env=environment, timeout=300)
    found = load_file(folder / "out" / "pencil.safetensors")
    assert names(folder / "training" / "pencil" / "checkpoints") == ["step-000003.ckpt", "step-000004.ckpt"]
    learned = {name: it for name, it in expected.items() if "lora_B" in name}  # the others begin at random
    apart = sum(float((found[name] - it).square().sum()) for name, it in learned.items())
    assert apart < 1e-3 * sum(float(it.square().sum()) for it in learned.values())

"""A whole training: what it leaves, what changes none of it, and what goes wrong."""

from __future__ import annotations

import csv
import errno
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

lightning = pytest.importorskip("lightning")

from renderer.errors import ModelError, RunFolderError, TrainingError  # noqa: E402
from renderer.files import file_sha256  # noqa: E402
from renderer.kolors.lora.file import inspect_lora  # noqa: E402
from renderer.kolors.pipeline import KolorsPainter  # noqa: E402
from renderer.take import Painted, Take, TakeLora  # noqa: E402
from renderer.trainer import fit as fitting  # noqa: E402
from renderer.trainer.fit import fit  # noqa: E402
from renderer.trainer.learning.progress import TrainingProgress  # noqa: E402
from tests.fakes import FakePainter  # noqa: E402
from tests.trainings import make_job, make_models  # noqa: E402

torch.set_num_threads(1)

SHORT = "train: {steps: 4, batch: 2, gradient_checkpointing: false, learning_rate: 0.001}\n"
FULL = (
    "title: 铅笔\ntrigger_words: [铅笔画风格]\nlicence: CC0-1.0\n"
    "image: {size: 32, crop: random, flip: true}\n"
    "validation: {share: 0.25, every: 3}\n"
    "samples: {prompts: [一个女孩, a red cat], every: 3, steps: 2}\n"
    "checkpoints: {every: 2}\n"
    "loggers: [csv, tensorboard, lightning.pytorch.loggers.CSVLogger]\n" + SHORT
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def job_of(tmp_path, models):
    """A training in a folder of its own."""
    return lambda text=SHORT, name="a", **told: make_job(tmp_path / name, models, text, **told)


def result_of(job, **options):
    """The sha256 of a training's result."""
    return file_sha256(fit(job, "cpu", **options).file)


# What it leaves.


@pytest.fixture(scope="module")
def finished(tmp_path_factory, models):
    """A training with everything asked for, and what was told of it."""
    told: list[TrainingProgress] = []
    job = make_job(tmp_path_factory.mktemp("finished"), models, FULL, told.append)
    return job, told, fit(job, "cpu", lambda recipe, device: FakePainter())


def test_result_is_a_lora_that_storyboards_use_with_a_card(finished):
    job, _, result = finished
    assert result.file == job.out / "pencil.safetensors"
    header = inspect_lora(result.file)
    assert (header.format, header.ranks) == ("peft", (16,))
    card = json.loads((job.out / "pencil.json").read_text())
    assert card["sha256"] == file_sha256(result.file)
    assert card["base_model"] == "tiny@1"
    assert (card["recipe"], card["recipe_digest"]) == ("pencil.yaml", job.recipe.digest)
    assert (card["step"], card["steps"], card["rank"], card["alpha"]) == (4, 4, 16, 4)
    assert card["losses"].keys() == {"train", "validation"} == result.losses.keys()
    assert card["trigger_words"] == ["铅笔画风格"]
    assert card["samples"] == "pencil.png"


def test_result_differs_from_where_it_began(finished):
    _, _, result = finished
    assert all(float(it.abs().max()) > 0 for it in load_file(result.file).values())


def test_each_checkpoint_gives_a_file_to_compare(finished):
    job, _, result = finished
    folder = job.out / "pencil.steps"
    assert sorted(file.name for file in folder.iterdir()) == ["2.json", "2.safetensors"]
    assert json.loads((folder / "2.json").read_text())["step"] == 2
    assert file_sha256(folder / "2.safetensors") != file_sha256(result.file)


def test_samples_are_painted_at_the_beginning_then_and_at_the_end(finished):
    job, _, result = finished
    names = [f"{step:06d}-{number:02d}.png" for step in (0, 3, 4) for number in (1, 2)]
    assert sorted(file.name for file in job.samples.iterdir()) == names
    with Image.open(result.samples) as sheet:
        assert sheet.size == (64, 32)
        assert "trainedAlgorithmicMedia" in sheet.info["XML:com.adobe.xmp"]


def test_losses_are_logged(finished):
    job, _, _ = finished
    rows = list(csv.DictReader((job.run / "log.csv").open(encoding="utf-8")))
    assert [row["step"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [bool(row["validation"]) for row in rows] == [True, False, False, True, True]
    assert all(float(row["loss"]) > 0 for row in rows[1:])
    assert {row["learning_rate"] for row in rows} == {"0.001"}


def test_progress_is_told(finished):
    job, told, result = finished
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == ["latents", "texts", "painting", "training"]
    training = [progress for progress in told if progress.stage == "training"]
    assert [progress.done for progress in training] == [0, 1, 2, 3, 4]
    assert training[0].loss is None
    assert training[-1].loss == pytest.approx(result.losses["train"])
    progress = json.loads((job.run / "progress.json").read_text())
    assert (progress["step"], progress["steps"], progress["state"]) == (4, 4, "finished")


def test_page_shows_the_training(finished):
    job, _, _ = finished
    page = (job.run / "index.html").read_text(encoding="utf-8")
    assert "pencil" in page
    assert "samples/000004-01.png" in page


def test_recipe_is_kept_beside_it(finished):
    job, _, _ = finished
    assert (job.run / "recipe.yaml").read_text(encoding="utf-8") == job.recipe.text


def test_nothing_else_is_left(finished):
    job, _, _ = finished
    there = {path.name for path in job.run.iterdir()}
    files = {"index.html", "log.csv", "progress.json", "recipe.yaml"}
    assert there == files | {"checkpoints", "samples", "tensorboard", "pencil"}


# What changes nothing.


def test_cache_samples_validation_and_recomputing_change_no_bit_of_the_result(job_of):
    base = "image: {size: 32, crop: random, flip: true}\nvalidation: {share: 0.25, every: 2}\n"
    train = "train: {steps: 3, batch: 2, caption_shuffle: true, ema: 0.9, learning_rate: 0.001"
    plain = job_of(f"{base}{train}, gradient_checkpointing: false}}\n", "plain")
    others = f"{base.replace('2}', '50}')}{train}, cache: false}}\nsamples: {{prompts: [夜晚], every: 2, steps: 1}}\n"
    other = job_of(others, "other")
    assert plain.recipe.digest == other.recipe.digest
    assert result_of(plain) == result_of(other)
    assert len(list(other.samples.iterdir())) == 3


def test_mixed_precision_is_the_same_with_and_without_a_cache(job_of):
    texts = [f"train: {{steps: 2, precision: bf16-mixed, cache: {switch}}}" for switch in ("true", "false")]
    results = [result_of(job_of(text, name)) for text, name in zip(texts, "ab", strict=True)]
    assert results[0] == results[1]


def test_sample_is_the_picture_that_a_storyboard_paints_with_the_files(job_of):
    job = job_of("samples: {prompts: [一个女孩], every: 2, steps: 2}\ncheckpoints: {every: 2}\n" + SHORT)
    fit(job, "cpu")
    for step, file in ((2, job.result_at(2)), (4, job.result)):
        lora = TakeLora("any", file_sha256(file), path=file)
        card = job.recipe.card
        take = Take("s", 0, "一个女孩", "", 32, 32, 2, card.guidance, card.sampler, "tiny@1", loras=(lora,))
        (painted,) = KolorsPainter(job.recipe.model_folder, "cpu").paint([take], lambda progress: None)
        assert isinstance(painted, Painted)
        with Image.open(job.samples / f"{step:06d}-01.png") as sample:
            assert (painted.pixels == np.asarray(sample)).all()


def test_a_recipe_of_all_sorts_is_trained(job_of):
    train = "steps: 2, optimizer: prodigy, schedule: cosine, warmup: 1, accumulate: 2, min_snr: 5, noise_offset: 0.05"
    image = "image: {size: 32, buckets: true, upscale: true}"
    result = fit(job_of(f"{image}\nlora: {{rank: 2, dora: true}}\ntrain: {{{train}, clip: 0, precision: fp32}}"), "cpu")
    with safe_open(result.file, "pt") as opened:
        assert any("magnitude" in name for name in opened.keys())


# What goes wrong.


class Moody(FakePainter):
    """Fails the second sample, then all, then works."""

    calls = 0

    def paint(self, takes, progress):
        Moody.calls += 1
        if Moody.calls == 2:
            raise ModelError("the model is gone")
        self.failing = ("sample-2",) if Moody.calls == 1 else ()
        return super().paint(takes, progress)


def test_samples_that_fail_do_not_stop_the_training(job_of, caplog):
    job = job_of("samples: {prompts: [a, b], every: 2}\n" + SHORT)
    result = fit(job, "cpu", lambda recipe, device: Moody())
    names = sorted(file.name for file in job.samples.iterdir())
    assert names == ["000000-01.png", "000004-01.png", "000004-02.png"]
    assert "no sample picture of step 0: the fake was told to fail" in caplog.text
    assert "no sample pictures of step 2: the model is gone" in caplog.text
    with Image.open(result.samples) as sheet:
        assert sheet.size == (64, 32)


def test_loss_that_is_no_number_stops_and_keeps_the_last_good_state(job_of):
    job = job_of("checkpoints: {every: 50}\ntrain: {steps: 40, learning_rate: 0.001}\n")
    poisoned = poison(job)
    with pytest.raises(TrainingError, match=rf"the loss is not a number.*{poisoned} \(timestep \d+\)") as caught:
        fit(job, "cpu")
    (kept,) = job.checkpoints.iterdir()
    step = int(kept.stem.removeprefix("step-"))
    assert step > 0
    assert f"Step {step + 1}:" in str(caught.value)
    assert str(kept) in str(caught.value)
    good = load_file(job.result_at(step))
    assert all(torch.isfinite(it).all() for it in good.values())
    assert not job.result.exists()


def poison(job):
    """Makes the cached latents of the picture that comes third no numbers; its name."""
    from renderer.trainer.learning.cached import CachedStates
    from renderer.trainer.learning.draws import Draws, Group

    draws = list(Draws(job.recipe, [Group(job.dataset.samples)]).needed(0, 4))
    states = CachedStates(job.cache, job.recipe, torch.device("cpu"), torch.float32)
    states.fill(draws[2:3], False, lambda *told: None)
    (file,) = (job.cache / "latents").rglob("*.safetensors")
    save_file({name: it * torch.nan for name, it in load_file(file).items()}, file)
    return draws[2].sample.name


def test_full_disk_is_told_and_earlier_states_stay(job_of, monkeypatch):
    job = job_of("checkpoints: {every: 1}\n" + SHORT)
    save = lightning.Trainer.save_checkpoint

    def full(self: lightning.Trainer, path: Path, **options: object) -> None:
        if self.global_step == 3:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, path, **options)

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", full)
    with pytest.raises(RunFolderError, match=r"the disk is full\. What was saved so far is safe"):
        fit(job, "cpu")
    assert sorted(file.name for file in job.checkpoints.iterdir()) == ["step-000001.ckpt", "step-000002.ckpt"]


def test_full_disk_is_told_whatever_is_written(job_of, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("renderer.trainer.learning.loggers.CsvLog.log_metrics", full)
    with pytest.raises(RunFolderError, match=r"the disk is full\. What was saved so far is safe"):
        fit(job_of(), "cpu")


def test_cache_that_goes_while_it_is_used_is_told(job_of):
    def tell(progress: TrainingProgress) -> None:
        if progress.stage == "training":
            for file in job.cache.rglob("*.safetensors"):
                file.unlink()

    job = job_of(tell=tell)
    with pytest.raises(TrainingError, match=r"cache: what was cached .* is gone or damaged: .*Train again"):
        fit(job, "cpu")


def test_memory_that_runs_out_is_told_with_what_helps(job_of, monkeypatch):
    def too_much(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("renderer.trainer.module.TrainingModule.losses", too_much)
    with pytest.raises(TrainingError, match=r"out of memory with batches of 2 at 32x32: set `gradient_checkpointing"):
        fit(job_of(), "cpu")


def test_half_precision_needs_a_gpu(job_of):
    with pytest.raises(TrainingError, match=r"train\.precision: fp16-mixed needs an NVIDIA GPU.*cpu.*bf16-mixed"):
        fit(job_of("train: {steps: 2, precision: fp16-mixed}"), "cpu")


@pytest.mark.parametrize(
    ("logger", "words"),
    [
        ("lightning.pytorch.loggers.NoLogger", "can't be loaded"),
        ("lightning.pytorch.Trainer", "no class of Lightning's loggers"),
        ("lightning.pytorch.loggers.Logger", "can't be made from a folder and a name alone"),
    ],
)
def test_logger_that_is_none_is_told(job_of, logger, words):
    with pytest.raises(TrainingError, match=rf"loggers: {logger}.*{words}"):
        fit(job_of(f"loggers: [{logger}]\n{SHORT}"), "cpu")


def test_other_loggers_are_told_too(finished):
    job, _, _ = finished
    assert list((job.run / "tensorboard").glob("events.*"))
    metrics = list(csv.DictReader((job.run / "pencil" / "metrics.csv").open(encoding="utf-8")))
    assert [row["step"] for row in metrics] == ["0", "1", "2", "3", "4"]


def test_train_prepares_the_pictures_and_says_so(job_of, monkeypatch, tmp_path):
    job, told = job_of(), []

    def prepare(recipe, folder, tell):
        assert folder == tmp_path / "run" / "data"
        tell("checking", 4, 4)
        return job.dataset

    monkeypatch.setattr(fitting, "prepare_dataset", prepare)
    result = fitting.train(job.recipe, tmp_path / "run", tmp_path / "out", told.append, "cpu")
    assert told[0] == TrainingProgress("checking", 4, 4)
    assert result.file == tmp_path / "out" / "pencil.safetensors"


def test_train_refuses_another_recipe_before_its_pictures_are_prepared(job_of, monkeypatch):
    job = job_of("checkpoints: {every: 2}\n" + SHORT)
    fit(job, "cpu")
    other = job_of("lora: {rank: 2}\n" + SHORT)
    monkeypatch.setattr(fitting, "prepare_dataset", lambda *_: pytest.fail("prepared"))
    with pytest.raises(TrainingError, match=r"recipe\.lora\.rank was 16 and is 2\."):
        fitting.train(other.recipe, other.run, other.out, lambda progress: None, "cpu")


# How much the cache saves.


class Clock:
    """When each step was told."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, progress: TrainingProgress) -> None:
        if progress.stage == "training":
            self.times.append(time.perf_counter())


@pytest.mark.slow
def test_cached_training_is_faster(job_of, capsys):
    """pytest -m slow -k cached_training_is_faster tests/test_training_fit.py"""
    text = "image: {{size: 128, upscale: true}}\ntrain: {{steps: 60, gradient_checkpointing: false, cache: {}}}\n"
    seconds: dict[str, float] = {}
    for number, switch in enumerate(("true", "false", "true", "false")):
        clock = Clock()
        fit(job_of(text.format(switch), str(number), tell=clock), "cpu")
        seconds[switch] = min(seconds.get(switch, 1e9), clock.times[59] - clock.times[9])
    with capsys.disabled():
        print(f"\nwithout a cache a step takes {seconds['false'] / seconds['true']:.2f} times as long")
    assert seconds["true"] < seconds["false"]

"""`storyboard train` as a person types it, with a trainer that learns nothing."""

from __future__ import annotations

import webbrowser
from io import StringIO
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from renderer.commands.progressing import Stage, silence, training_bar, training_lines
from renderer.trainer.dataset import Finding
from renderer.trainer.results import held_alone
from tests.fake_trainer import FakeTrainer
from tests.recipes import CARD, SHORTEST, link_model, write_recipe
from tests.test_cli import run

__all__ = ["run"]


@pytest.fixture
def recipe(tmp_path) -> Path:
    return write_recipe(tmp_path)


@pytest.fixture
def opened(monkeypatch):
    pages: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda page: pages.append(page) or True)
    return pages


def test_training_ends_with_what_there_is_now_and_how_to_use_it(run, recipe):
    trainer = FakeTrainer()
    code, out, err = run("train", recipe, trainer=trainer)
    assert (code, err) == (0, "")
    assert trainer.asked == ["require", "train training/pencil lora_weights"]
    assert Path("lora_weights/pencil.safetensors").read_text() == "learned"
    assert "file     lora_weights/pencil.safetensors\n" in out
    assert "card     lora_weights/pencil.json\n" in out
    assert "samples" not in out
    assert "page     training/pencil/index.html\n" in out
    assert "losses   train 0.2500, validation 0.5000\n" in out
    assert "In a storyboard: loras: [pencil]\n" in out


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("kind: hypernetwork\n", "hypernetworks: [pencil]"),
        ("kind: textual-inversion\ninversion: {token: pencil}\n", "embeddings: [pencil], and <pencil> in a prompt"),
        ("kind: dreambooth\ndreambooth: {class_prompt: a girl}\n", "loras: [pencil]"),
    ],
)
def test_each_kind_is_used_in_its_own_way(run, tmp_path, text, use):
    _, out, _ = run("train", write_recipe(tmp_path, text + SHORTEST), trainer=FakeTrainer())
    assert f"In a storyboard: {use}\n" in out


def test_data_only_stops_before_training(run, recipe, opened):
    dropped = Finding("b.png", "checked", "truncated", "it ends too early")
    noted = Finding("c.png", "checked", "cmyk", "it is converted", left_out=False)
    trainer = FakeTrainer(found=(dropped, noted))
    code, out, _ = run("train", recipe, "--data-only", trainer=trainer)
    assert code == 0
    assert trainer.asked == ["require the data's tools", "prepare training/pencil/data"]
    assert "1 picture to train on, 1 left out." in out
    assert "training/pencil/data/index.html" in out
    assert opened == []
    run("train", recipe, "--data-only", "--open", trainer=trainer)
    assert [page.rpartition("training/")[2] for page in opened] == ["pencil/data/index.html"]


def test_folders_can_be_chosen(run, recipe):
    trainer = FakeTrainer()
    code, out, _ = run("train", recipe, "--run", "r", "--out", "o", trainer=trainer)
    assert code == 0
    assert trainer.asked[-1] == "train r o"
    assert "o/pencil.safetensors" in out


def test_the_live_page_is_opened_once_as_soon_as_it_is_there(run, recipe, opened):
    assert run("train", recipe, "--open", trainer=FakeTrainer())[0] == 0
    assert [page.rpartition("training/")[2] for page in opened] == ["pencil/index.html"]


def test_an_earlier_training_s_page_is_not_the_one_that_is_opened(run, recipe, monkeypatch):
    seen: list[str] = []
    page = Path("training/pencil/index.html")
    monkeypatch.setattr(webbrowser, "open", lambda url: seen.append(page.read_text()) or True)
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0
    assert run("train", recipe, "--open", trainer=FakeTrainer())[0] == 0
    assert seen == ["0"]


def test_mistakes_are_told_before_anything_begins(run, tmp_path):
    trainer = FakeTrainer()
    file = write_recipe(tmp_path, f"{SHORTEST}train: {{lr: 1}}\ntitel: x\n")
    code, out, err = run("train", file, trainer=trainer)
    assert (code, out, trainer.asked) == (2, "", [])
    assert f'{file}:2:9: train.lr: unknown key "lr". Write "learning_rate".' in err
    assert "2 problems; nothing was trained." in err


def test_a_missing_recipe_is_told(run):
    code, _, err = run("train", "nowhere.yaml", trainer=FakeTrainer())
    assert code == 2
    assert "there is no such file" in err


def test_warnings_are_told_and_training_goes_on(run, tmp_path):
    file = write_recipe(tmp_path, f"{SHORTEST}train: {{optimizer: prodigy, learning_rate: 1e-4}}\n")
    code, _, err = run("train", file, trainer=FakeTrainer())
    assert code == 0
    assert "warning:" in err
    assert "Prodigy finds the rate itself" in err


def test_what_the_machine_lacks_is_told_first(run, recipe):
    trainer = FakeTrainer(lacks="Training needs more packages.")
    code, _, err = run("train", recipe, trainer=trainer)
    assert (code, trainer.asked) == (2, ["require"])
    assert "Training needs more packages." in err


def test_ctrl_c_says_how_to_go_on(run, recipe):
    code, out, err = run("train", recipe, "--run", "my run", trainer=FakeTrainer(stop_after=2))
    assert code == 130
    assert f"what was learned is kept in my run. To go on: storyboard train {recipe} --run 'my run'" in err
    assert "In a storyboard" not in out


def test_ctrl_c_before_the_first_checkpoint_promises_nothing(run, recipe):
    class Impatient(FakeTrainer):
        def train(self, *_: object) -> NoReturn:
            raise KeyboardInterrupt

    code, _, err = run("train", recipe, trainer=Impatient())
    assert code == 130
    assert f"Stopped before anything was learned. To go on: storyboard train {recipe}\n" in err


def test_quiet_says_nothing(run, tmp_path):
    file = write_recipe(tmp_path, f"{SHORTEST}train: {{optimizer: prodigy, learning_rate: 1e-4}}\n")
    for option in ((), ("--data-only",)):
        assert run("train", file, "--quiet", *option, trainer=FakeTrainer()) == (0, "", "")


def test_models_are_looked_for_in_a_folder_that_is_given(run, tmp_path):
    link_model(tmp_path / "own", CARD.model_copy(update={"name": "taught", "edition": "taught@1"}))
    file = write_recipe(tmp_path, f"model: taught\n{SHORTEST}")
    assert run("train", file, trainer=FakeTrainer())[0] == 2
    assert run("train", file, "--models", tmp_path / "own", trainer=FakeTrainer())[0] == 0
    _, _, err = run("train", file, "--models", tmp_path / "own", trainer=FakeTrainer(stop_after=1))
    assert err.endswith(f"--models {tmp_path / 'own'}\n")


# What is there already.


def test_a_file_that_the_recipe_did_not_make_is_never_replaced(run, recipe):
    Path("lora_weights").mkdir()
    file = Path("lora_weights/pencil.safetensors")
    file.write_text("somebody's")
    trainer = FakeTrainer()
    code, _, err = run("train", recipe, trainer=trainer)
    assert (code, trainer.asked) == (2, ["require"])
    assert "lora_weights/pencil.safetensors is there already, and not made by this recipe." in err
    assert file.read_text() == "somebody's"
    assert run("train", recipe, "--out", "elsewhere", trainer=trainer)[0] == 0


@pytest.mark.parametrize("ending", [".png", ".json"])
def test_nor_is_a_file_that_lies_where_its_card_or_picture_goes(run, recipe, ending):
    file = Path(f"album/pencil{ending}")
    file.parent.mkdir()
    file.write_text('{"mine": 1}')
    code, _, err = run("train", recipe, "--out", "album", trainer=FakeTrainer())
    assert code == 2
    assert f"{file} is there already, and not made by this recipe." in err


def test_a_result_that_was_removed_is_made_again(run, recipe):
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0
    Path("lora_weights/pencil.safetensors").unlink()
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0


@pytest.mark.parametrize("option", ["--fresh", "--data-only"])
def test_a_folder_that_holds_other_things_is_no_run_folder(run, recipe, option):
    Path("site").mkdir()
    Path("site/index.html").write_text("mine")
    (Path("site") / "checkpoint.txt").write_text("mine")
    code, _, err = run("train", recipe, "--run", "site", option, trainer=FakeTrainer())
    assert code == 2
    assert "site: this is no run folder: it holds checkpoint.txt. Name a new or an empty one, --run DIR." in err
    assert Path("site/index.html").read_text() == "mine"
    assert not Path("site/.lock").exists()


def test_another_recipe_of_the_same_name_is_told(run, recipe, tmp_path):
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0
    other = write_recipe(tmp_path, f"name: pencil\n{SHORTEST}", "other.yaml")
    code, _, err = run("train", other, trainer=FakeTrainer())
    assert code == 2
    assert f"{other}:1:7: name: lora_weights/pencil.safetensors is there already, made by pencil.yaml." in err


def test_a_result_of_its_own_is_replaced(run, recipe):
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0


def test_beginning_anew_keeps_the_earlier_training_aside(run, recipe):
    run("train", recipe, "--data-only", trainer=FakeTrainer())
    run("train", recipe, trainer=FakeTrainer())
    steps = Path("lora_weights/pencil.steps")
    steps.mkdir()
    (steps / "2.safetensors").write_text("halfway")
    code, out, _ = run("train", recipe, "--fresh", trainer=FakeTrainer(stop_after=1))
    assert code == 130
    assert "The earlier training is kept in training/pencil.1\n" in out
    aside = Path("training/pencil.1")
    assert (aside / "checkpoints/last.ckpt").read_text() == "3"
    assert (aside / "results/pencil.safetensors").read_text() == "learned"
    assert (aside / "results/pencil.steps/2.safetensors").read_text() == "halfway"
    assert not steps.exists()
    assert Path("training/pencil/checkpoints/last.ckpt").read_text() == "1"
    assert Path("training/pencil/data/index.html").exists()
    assert Path("lora_weights/pencil.safetensors").exists()
    assert run("train", recipe, "--fresh", trainer=FakeTrainer())[0] == 0
    assert (Path("training/pencil.2") / "checkpoints/last.ckpt").read_text() == "1"


@pytest.mark.parametrize("out", ["run", "run/out"])
def test_results_in_the_run_folder_stay_where_stories_find_them(run, recipe, out):
    again = ("train", recipe, "--run", "run", "--out", out)
    assert run(*again, trainer=FakeTrainer())[0] == 0
    assert run(*again, "--fresh", trainer=FakeTrainer(stop_after=1))[0] == 130
    assert Path(out, "pencil.safetensors").read_text() == "learned"
    assert Path("run.1/results/pencil.safetensors").read_text() == "learned"


def test_the_working_folder_may_be_the_run_folder(run, recipe, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert run("train", recipe, "--run", ".", trainer=FakeTrainer())[0] == 0
    code, out, _ = run("train", recipe, "--run", ".", "--fresh", trainer=FakeTrainer())
    assert code == 0
    assert f"The earlier training is kept in {tmp_path / 'work.1'}\n" in out


def test_beginning_anew_is_not_for_the_data_alone(run, recipe):
    trainer = FakeTrainer()
    code, _, err = run("train", recipe, "--fresh", "--data-only", trainer=trainer)
    assert (code, trainer.asked) == (2, [])
    assert "Give one of them." in err


def test_a_training_at_work_is_not_moved_aside(run, recipe):
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0
    with held_alone(Path("training/pencil")):
        code, _, err = run("train", recipe, "--fresh", trainer=FakeTrainer())
        assert run("train", recipe, "--data-only", trainer=FakeTrainer())[0] == 2
    assert code == 2
    assert "another training is at work there" in err
    assert not Path("training/pencil.1").exists()
    assert run("train", recipe, "--fresh", trainer=FakeTrainer())[0] == 0


def test_processes_that_train_along_are_silent_and_move_nothing(run, recipe, opened, monkeypatch):
    assert run("train", recipe, trainer=FakeTrainer())[0] == 0
    monkeypatch.setenv("LOCAL_RANK", "1")
    with held_alone(Path("training/pencil")):
        code, out, err = run("train", recipe, "--fresh", "--open", trainer=FakeTrainer())
    assert (code, out, err, opened) == (0, "", "", [])
    assert not Path("training/pencil.1").exists()


def test_beginning_anew_for_the_first_time_is_no_different(run, recipe):
    code, out, _ = run("train", recipe, "--fresh", trainer=FakeTrainer())
    assert code == 0
    assert "earlier" not in out


# How far it is.


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("renderer.commands.progressing.time.monotonic", lambda: now[0])
    return now


def test_the_time_left_is_by_the_pace_of_this_run(clock):
    stage = Stage("training", 100)
    assert stage.seconds_left(100, 200) is None
    clock[0] = 30.0
    assert stage.seconds_left(110, 200) == 270
    assert stage.summary(110, 200, 0.12345) == "110/200 · loss 0.1235 · 4:30 left"
    assert stage.summary(200, 200, None) == "200/200"
    assert stage.summary(7, 0, None) == "7"


def test_lines_come_at_the_ends_of_a_stage_and_now_and_then(clock):
    console = Console(file=StringIO(), width=80)
    with training_lines(console) as tell:
        tell("latents", 0, 10, None)
        for done in range(1, 11):
            clock[0] += 4
            tell("latents", done, 10, None)
        tell("training", 0, 100, 0.5)
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "computing latents  0/10",
        "computing latents  8/10 · 0:08 left",
        "computing latents  10/10",
        "training  0/100 · loss 0.5000",
    ]


def test_the_bar_follows_stage_and_loss():
    console = Console(file=StringIO(), width=100, force_terminal=True)
    with training_bar(console) as tell:
        tell("latents", 3, 10, None)
        tell("training", 50, 100, 0.25)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "training" in shown
    assert "50/100 · loss 0.2500" in shown


def test_silence_is_told_all_the_same():
    with silence() as tell:
        tell("training", 1, 2, None)

"""The commands as a person types them: what is printed, and the exit code."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from renderer import cli
from renderer.commands.workers import Trainer
from tests.fakes import FakePainter
from tests.stories import MINI, STORY, render_fake, write_story


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command in an empty working folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(
        *words: object, painter: FakePainter | None = None, trainer: Trainer | None = None
    ) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["storyboard", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main(painter, trainer)
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return command


def test_help_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    for command in "new check plan render sheet review apply export train inspect models loras schema".split():
        assert command in out


def test_unknown_commands_and_options_are_bad_usage(run):
    assert run("paint")[0] == 2
    code, _, err = run("render", "x.yaml", "--sceen", "a")
    assert code == 2
    assert "--sceen" in err


@pytest.mark.parametrize(
    ("options", "asked"), [((), None), (("--compile",), True), (("--no-compile",), False), (("--compile", "-q"), True)]
)
def test_render_passes_on_whether_to_compile(run, tmp_path, monkeypatch, options, asked):
    opened = []

    def open_kolors(plan, compiled):
        opened.append(compiled)
        return FakePainter()

    monkeypatch.setattr("renderer.line.open_kolors", open_kolors)
    assert run("render", write_story(tmp_path), *options)[0] == 0
    assert opened == [asked]


def test_check_says_that_all_is_well(run, tmp_path):
    code, out, _ = run("check", write_story(tmp_path))
    assert code == 0
    assert "all is well. 3 scenes, 4 takes." in out


def test_check_says_all_that_is_wrong_with_places(run, tmp_path):
    story = write_story(tmp_path, STORY.replace("seed: 3", "sead: 3").replace("{mei}，在", "{moi}，在"))
    code, out, err = run("check", story)
    assert (code, out) == (2, "")
    assert f"{story}:13:14: scenes[1].prompt:" in err
    assert 'Did you mean "mei"?' in err
    assert f"{story}:14:5: scenes[1].sead:" in err
    assert "2 problems; nothing was painted." in err


@pytest.mark.parametrize("command", ["check", "plan", "render", "sheet"])
def test_a_missing_story_is_bad_input(run, command):
    code, _, err = run(command, "nowhere.yaml")
    assert code == 2
    assert "nowhere.yaml" in err


def test_a_story_named_without_its_folder_is_found_for_the_author(run, tmp_path):
    (tmp_path / "storyboards").mkdir()
    write_story(tmp_path / "storyboards")
    for name in ("tale", "tale.yaml"):
        assert 'Did you mean "storyboards/tale.yaml"?' in run("render", name)[2]


def test_what_is_set_aside_is_said_once(run, tmp_path):
    story, run_folder = write_story(tmp_path, STORY.replace("[0, 1]", "[0, 1]\n    pick: 0")), tmp_path / "renders/tale"
    run("render", story, painter=FakePainter())
    pick, picture = run_folder / "picks/01-sofa.png", next((run_folder / "pictures").glob("sea-*.png"))
    pick.write_bytes(b"retouched")
    picture.write_bytes(b"retouched too")
    write_story(tmp_path, story.read_text().replace("pick: 0", "pick: 1"))
    code, _, err = run("render", story, painter=FakePainter())
    assert code == 0
    assert err.count("set-aside/01-sofa.1.png") == 1 and err.count(f"set-aside/{picture.stem}.1.png") == 1
    assert "set-aside" not in run("render", story, painter=FakePainter())[2]


def test_plan_says_what_and_why(run, tmp_path):
    story = write_story(tmp_path)
    render_fake(story)
    write_story(tmp_path, STORY.replace("negative: 人", "negative: 狗"))
    code, out, _ = run("plan", story, "--out", "renders/tale")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "to paint" in line and "sea" in line]
    assert "negative edited" in line
    assert out.count("up to date") == 3
    assert f"1 of 4 takes to paint with {MINI.edition}; about 0:0" in out


def test_plan_lists_what_is_chosen(run, tmp_path):
    story = write_story(tmp_path, STORY.replace("[0, 1]", "[0, 1]\n    pick: 1"))
    for words, listed in (
        (("--scene", "sofa"), ["sofa 0", "sofa 1"]),
        (("--seed", "3"), ["park 3"]),
        (("--picks",), ["sofa 1"]),
        (("--picks", "--scene", "park"), []),
    ):
        code, out, _ = run("plan", story, *words)
        rows = [" ".join(line.split()[:2]) for line in out.splitlines() if line.endswith("not painted yet")]
        assert (code, rows) == (0, listed)
        assert (f"{len(listed)} of 4 takes to paint" if listed else "Nothing to paint.") in out


def test_plan_refuses_choices_as_render_does(run, tmp_path):
    story = write_story(tmp_path)
    for words in (("--picks",), ("--scene", "parc"), ("--seed", "77")):
        planned, rendered = run("plan", story, *words), run("render", story, *words)
        assert planned == rendered and planned[0] == 2


@pytest.mark.parametrize("command", ["check", "plan", "render"])
def test_a_recipe_is_no_story_and_names_its_command(run, tmp_path, command):
    (tmp_path / "my.recipe.yaml").write_text("name: x\nlicence: CC0-1.0\ndata: {folder: x/}\n")
    code, _, err = run(command, "my.recipe.yaml")
    assert code == 2
    assert "my.recipe.yaml:1:1: this is a recipe for training, not a storyboard." in err
    assert "`storyboard train my.recipe.yaml`" in err and "1 problem;" in err


def test_check_warns_of_weights_that_are_not_here(run, tmp_path):
    story = write_story(tmp_path, f"model: kolors\n{STORY.replace('64x64', '1024x1024')}")
    code, out, err = run("check", story)
    assert code == 0 and "all is well" in out
    assert f"{story}:1:8: model: the weights of kolors are not on this machine" in err
    assert err.count("storyboard models pull kolors") == run("plan", story)[2].count("models pull kolors") == 1


def test_plan_for_machines(run, tmp_path):
    code, out, _ = run("plan", write_story(tmp_path), "--json")
    data = json.loads(out)
    assert code == 0
    assert data["to_paint"] == 4
    assert data["takes"][0]["record"]["prompt"] == "动漫风格，紫色短发小女孩，坐在沙发上"
    assert data["seconds"] is None


def test_nothing_to_paint_is_said_and_costs_no_torch(tmp_path):
    story = write_story(tmp_path)
    render_fake(story)
    code = (
        "import sys; sys.argv = ['storyboard', 'render', 'tale.yaml']; from renderer.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: print('exit', stop.code, 'torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    began = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "Nothing to paint." in ran.stdout
    assert "exit 0 False" in ran.stdout
    assert time.monotonic() - began < 5  # under a second on an idle machine; tests share theirs


def test_a_scene_or_seed_that_is_not_there_is_named(run, tmp_path):
    story = write_story(tmp_path)
    code, _, err = run("render", story, "--scene", "parc")
    assert code == 2
    assert 'Did you mean "park"?' in err
    code, _, err = run("render", story, "--seed", "77")
    assert code == 2
    assert "--more" in err
    assert not (tmp_path / "renders").exists()


def test_new_writes_a_story_that_passes_check_and_never_overwrites(run):
    for language in ("en", "zh"):
        name = f"tale-{language}"
        code, out, _ = run("new", name, "--language", language)
        assert code == 0
        assert f"storyboards/{name}.yaml" in out
        assert run("check", f"storyboards/{name}.yaml")[0] == 0
        code, _, err = run("new", name)
        assert code == 2
        assert "never overwritten" in err
    assert Path("storyboards/storyboard.schema.json").is_file()


@pytest.mark.parametrize("name", ["", "who?", "con", "folder/a:b.yaml", ".yaml"])
def test_new_refuses_names_that_other_systems_refuse(run, tmp_path, name):
    code, _, err = run("new", name)
    assert code == 2
    assert "name" in err and "Traceback" not in err
    assert not list(tmp_path.rglob("*"))


def test_new_where_nothing_can_be_written_says_what_to_do(run, tmp_path):
    (tmp_path / "storyboards").write_text("no folder")
    code, _, err = run("new", "tale")
    assert code == 2
    assert "storyboard new FOLDER/NAME.yaml" in err and "--out" not in err


@pytest.mark.parametrize("command", ["check", "plan", "render", "sheet"])
def test_a_folder_of_loras_that_is_not_there_is_bad_usage(run, tmp_path, command):
    code, _, err = run(command, write_story(tmp_path), "--loras", "nofolder")
    assert code == 2
    assert "nofolder" in err and "does not exist" in err


def test_schema_is_json(run):
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out)["$schema"].startswith("http://json-schema.org/draft-07")


def test_inspect_gives_the_scene_back(run, tmp_path):
    story = write_story(tmp_path)
    result, _ = render_fake(story)
    picture = next((result.plan.folder / "pictures").glob("sofa-1-*.png"))
    code, out, _ = run("inspect", picture)
    assert code == 0
    again = write_story(tmp_path, out, "again.yaml")
    _, painter = render_fake(again)
    assert [take.key for take in painter.asked] == [result.plan.takes[1].take.key]
    assert yaml.safe_load(out)["scenes"][0]["id"] == "sofa"
    assert json.loads(run("inspect", picture, "--json")[1])["seed"] == 1


def test_inspect_refuses_what_is_no_picture_of_ours(run, tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    code, _, err = run("inspect", tmp_path / "a.png")
    assert code == 2
    assert "a.png" in err


def test_sheet_is_rebuilt_without_painting(run, tmp_path):
    story = write_story(tmp_path)
    render_fake(story)
    (tmp_path / "renders/tale/index.html").unlink()
    assert run("sheet", story)[0] == 0
    assert (tmp_path / "renders/tale/index.html").is_file()


def test_clean_shows_first_and_deletes_only_when_told(run, tmp_path):
    story = write_story(tmp_path)
    render_fake(story)
    write_story(tmp_path, STORY.replace("prompt: 海边", "prompt: 山上"))
    render_fake(story)
    pictures = tmp_path / "renders/tale/pictures"
    code, out, _ = run("clean", story)
    assert code == 0
    assert "sea-4-" in out
    assert len(list(pictures.iterdir())) == 5
    assert run("clean", story, "--yes")[0] == 0
    assert len(list(pictures.iterdir())) == 4
    _, painter = render_fake(story)
    assert painter.asked == []


def test_interrupted_is_130_and_says_how_to_go_on(run, tmp_path):
    story = write_story(tmp_path)
    code, _, err = run("render", story, painter=FakePainter(interrupt_after=1))
    assert code == 130
    assert "1 take painted and kept, 3 left" in err
    assert f"storyboard render {story}" in err


@pytest.mark.parametrize(
    ("name", "file"),
    [("my story", "my story.yaml"), ("我的 故事", "我的 故事.yaml")],
)
def test_names_of_new_stories_may_be_of_several_words(run, tmp_path, name, file):
    assert run("new", name)[0] == 0
    assert [it.name for it in (tmp_path / "storyboards").glob("*.yaml")] == [file]


def test_going_on_is_told_with_all_that_was_asked_for(run, tmp_path):
    story = write_story(tmp_path)
    (tmp_path / "my loras").mkdir()
    asked = ("--out", "my run", "--loras", "my loras", "--scene", "sofa", "--seed", "0", "--draft", "--no-compile")
    code, _, err = run("render", story, *asked, "--seed", "1", painter=FakePainter(interrupt_after=1))
    assert code == 130
    told = err.strip().rpartition("To go on: ")[2]
    words = shlex.split(told)
    assert words[:3] == ["storyboard", "render", str(story)]
    for option, value in (("--out", "my run"), ("--loras", "my loras"), ("--scene", "sofa"), ("--seed", "1")):
        assert (option, value) in pairwise(words)
    assert "--draft" in words and "--no-compile" in words
    code, out, err = run(*words[1:], painter=FakePainter())
    assert code == 0, err
    assert "1 draft painted, 2 left for later." in out and "--draft" not in out and "--out 'my run'" in out
    assert not (tmp_path / "renders").exists()


def test_going_on_asks_for_what_is_left_of_a_limit(run, tmp_path):
    story = write_story(tmp_path)
    _, _, err = run("render", story, "--limit", "3", painter=FakePainter(interrupt_after=1))
    assert f"To go on: storyboard render {story} --limit 2\n" in err


def test_what_to_do_next_names_the_run_folder(run, tmp_path):
    story = write_story(tmp_path)
    run("render", story, "--out", "elsewhere", "--scene", "sofa", painter=FakePainter())
    _, _, err = run("export", story, "--to", "csv", "--out", "elsewhere")
    assert f"To paint: storyboard render {story} --out elsewhere\n" in err


def test_failed_takes_are_exit_1(run, tmp_path):
    story = write_story(tmp_path)
    code, out, err = run("render", story, painter=FakePainter(failing=("park",)))
    assert code == 1
    assert "3 takes painted, 1 failed." in out
    assert "park, seed 3: the fake was told to fail" in err


def test_verify_paints_again_and_compares(run, tmp_path):
    story = write_story(tmp_path)
    render_fake(story)
    code, out, _ = run("verify", story, painter=FakePainter())
    assert code == 0
    assert out.count("equal (largest difference 0, PSNR inf dB)") == 4
    code, out, _ = run("verify", story, "--scene", "park", painter=FakePainter(failing=("park",)))
    assert code == 1
    assert "park, seed 3: failed (the fake was told to fail)" in out


def test_verify_tells_close_from_different(run, tmp_path):
    story = write_story(tmp_path)
    render_fake(story)
    code, out, _ = run("verify", story, "--scene", "sea", painter=FakePainter(shift=2))
    assert code == 0
    assert "sea, seed 4: close (largest difference 2" in out
    code, out, _ = run("verify", story, "--scene", "sea", painter=FakePainter(shift=90))
    assert code == 1
    assert "sea, seed 4: different" in out

"""The README says what is so: its commands exist, both languages have the same ones, its stories are valid."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from renderer.cli import app
from renderer.storyboard import load_storyboard

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENGLISH, CHINESE = README.split("# 分镜渲染器")


def test_both_languages_give_the_same_two_commands():
    commands = re.findall(r"^```sh\n(.*)\n```$", ENGLISH, re.MULTILINE)
    assert len(commands) == 2
    assert re.findall(r"^    (python3 .*)$", CHINESE, re.MULTILINE) == commands
    assert commands[0].endswith("storyboard render storyboards/starlight.yaml --open")
    assert commands[1].endswith("python -m pytest")


def test_every_command_named_exists_and_every_command_is_named():
    known = set(get_command(app).commands)
    for text in (ENGLISH, CHINESE):
        assert set(re.findall(r"`storyboard ([a-z]+)", text)) == known


def test_the_stories_shown_are_valid(tmp_path):
    stories = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(stories) == 2
    for number, story in enumerate(stories):
        (tmp_path / f"{number}.yaml").write_text(story, encoding="utf-8")
        assert len(load_storyboard(tmp_path / f"{number}.yaml").scenes) == 2


def test_pictures_shown_are_there():
    for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / link).is_file(), link


def test_the_example_has_eight_scenes_in_rows_of_two():
    story = load_storyboard(ROOT / "storyboards" / "starlight.yaml")
    assert (len(story.scenes), story.grid.columns, story.language) == (8, 2, "zh")
    stories = [path for path in (ROOT / "storyboards").glob("*.yaml") if not path.stem.endswith(".recipe")]
    assert all(len(load_storyboard(path).scenes) >= 3 for path in stories)

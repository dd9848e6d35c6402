"""The public surface is small, and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import renderer
from tests.stories import render_fake, write_story

HEAVY = ("torch", "diffusers", "diffsynth", "transformers", "peft", "modelscope", "lightning")


def test_the_public_names_are_these():
    assert renderer.__all__ == ["load_storyboard", "make_plan", "render"]
    assert dir(renderer) == ["load_storyboard", "make_plan", "render"]
    for name in renderer.__all__:
        assert callable(getattr(renderer, name))
        assert getattr(renderer, name).__doc__
    with pytest.raises(AttributeError):
        _ = renderer.paint_everything


@pytest.mark.parametrize("module", ["renderer", "renderer.cli", "renderer.line", "renderer.plan", "renderer.sheet"])
def test_nothing_heavy_is_imported_before_a_picture_has_to_be_painted(module):
    code = f"import sys, {module}; print(sorted(set({HEAVY!r}) & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


DRAWING = ("numpy", "PIL")
LOOKING = ("jinja2", "markupsafe", "filelock", "renderer.sheet", "renderer.grid")
ELSEWHERE = ("sentencepiece", "ruamel", "renderer.trainer", "renderer.exporting", "renderer.reviewing.server")
"""What only other commands need, and of the tokenizer those whose prompts may be too long."""


def imported_by(folder, *words: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        f"import atexit, sys; sys.argv = ['storyboard', *{words!r}]\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from renderer.cli import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stderr.splitlines()[-1].split())


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A story of which all is painted, and its sheet written."""
    folder = tmp_path_factory.mktemp("painted")
    render_fake(write_story(folder))
    return folder


@pytest.mark.parametrize(
    ("words", "spared"),
    [
        (("--help",), (*HEAVY, *DRAWING, *LOOKING, *ELSEWHERE, "yaml", "renderer.plan")),
        (("check", "tale.yaml"), (*HEAVY, *DRAWING, *LOOKING, *ELSEWHERE, "rich.table")),
        (("plan", "tale.yaml"), (*HEAVY, *DRAWING, *LOOKING, *ELSEWHERE)),
        (("sheet", "tale.yaml"), (*HEAVY, *DRAWING, *ELSEWHERE, "rich.table")),
        (("render", "tale.yaml"), (*HEAVY, *DRAWING, *ELSEWHERE, "rich.table")),
    ],
)
def test_commands_that_paint_nothing_import_only_what_they_use(painted, words, spared):
    assert sorted(imported_by(painted, *words) & set(spared)) == []

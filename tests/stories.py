"""Stories for tests, and the least that a test needs to render one."""

from __future__ import annotations

from pathlib import Path

from renderer.kolors.card import BUNDLED, read_card
from renderer.line import Result, render
from tests.fakes import FakePainter

MINI = read_card(BUNDLED / "kolors-mini")
"""The card of the model that ships."""

STORY = """\
title: Starlight
language: zh
size: 64x64
style: 动漫风格
negative: 模糊
characters:
  mei: 紫色短发小女孩
scenes:
  - id: sofa
    prompt: "{mei}，坐在沙发上"
    seeds: [0, 1]
  - id: park
    prompt: "{mei}，在公园"
    seed: 3
  - id: sea
    prompt: 海边
    negative: 人
    seed: 4
"""


def write_story(folder: Path, text: str = STORY, name: str = "tale.yaml") -> Path:
    """A story file in `folder`."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def render_fake(story: Path, painter: FakePainter | None = None, **options: object) -> tuple[Result, FakePainter]:
    """Render with the fake painter into `renders/` beside the story."""
    painter = painter or FakePainter()
    options.setdefault("out", story.parent / "renders" / story.stem)
    return render(story, painter=painter, **options), painter  # type: ignore[arg-type]

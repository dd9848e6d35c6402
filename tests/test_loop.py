"""The whole loop, as the author goes it: render, review by keyboard, apply, render again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from renderer.manifest import read_manifest
from tests.fakes import FakePainter
from tests.stories import write_story
from tests.test_cli import run
from tests.test_review_server import serving, wait_for
from tests.test_sheet_browser import until

__all__ = ["run"]

pytestmark = pytest.mark.browser

STORY = """\
# Two evenings. Do not touch the second one!
title: Starlight
size: 64x64
grid: {columns: 1, cell: 64, captions: false, gutter: 0}

scenes:
  - id: sofa          # at home
    prompt: '坐在沙发上'
    seeds: [0, 1, 2]  # three tries

  - id: park
    prompt: "在公园"
    pick: 3           # the tree
    seeds:
      - 3
      - 4
"""

APPLIED = (
    STORY.replace("    seeds: [0, 1, 2]  # three tries\n", "    seeds: [0, 2]  # three tries\n    pick: 2\n")
    # The pick's line changes its value and keeps its comment.
    .replace("pick: 3           # the tree", "pick: 4           # the tree")
)


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


def test_from_render_by_keyboard_to_the_file_and_the_grid(run, page, tmp_path):
    story = write_story(tmp_path, STORY)
    folder = tmp_path / "renders" / "tale"
    assert run("render", str(story), "--quiet", painter=FakePainter())[0] == 0

    with serving(story, folder) as server:
        page.goto(server.guard.address)
        until(page, "document.querySelectorAll('[data-take]').length === 5")
        # The sofa's first take stays undecided, the second is rejected, the third picked; then the other park.
        for key in ("ArrowRight", "ArrowRight", "x", "p", "ArrowRight", "p"):
            page.keyboard.press(key)
        saved = folder / "review.json"
        until(page, "document.querySelectorAll('[data-flag=pick]').length >= 2")
        wait_for(lambda: saved.is_file() and flags(saved) == {1: "reject", 2: "pick", 3: "none", 4: "pick"})

    code, shown, _ = run("apply", str(saved), "--remove-rejected")
    assert code == 0 and "+    pick: 2" in shown and story.read_text(encoding="utf-8") == STORY
    assert run("apply", str(saved), "--remove-rejected", "--yes")[0] == 0
    assert story.read_text(encoding="utf-8") == APPLIED

    painter = FakePainter()
    code, said, _ = run("render", str(story), painter=painter)
    assert (code, painter.asked) == (0, []) and "Nothing to paint" in said
    manifest = read_manifest(folder)
    picked = [manifest.pictures[scene.pick] for scene in manifest.scenes]
    assert [scene.pick for scene in manifest.scenes] == [
        next(take.key for take in scene.takes if take.seed == seed)
        for scene, seed in zip(manifest.scenes, (2, 4), strict=True)
    ]
    assert_grid_shows(folder, [folder / picture.file for picture in picked])


def flags(review):
    """What was decided, by seed."""
    decisions = json.loads(review.read_bytes())["decisions"].values()
    return {decision["seed"]: decision["flag"] for decision in decisions}


def assert_grid_shows(folder, pictures):
    grid = np.asarray(Image.open(folder / "grid.png").convert("RGB"))
    for picture in pictures:
        color = np.asarray(Image.open(picture).convert("RGB"))[32, 32]
        assert (grid == color).all(axis=-1).sum() == 64 * 64

"""The whole line with the model that ships: the same steps as in the README, smaller."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer.metadata import read_record

STORY = """\
size: 64x64
steps: 4
scenes:
  - id: wish
    prompt: 动漫风格，紫色短发小女孩，在星空下许愿，夜晚
    seeds: {start: 0, count: 9}
  - id: snow
    prompt: anime style, a blonde girl and a boy in the snow, daytime
"""


def storyboard(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "renderer", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A project whose first render was killed right after its first pictures, and what lay there then."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "tale.yaml").write_text(STORY, encoding="utf-8")
    process = storyboard(folder, "render", "tale.yaml")
    pictures = folder / "renders" / "tale" / "pictures"
    end = time.monotonic() + 120
    while process.poll() is None and not any(pictures.glob("[!.]*.png")):
        assert time.monotonic() < end, "no picture after two minutes"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return folder, {path: path.stat().st_mtime_ns for path in pictures.glob("[!.]*.png")}


def test_killed_and_resumed_it_paints_real_pictures_and_none_twice(killed):
    folder, finished = killed
    assert 1 <= len(finished) < 10
    for path in finished:
        read_record(path)
    resumed = storyboard(folder, "render", "tale.yaml")
    said = resumed.communicate()[0]
    assert resumed.returncode == 0, said
    assert f"{10 - len(finished)} takes painted" in said or len(finished) == 9
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in finished.items())
    pictures = sorted((folder / "renders/tale/pictures").glob("*.png"))
    assert len(pictures) == 10
    pixels = [np.asarray(Image.open(path), dtype=float) for path in pictures]
    assert all(p.shape == (64, 64, 3) and p.std() > 10 for p in pixels)
    wishes = pixels[1:]
    assert min(np.abs(a - b).mean() for a, b in itertools.pairwise(wishes)) > 1  # seeds make a difference
    again = storyboard(folder, "render", "tale.yaml")
    assert "Nothing to paint." in again.communicate()[0]

"""The whole line from Python, as notebooks use it."""

from __future__ import annotations

import io
import re
import shutil

import pytest
from PIL import Image

import renderer
from renderer.errors import ModelError, StoryboardError
from renderer.kolors.card import BUNDLED
from renderer.progress import Job, Notebook, Silent, duration
from renderer.take import Progress
from tests.fakes import FakePainter
from tests.stories import STORY, render_fake, write_story


def test_the_result_shows_the_grid_and_says_what_happened(tmp_path):
    result, _ = render_fake(write_story(tmp_path), limit=3)
    grid = Image.open(io.BytesIO(result._repr_png_()))
    assert grid.size[0] > 512
    assert repr(result).endswith("index.html: 3 painted, 0 failed, 1 left")


def test_the_sheet_fills_while_painting_goes_on(tmp_path):
    story = write_story(tmp_path)
    sheet = tmp_path / "renders/tale/index.html"
    seen = []

    class Watching(FakePainter):
        def paint(self, takes, progress):
            for result in super().paint(takes, progress):
                yield result
                seen.append(sheet.read_text() if sheet.exists() else "")

    render_fake(story, Watching(seconds=0.9))
    titles = [re.search("<title>(.*)</title>", page)[1] for page in (*seen, sheet.read_text())]
    assert titles[0] == "(0/4) Starlight"
    assert titles[3] in ("(3/4) Starlight", "(4/4) Starlight")
    assert titles[4] == "Starlight"


def test_a_broken_template_is_found_before_anything_is_painted(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sheet.html.j2").write_text("{% if %}")
    painter = FakePainter()
    with pytest.raises(StoryboardError, match=r"sheet\.html\.j2:1"):
        render_fake(write_story(tmp_path), painter, templates=tmp_path / "own")
    assert painter.asked == []


def test_a_painter_that_gives_up_leaves_a_sheet_that_does_not_wait_for_it(tmp_path):
    story = write_story(tmp_path)

    class GivingUp(FakePainter):
        def paint(self, takes, progress):
            yield from super().paint(takes[:1], progress)
            raise ModelError("no more")

    with pytest.raises(ModelError, match="no more"):
        render_fake(story, GivingUp())
    assert "<title>Starlight</title>" in (tmp_path / "renders/tale/index.html").read_text()
    _, painter = render_fake(story)
    assert len(painter.asked) == 3


def test_a_model_with_a_missing_shard_is_refused_before_a_run_folder_is_made(tmp_path):
    shutil.copytree(BUNDLED / "kolors-mini", tmp_path / "mine")
    (tmp_path / "mine/unet/diffusion_pytorch_model.safetensors").unlink()
    story = write_story(tmp_path, "model: ./mine\n" + STORY)
    with pytest.raises(ModelError, match="unet"):
        renderer.render(story, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_warnings_come_before_painting(tmp_path):
    story = write_story(tmp_path, STORY.replace("prompt: 海边", "prompt: " + "海边的女孩，" * 60))
    said = []

    class Listening(Silent):
        def warned(self, problem):
            said.append(str(problem))

        def started(self, takes, seconds):
            super().started(takes, seconds)
            said.append("started")

    render_fake(story, observer=Listening())
    assert "cut before" in said[1]
    assert said[2:] == ["started"]
    render_fake(story, observer=Listening())
    assert len(said) == 3  # nothing to paint, nothing to warn of


def test_the_public_functions_work_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    story = write_story(tmp_path)
    plan = renderer.make_plan(renderer.load_storyboard(story))
    assert len(plan.to_paint) == 4
    renderer.render(story, painter=FakePainter())
    assert (tmp_path / "renders/tale/grid.png").is_file()
    assert renderer.make_plan(renderer.load_storyboard(story)).to_paint == ()


def test_a_job_counts_takes_done_and_the_share_in_hand():
    job = Job(8, 80.0)
    assert job.summary == "0/8 · 1:20 left"
    job.note(Progress("denoising", 5, 10, 4))
    assert job.position == pytest.approx(2.0)
    job.note(Progress("denoising", 10, 10, 4))
    job.finish_one()
    job.finish_one(failed=True)
    assert job.position == pytest.approx(4.0)
    assert job.summary.startswith("2/8 · 1 failed · ")
    assert [duration(s) for s in (0.4, 65, 3661)] == ["0:00", "1:05", "1:01:01"]


def test_a_notebook_shows_one_line_that_moves():
    pytest.importorskip("IPython")
    shown = []

    class Handle:
        def update(self, what):
            shown.append(what.data)

    notebook = Notebook(lambda what, display_id: shown.append(what.data) or Handle())
    notebook.started(2, None)
    notebook.progress(Progress("encoding", 1, 2, 2))
    notebook.ended()
    assert shown[0].startswith('<progress value="0.00" max="2"')
    assert "stopped" in shown[-1]

"""Painting: cache, resume, failures, interruptions, one process at a time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from renderer.errors import RunFolderError
from renderer.inventory import take_inventory
from renderer.manifest import read_manifest
from renderer.metadata import read_record
from renderer.plan import make_plan
from renderer.storyboard import load_storyboard
from renderer.take import key_of
from tests.fakes import FakePainter
from tests.stories import STORY, render_fake, write_story


@pytest.fixture
def story(tmp_path):
    return write_story(tmp_path)


def pictures_of(story: Path) -> list[Path]:
    return sorted((story.parent / "renders" / story.stem / "pictures").glob("*.png"))


def test_every_take_becomes_a_picture_under_its_key(story):
    result, _ = render_fake(story)
    assert len(result.outcome.painted) == 4
    for path in pictures_of(story):
        assert path.stem.endswith(key_of(read_record(path))[:12])
    assert {path.name.rpartition("-")[0] for path in pictures_of(story)} == {"sofa-0", "sofa-1", "park-3", "sea-4"}


def test_a_second_render_paints_nothing(story):
    render_fake(story)
    _, painter = render_fake(story)
    assert painter.asked == []


def test_editing_one_negative_paints_that_scene_alone(story):
    render_fake(story)
    write_story(story.parent, STORY.replace("negative: 人", "negative: 狗"))
    _, painter = render_fake(story)
    assert [take.scene for take in painter.asked] == ["sea"]
    assert len(pictures_of(story)) == 5  # superseded takes stay


def test_a_copied_folder_is_up_to_date_though_its_times_changed(story):
    render_fake(story)
    for path in pictures_of(story):
        os.utime(path, (1, 1))
    _, painter = render_fake(story)
    assert painter.asked == []


def test_a_failed_take_never_loses_the_rest(story):
    result, _ = render_fake(story, FakePainter(failing=("park",)))
    assert [failed.take.scene for failed in result.outcome.failed] == ["park"]
    assert len(result.outcome.painted) == 3
    manifest = read_manifest(result.plan.folder)
    assert list(manifest.failures.values()) == ["the fake was told to fail"]
    again, painter = render_fake(story)
    assert [take.scene for take in painter.asked] == ["park"]
    assert read_manifest(again.plan.folder).failures == {}


def test_ctrl_c_keeps_what_is_done_and_the_next_render_goes_on(story):
    result, _ = render_fake(story, FakePainter(interrupt_after=2))
    assert result.outcome.interrupted
    assert (len(result.outcome.painted), result.left) == (2, 2)
    assert result.sheet.is_file()
    _, painter = render_fake(story)
    assert len(painter.asked) == 2


def test_scene_seed_and_limit_choose(story):
    _, painter = render_fake(story, scenes=("sofa",), seeds=(1,))
    assert [(take.scene, take.seed) for take in painter.asked] == [("sofa", 1)]
    result, painter = render_fake(story, limit=2)
    assert len(painter.asked) == 2
    assert result.left == 1


def test_a_changed_picture_is_set_aside_and_painted_again(story):
    render_fake(story)
    scribbled = pictures_of(story)[0]
    scribbled.write_bytes(b"dear to someone")
    _, painter = render_fake(story)
    assert len(painter.asked) == 1
    Image.open(scribbled).load()
    (kept,) = (story.parent / "renders/tale/set-aside").iterdir()
    assert kept.read_bytes() == b"dear to someone"


def test_a_second_story_of_the_same_name_is_sent_elsewhere(story, tmp_path):
    render_fake(story)
    (tmp_path / "other").mkdir()
    other = write_story(tmp_path / "other")
    with pytest.raises(RunFolderError, match="--out"):
        render_fake(other, out=story.parent / "renders" / "tale")


def test_a_renamed_story_keeps_its_folder(story):
    render_fake(story)
    moved = story.rename(story.with_name("renamed.yaml"))
    _, painter = render_fake(moved, out=story.parent / "renders" / "tale")
    assert painter.asked == []


def test_a_folder_of_a_newer_version_is_left_alone(story):
    render_fake(story)
    manifest = story.parent / "renders/tale/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(RunFolderError, match="newer version"):
        render_fake(story)
    assert json.loads(manifest.read_text())["format"] == 99


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', "\0\0", '{"format": 1, "scenes": 3}'])
def test_a_damaged_manifest_is_rebuilt_from_the_pictures(story, damage):
    render_fake(story)
    (story.parent / "renders/tale/manifest.json").write_text(damage)
    _, painter = render_fake(story)
    assert painter.asked == []
    assert len(read_manifest(story.parent / "renders/tale").pictures) == 4


def test_the_journal_is_enough_after_a_kill(story):
    result, _ = render_fake(story)
    folder = result.plan.folder
    manifest = read_manifest(folder)
    lines = [picture.model_dump_json() for picture in manifest.pictures.values()]
    (folder / "manifest.json").write_text(manifest.model_copy(update={"pictures": {}}).model_dump_json())
    (folder / "manifest.journal").write_text("\n".join(lines) + '\n{"key": "torn')
    assert read_manifest(folder).pictures == manifest.pictures


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that even root can't write to")
def test_an_unwritable_folder_is_explained(story):
    with pytest.raises(RunFolderError, match="can't be written to"):
        render_fake(story, out="/sys/kernel/run")


def test_an_output_path_that_is_a_file_is_explained(story):
    (story.parent / "busy").write_text("")
    with pytest.raises(RunFolderError, match="busy"):
        render_fake(story, out=story.parent / "busy")


SCRIPT = """
import sys
from pathlib import Path
from tests.fakes import FakePainter
from tests.stories import render_fake
render_fake(Path(sys.argv[1]), FakePainter(seconds=float(sys.argv[2])))
"""


def start(story: Path, seconds: float) -> subprocess.Popen[bytes]:
    root = Path(__file__).parent.parent
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(story), str(seconds)], cwd=root, stderr=subprocess.PIPE)


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def test_a_second_process_is_told_to_wait(story):
    first = start(story, 5.0)
    try:
        wait_for((story.parent / "renders/tale/.painting").is_file)
        with pytest.raises(RunFolderError, match=f"process {first.pid}"):
            render_fake(story)
    finally:
        first.kill()
        first.communicate()
    _, painter = render_fake(story)  # the lock died with its holder
    assert painter.asked


def test_kill_at_twenty_random_moments_loses_nothing(tmp_path):
    seeds = ", ".join(str(seed) for seed in range(200))
    story = write_story(tmp_path, f"size: 64x64\nscenes:\n  - {{id: a, prompt: x, seeds: [{seeds}]}}\n")
    folder = tmp_path / "renders" / "tale"
    moments = random.Random(7)
    finished: dict[str, int] = {}
    for _ in range(20):
        before = len(pictures_of(story))
        process = start(story, 0.002)
        wait_for(lambda before=before, process=process: len(pictures_of(story)) > before or process.poll() is not None)
        time.sleep(moments.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in pictures_of(story):
            key = key_of(read_record(path))  # decodes the whole picture
            assert path.stem.endswith(key[:12])
            # No finished take is painted twice: the file stays the very one it was.
            assert finished.setdefault(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    manifest = read_manifest(folder)
    whole = take_inventory(folder, manifest.pictures.values() if manifest else ()).whole
    assert len(whole) == len(pictures_of(story)) >= 20
    plan = make_plan(load_storyboard(story), out=folder)
    _, painter = render_fake(story)
    assert len(painter.asked) == len(plan.to_paint) == 200 - len(whole)

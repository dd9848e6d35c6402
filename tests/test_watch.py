"""`storyboard render --watch`: an edit renders again, what is wrong is said, and Ctrl-C is the way to end it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from renderer.progress import Silent
from renderer.take import Progress
from renderer.watching import Edits, KeptModel, StopsAtEdits
from tests.fakes import FakePainter
from tests.stories import STORY, render_fake, write_story

ROOT = Path(__file__).parent.parent
MAIN = """
import sys, threading
from renderer.cli import main
from tests.fakes import FakePainter
main(FakePainter(seconds=float(sys.argv.pop())))
"""


class Watching:
    """The command as a process of its own, with the fake painter; what it says comes in line by line."""

    def __init__(self, folder: Path, *words: str, seconds: float = 0.0) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "render", "tale.yaml", "--watch", *words, str(seconds)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.read = 0
        self.reader = threading.Thread(target=self._listen, daemon=True)
        self.reader.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)

    def hear(self, words: str, seconds: float = 30.0) -> str:
        """All that is said from here on until `words` come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fresh = self.lines[self.read :]
            for number, line in enumerate(fresh):
                if words in line:
                    self.read += number + 1
                    return "".join(fresh[: number + 1])
            time.sleep(0.05)
        raise AssertionError(f"never heard “{words}” in:\n{''.join(self.lines)}")

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(15)


@contextmanager
def watching(folder: Path, *words: str, seconds: float = 0.0):
    watch = Watching(folder, *words, seconds=seconds)
    try:
        yield watch
    finally:
        watch.process.kill()
        watch.process.wait()
        watch.reader.join()


def test_an_edit_is_painted_and_ctrl_c_ends_in_peace(tmp_path):
    write_story(tmp_path)
    with watching(tmp_path) as watch:
        assert "4 takes painted." in watch.hear("Watching tale.yaml")
        write_story(tmp_path, STORY.replace("prompt: 海边", "prompt: 山上"))
        assert "1 take painted." in watch.hear("Watching tale.yaml")
        assert "山上" in (tmp_path / "renders/tale/index.html").read_text(encoding="utf-8")
        assert watch.stop() == 0
        watch.hear("No longer watching tale.yaml. What was painted is kept.")


def test_a_story_with_errors_shows_them_and_the_watching_goes_on(tmp_path):
    write_story(tmp_path, STORY.replace("seed: 3", "sead: 3"))
    with watching(tmp_path) as watch:
        assert "tale.yaml:14:5: scenes[1].sead" in watch.hear("Watching tale.yaml")
        assert not (tmp_path / "renders").exists()
        write_story(tmp_path)
        assert "4 takes painted." in watch.hear("Watching tale.yaml")
        (tmp_path / "tale.yaml").write_text("scenes: [")
        assert "1 problem" in watch.hear("Watching tale.yaml")
        (tmp_path / "tale.yaml").unlink()
        assert "there is no such file" in watch.hear("Watching tale.yaml")
        write_story(tmp_path)
        assert "Nothing to paint." in watch.hear("Watching tale.yaml")
        assert watch.stop() == 0


def test_a_mistyped_name_is_nothing_to_wait_for(tmp_path):
    write_story(tmp_path, name="tales.yaml")
    with watching(tmp_path) as watch:
        watch.hear('Did you mean "tales.yaml"?')
        assert watch.process.wait(15) == 2


def test_the_run_folder_is_free_between_two_renders(tmp_path):
    story = write_story(tmp_path)
    with watching(tmp_path) as watch:
        watch.hear("Watching tale.yaml")
        assert not (tmp_path / "renders/tale/.painting").exists()
        render_fake(story)  # would raise: another render is painting into it
        assert watch.stop() == 0


def test_an_edit_while_painting_stops_what_is_in_vain(tmp_path):
    write_story(tmp_path)
    with watching(tmp_path, seconds=0.6) as watch:
        watch.hear("[1/4 ")
        write_story(tmp_path, STORY.replace("seed: 3", "seed: 9").replace("seed: 4", "seed: 8"))
        assert "Watching" not in watch.hear("Edited meanwhile, after ")
        watch.hear("Watching tale.yaml")
        pictures = {path.name.rsplit("-", 1)[0] for path in (tmp_path / "renders/tale/pictures").glob("*.png")}
        assert {"sofa-0", "sofa-1", "park-9", "sea-8"} <= pictures
        assert "sea-4" not in pictures
        assert watch.stop() == 0


def test_ctrl_c_while_painting_keeps_what_is_painted(tmp_path):
    write_story(tmp_path)
    with watching(tmp_path, seconds=1.0) as watch:
        watch.hear("[1/4 ")
        assert watch.stop() == 0
        watch.hear("painted and kept")
        watch.hear("No longer watching")
    assert list((tmp_path / "renders/tale/pictures").glob("*.png"))


def test_more_seeds_are_asked_for_once(tmp_path):
    write_story(tmp_path)
    with watching(tmp_path, "--more", "1") as watch:
        assert "7 takes painted." in watch.hear("Watching tale.yaml")
        write_story(tmp_path, STORY.replace("title: Starlight", "title: Moonlight"))
        assert "Nothing to paint." in watch.hear("Watching tale.yaml")
        assert watch.stop() == 0


@pytest.fixture
def edits(tmp_path):
    """Watches a story that includes another file, with LoRA files and templates."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/cast.yaml").write_text("include: more.yaml\n", encoding="utf-8")
    (tmp_path / "shared/more.yaml").write_text("style: 水彩\n", encoding="utf-8")
    (tmp_path / "lora_weights").mkdir()
    (tmp_path / "lora_weights/pencil.safetensors").write_bytes(b"x")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/sheet.css").write_text("", encoding="utf-8")
    story = write_story(tmp_path, "include: shared/cast.yaml\n" + STORY)
    return Edits(story, templates=tmp_path / "templates")


def notices(edits: Edits, edit) -> bool:
    """Whether an edit is noticed; `edit` is made while somebody waits."""
    waiting = threading.Thread(target=edits.wait, args=(0.02,), daemon=True)
    waiting.start()
    time.sleep(0.1)
    assert waiting.is_alive()
    edit()
    waiting.join(1.0)
    return not waiting.is_alive()


@pytest.mark.parametrize(
    "name",
    [
        *("tale.yaml", "shared/cast.yaml", "shared/more.yaml", "templates/sheet.css", "templates/js/page.js"),
        *("lora_weights/glow.safetensors", "glow.safetensors", "lora_weights/pencil.json"),
    ],
)
def test_everything_that_a_story_is_made_of_is_watched(edits, tmp_path, name):
    def edit():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("\n# edited\n")

    assert notices(edits, edit)


def test_other_files_are_not(edits, tmp_path):
    def edit():
        for name in ("notes.txt", "other.yaml", ".tale.yaml.swp", "templates/.sheet.css.swp"):
            (tmp_path / name).write_text("x")

    assert not notices(edits, edit)


def test_a_lora_that_is_named_by_its_path_is_waited_for(tmp_path):
    story = write_story(tmp_path, STORY + 'loras: ["./mine/glow.safetensors"]\n')
    (tmp_path / "mine").mkdir()
    assert notices(Edits(story), lambda: (tmp_path / "mine/glow.safetensors").write_bytes(b"x"))


def test_an_included_file_stays_watched_while_the_story_is_broken(edits, tmp_path):
    assert notices(edits, lambda: (tmp_path / "tale.yaml").write_text("scenes: ["))
    assert notices(edits, lambda: (tmp_path / "shared/more.yaml").write_text("style: 油画\n", encoding="utf-8"))


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(edits, tmp_path):
    file, other = tmp_path / "tale.yaml", tmp_path / "new"

    def replace():
        shutil.copy2(file, other)
        os.replace(other, file)

    assert notices(edits, replace)


def test_files_that_include_each_other_end(tmp_path):
    (tmp_path / "a.yaml").write_text("include: ../" + tmp_path.name + "/tale.yaml\n")
    story = write_story(tmp_path, "include: a.yaml\n" + STORY)
    assert notices(Edits(story), lambda: (tmp_path / "a.yaml").write_text("style: 油画\n", encoding="utf-8"))


def test_an_edit_in_several_steps_is_one_edit(edits, tmp_path):
    waiting = threading.Thread(target=edits.wait, args=(0.2,), daemon=True)
    waiting.start()
    for step in range(8):
        (tmp_path / "tale.yaml").write_text(STORY[: 40 * (step + 1)], encoding="utf-8")
        time.sleep(0.1)
        assert waiting.is_alive()
    waiting.join(2.0)
    assert not waiting.is_alive()


def test_an_edit_that_leaves_the_story_broken_stops_no_painting(edits, tmp_path):
    observer = StopsAtEdits(Silent(), edits)
    observer.started(4, None)
    first = Progress("denoising", 1, 2, 1)
    (tmp_path / "tale.yaml").write_text("scenes: [")
    observer.progress(first)
    write_story(tmp_path, STORY.replace("seed: 3", "seed: 30"))
    observer.progress(Progress("denoising", 2, 2, 1))  # in the middle of a batch
    assert not observer.stopped
    with pytest.raises(KeyboardInterrupt):
        observer.progress(first)
    assert observer.stopped


def test_the_model_stays_loaded_until_another_is_asked_for(tmp_path):
    plan = render_fake(write_story(tmp_path))[0].plan
    opened = []
    model = KeptModel(lambda plan: opened.append(plan.model) or FakePainter())
    assert model(plan) is model(plan)
    assert len(opened) == 1
    (tmp_path / "mine").mkdir()
    object.__setattr__(plan, "model", "other@1")
    model(plan)
    assert opened[1:] == ["other@1"]

"""What earlier sheets showed, and what the next one says has changed."""

from __future__ import annotations

import itertools
import json
import threading
import time
from pathlib import Path

import pytest
import yaml

import renderer.history
from renderer.history import remember, snapshot_of
from renderer.line import rebuild, render
from renderer.looking.changes import told, view_changes
from renderer.looking.html import bundled_templates
from renderer.looking.snapshots import packed, unpacked
from renderer.manifest import read_manifest
from renderer.plan import plan_story
from renderer.reasons import ENGLISH, Reason
from tests.fakes import FakePainter
from tests.manifests import make_entry, make_manifest, make_scene, paint_all
from tests.pages import parse, select, words
from tests.stories import STORY, render_fake, write_story
from tests.test_cli import run

__all__ = ["run"]


@pytest.fixture
def project(tmp_path):
    """A folder with a story that has been rendered once."""
    render_fake(write_story(tmp_path))
    return tmp_path


def edit(project: Path, *edits: tuple[str, str], **options: object) -> Path:
    """The story as it is now with texts replaced, rendered; returns the run folder."""
    text = (project / "tale.yaml").read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    story = write_story(project, text, "next.yaml").replace(project / "tale.yaml")
    result, _ = render_fake(story, **options)
    return result.sheet.parent


def changes(project: Path):
    folder = project / "renders/tale"
    return view_changes(read_manifest(folder), folder)


def said(project: Path) -> dict[str, str]:
    """What the sheet says of each changed scene, in English."""
    return {name: ", ".join(map(str, change.reasons)) for name, change in changes(project).scenes.items()}


def history(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "renders/tale/history").iterdir())


def test_a_first_render_is_kept_and_changes_nothing(project):
    assert history(project) == ["0001.json"]
    assert changes(project).of("sea") is None
    assert (changes(project).since, changes(project).at) == ("", "")


def test_a_render_that_changes_nothing_writes_nothing(project):
    path = project / "renders/tale/history/0001.json"
    before = path.stat()
    edit(project)
    rebuild(project / "tale.yaml", out=project / "renders/tale")
    assert history(project) == ["0001.json"]
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_notes_and_the_order_of_scenes_are_no_change(project):
    edit(project, ("seed: 3", "seed: 3\n    dialogue: 早"), ("title: Starlight", "title: Moon"))
    assert history(project) == ["0001.json"]


def test_an_edited_negative_is_said_with_what_was_there_before(project):
    folder = edit(project, ("negative: 人", "negative: 狗"))
    assert said(project) == {"sea": "negative edited"}
    before = changes(project).of("sea").before
    assert (folder / before.picture).is_file()
    assert (folder / before.thumb).is_file()
    assert before.picture.startswith("pictures/sea-4-")
    assert before.key != read_manifest(folder).scenes[2].takes[0].key
    assert (before.seed, before.width, before.height) == (4, 64, 64)
    assert "".join(part.text for part in before.negative) == "模糊，人"
    assert "".join(part.text for part in before.prompt) == "动漫风格，海边"
    assert before.at == json.loads((folder / "history/0001.json").read_bytes())["at"]


def test_a_change_stays_until_something_else_changes(project):
    edit(project, ("negative: 人", "negative: 狗"))
    edit(project)
    assert said(project) == {"sea": "negative edited"}
    edit(project, ("prompt: 海边", "prompt: 山上"))
    assert said(project) == {"sea": "prompt edited"}
    edit(project, ("在公园", "在雨里"))
    assert said(project) == {"park": "prompt edited"}


def test_an_edit_that_is_taken_back_is_a_change_too(project):
    edit(project, ("negative: 人", "negative: 狗"))
    edit(project, ("negative: 狗", "negative: 人"))
    assert said(project) == {"sea": "negative edited"}
    assert "".join(part.text for part in changes(project).of("sea").before.negative) == "模糊，狗"
    assert history(project) == ["0001.json", "0002.json", "0003.json"]


def test_a_character_is_named_in_every_scene_it_is_in(project):
    edit(project, ("紫色短发", "黑色短发"))
    assert said(project) == {"sofa": "character mei edited", "park": "character mei edited"}


def test_a_new_pick_shows_the_take_that_stood_there_before(project):
    edit(project, ("seeds: [0, 1]", "seeds: [0, 1]\n    pick: 1"))
    assert said(project) == {"sofa": "new pick"}
    assert changes(project).of("sofa").before.seed == 0
    edit(project, ("    pick: 1\n", ""))
    assert said(project) == {"sofa": "pick taken back"}
    assert changes(project).of("sofa").before.seed == 1


def test_picking_the_take_that_is_shown_has_nothing_to_compare(project):
    edit(project, ("seeds: [0, 1]", "seeds: [0, 1]\n    pick: 0"))
    assert said(project) == {"sofa": "new pick"}
    assert changes(project).of("sofa").before is None


def test_an_edit_and_a_pick_at_once_are_both_said(project):
    edit(project, ("seeds: [0, 1]", "seeds: [0, 1]\n    pick: 1"), ("坐在沙发上", "站在沙发上"))
    assert said(project) == {"sofa": "new pick, prompt edited"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 3", "seed: 5", "new seed"),
        ("seed: 3", "seeds: [3, 5, 6]", "takes added: 2"),
        ("seed: 3", "seeds: [5, 3]", "another take shown, takes added: 1"),
        ("seed: 3", "seed: 3\n    steps: 7", "steps 25 → 7"),
    ],
)
def test_seeds_and_settings_are_reasons(project, old, new, expected):
    edit(project, (old, new))
    assert said(project) == {"park": expected}


def test_takes_removed_are_counted(project):
    edit(project, ("seeds: [0, 1]", "seed: 0"))
    assert said(project) == {"sofa": "takes removed: 1"}


def test_another_fall_of_a_wildcard_is_no_edit(tmp_path):
    text = "scenes:\n  - {id: hat, prompt: '{红|蓝|绿|黄|白|黑|紫|橙}帽子', seed: 1}\n"
    render_fake(write_story(tmp_path, text))
    for seed in range(2, 6):
        edit(tmp_path, (f"seed: {seed - 1}", f"seed: {seed}"))
        assert said(tmp_path) == {"hat": "new seed"}


def test_scenes_added_and_removed_are_told(project):
    edit(project, ('  - id: park\n    prompt: "{mei}，在公园"\n    seed: 3\n', "  - {id: snow, prompt: 雪}\n"))
    assert said(project) == {"snow": "new scene"}
    assert list(changes(project).removed) == ["park"]
    gone = changes(project).removed["park"]
    assert (project / "renders/tale" / gone.thumb).is_file()
    assert gone.seed == 3


def test_a_renamed_scene_is_the_same_scene(project):
    edit(project, ("id: park", "id: garden"))
    assert said(project) == {"garden": "renamed, was park"}
    assert changes(project).removed == {}
    assert changes(project).of("garden").before is None


def test_ids_that_are_swapped_follow_the_pictures(project):
    edit(project, ("id: park", "id: x"), ("id: sea", "id: park"), ("id: x", "id: sea"))
    assert said(project) == {"sea": "renamed, was park", "park": "renamed, was sea"}


def test_a_scene_put_before_others_without_ids_doesn_t_rename_them(tmp_path):
    render_fake(write_story(tmp_path, "scenes:\n  - {prompt: 猫}\n  - {prompt: 狗}\n"))
    edit(tmp_path, ("scenes:\n", "scenes:\n  - {prompt: 雪}\n"))
    assert said(tmp_path) == {"scene-01": "new scene"}


def test_a_render_in_several_goes_is_one_change(project):
    story = [("动漫风格", "水彩")]
    edit(project, *story, limit=1)
    assert set(said(project)) == {"sofa", "park", "sea"}
    first = changes(project).at
    edit(project, limit=1)
    folder = edit(project)
    assert history(project) == ["0001.json", "0002.json"]
    assert set(said(project).values()) == {"style edited"}
    assert changes(project).at == first
    assert all((folder / changes(project).of(name).before.picture).is_file() for name in ("sofa", "park", "sea"))


def test_a_change_that_was_never_painted_doesn_t_come_between(project):
    edit(project, ("negative: 人", "negative: 狗"), limit=0)
    edit(project, ("negative: 狗", "negative: 猫"))
    assert said(project) == {"sea": "negative edited"}
    before = changes(project).of("sea").before
    assert "".join(part.text for part in before.negative) == "模糊，人"
    assert before.picture


def test_a_killed_render_has_begun_the_change(project):
    class Killed(BaseException):
        pass

    class Dying(FakePainter):
        def paint(self, takes, progress):
            yield from super().paint(takes[:1], progress)
            raise Killed

    with pytest.raises(Killed):
        edit(project, ("动漫风格", "水彩"), painter=Dying())
    assert history(project) == ["0001.json", "0002.json"]
    begun = changes(project).at
    edit(project)
    assert history(project) == ["0001.json", "0002.json"]
    assert changes(project).at == begun
    assert set(said(project).values()) == {"style edited"}


def test_what_is_painted_later_than_the_rest_is_told_once_the_story_changes(tmp_path):
    render_fake(write_story(tmp_path), limit=3)
    edit(tmp_path, ("在公园", "在雨里"))
    assert said(tmp_path) == {"park": "prompt edited", "sea": "painted for the first time"}


def test_a_kill_between_the_record_and_the_history_loses_nothing(project, monkeypatch):
    def killed(manifest, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("renderer.line.remember", killed)
    with pytest.raises(KeyboardInterrupt):
        edit(project, ("negative: 人", "negative: 狗"))
    monkeypatch.undo()
    assert said(project) == {"sea": "negative edited"}
    edit(project)
    assert said(project) == {"sea": "negative edited"}
    assert history(project) == ["0001.json", "0002.json"]


def test_a_snapshot_is_whole_or_not_there(project, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    manifest = read_manifest(project / "renders/tale")
    other = manifest.model_copy(update={"scenes": manifest.scenes[:1]})
    with pytest.raises(OSError, match="space"):
        remember(other, project / "renders/tale")
    assert history(project) == ["0001.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"kind":"other"}',
        b'{"kind":"storyboard-history","format":2,"scenes":[]}',
        b"\xff\xfe",
        b"null",
    ],
)
def test_damaged_and_foreign_files_are_passed_over_and_kept(project, content):
    edit(project, ("negative: 人", "negative: 狗"))
    folder = project / "renders/tale/history"
    for name in ("0003.json", "notes.json", "12.json", "0004.txt"):
        (folder / name).write_bytes(content)
    (folder / "0005.json").mkdir()
    assert said(project) == {"sea": "negative edited"}
    edit(project, ("negative: 狗", "negative: 猫"))
    assert said(project) == {"sea": "negative edited"}
    assert (folder / "0004.json").is_file()
    assert (folder / "0003.json").read_bytes() == content


def test_a_file_whose_takes_are_not_what_their_keys_name_is_damaged(project):
    edit(project, ("negative: 人", "negative: 狗"))
    path = project / "renders/tale/history/0001.json"
    path.write_text(path.read_text(encoding="utf-8").replace("海边", "月亮"), encoding="utf-8")
    assert changes(project).scenes == {}


def test_the_newest_fifty_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(renderer.history, "KEPT", 3)
    (tmp_path / "history").mkdir()
    (tmp_path / "history/0001.json").write_text("mine")
    for number in range(8):
        remember(make_manifest(make_scene("a", make_entry(number))), tmp_path)
    assert sorted(path.name for path in (tmp_path / "history").iterdir()) == [
        "0001.json", "0007.json", "0008.json", "0009.json",
    ]  # fmt: skip


def test_snapshots_are_read_as_they_were_written(tmp_path):
    hostile = make_scene('"</script>', make_entry(2**32 - 1, "\u2028 {0} \x01", "模糊", loras=("{1}",)))
    manifest = paint_all(make_manifest(hostile, make_scene("b"), updated_at="2026-05-04T03:02:01+00:00"), tmp_path)
    snapshot = snapshot_of(manifest)
    assert unpacked(packed(snapshot)) == snapshot


@pytest.mark.parametrize("fate", ["gone", "damaged"])
def test_a_picture_that_is_no_longer_whole_leaves_the_change_without_a_picture(project, fate):
    folder = edit(project, ("negative: 人", "negative: 狗"))
    picture = folder / changes(project).of("sea").before.picture
    picture.unlink() if fate == "gone" else picture.write_bytes(b"scribble")
    edit(project)
    assert said(project) == {"sea": "negative edited"}
    before = changes(project).of("sea").before
    assert (before.picture, before.thumb) == ("", "")
    assert before.prompt


def test_a_record_that_leads_out_of_the_run_folder_shows_nothing(project):
    folder = edit(project, ("negative: 人", "negative: 狗"))
    (project / "secret.png").write_bytes(next((folder / "pictures").iterdir()).read_bytes())
    manifest = read_manifest(folder)
    key = changes(project).of("sea").before.key
    foreign = manifest.pictures[key].model_copy(update={"file": "../../secret.png"})
    moved = manifest.model_copy(update={"pictures": manifest.pictures | {key: foreign}})
    assert view_changes(moved, folder).of("sea").before.picture == ""


def test_clean_says_that_before_and_after_go_too_and_the_sheet_follows(run, project):
    folder = edit(project, ("negative: 人", "negative: 狗"))
    story = project / "tale.yaml"
    before = changes(project).of("sea").before
    code, out, _ = run("clean", story)
    assert code == 0
    assert "The sheet compares 1 scene with a picture among these" in " ".join(out.split())
    code, out, _ = run("clean", story, "--yes")
    assert code == 0
    assert not (folder / before.picture).exists()
    assert history(project) == ["0001.json", "0002.json"]
    assert said(project) == {"sea": "negative edited"}
    assert changes(project).of("sea").before.picture == ""
    assert before.thumb not in (folder / "index.html").read_text(encoding="utf-8")
    assert "compares" not in run("clean", story)[1]


def test_renders_at_once_leave_one_history_that_reads_at_every_moment(project):
    folder, story = project / "renders/tale", project / "tale.yaml"
    problems: list[BaseException] = []

    def paint() -> None:
        try:
            for _ in range(4):
                render(story, out=folder, painter=FakePainter(), wait=True)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=paint) for _ in range(2)]
    for thread in threads:
        thread.start()
    for word in "狗猫鸟":
        edit(project, ("negative: 人", f"negative: {word}"), wait=True)
        assert view_changes(read_manifest(folder), folder).of("sea") is not None
        edit(project, (f"negative: {word}", "negative: 人"), wait=True)
    for thread in threads:
        thread.join()
    assert problems == []
    kept = [unpacked((folder / "history" / name).read_bytes()).asked for name in history(project)]
    assert len(kept) == 7
    assert all(one != other for one, other in itertools.pairwise(kept))


def test_every_reason_stands_in_both_languages_of_the_page():
    page_words = yaml.safe_load((bundled_templates() / "words.yaml").read_text(encoding="utf-8"))
    for word, text in ENGLISH.items():
        assert page_words["en"][f"changed_{word}"] == text
        assert page_words["zh"][f"changed_{word}"].count("{") == text.count("{")


def test_reasons_are_told_in_the_page_s_language_and_values_stay_as_typed(project):
    page_words = yaml.safe_load((bundled_templates() / "words.yaml").read_text(encoding="utf-8"))
    edit(project, ("id: park", "id: garden"), ("seed: 4", "seed: 4\n    steps: 7"))
    found = changes(project)
    (renamed,), (steps,) = found.of("garden").reasons, found.of("sea").reasons
    assert told(renamed, page_words["zh"]) == "改名，原为 park"
    assert (told(steps, page_words["zh"]), told(steps, page_words["en"])) == ("步数 25 → 7", "steps 25 → 7")
    assert told(Reason("lora_strength", ("{1}", "{0}", "1")), page_words["en"]) == "LoRA {1}: strength {0} → 1"


def test_the_page_tells_what_changed_and_its_scripts_know_what_was_before(project):
    removed = ('  - id: park\n    prompt: "{mei}，在公园"\n    seed: 3\n', "")
    folder = edit(project, ("negative: 人", "negative: 狗\n    steps: 7"), removed)
    page = parse((folder / "index.html").read_text(encoding="utf-8"))
    assert [words(reason) for reason in select(page, ".changed bdi")] == ["修改了反向提示词", "步数 25 → 7"]
    assert [words(gone) for gone in select(page, ".removed li bdi")] == ["park"]
    story = json.loads(select(page, "#story")[0].text or "")
    scene = story["scenes"][1]
    assert scene["changed"] == [["negative"], ["steps", "25", "7"]]
    assert (folder / scene["before"]["picture"]).is_file()
    assert "".join(story["parts"][number][0] for number in scene["before"]["negative"]) == "模糊，人"
    assert [gone["id"] for gone in story["changes"]["removed"]] == ["park"]


def test_two_thousand_scenes_are_fast(tmp_path):
    scenes = [
        make_scene(f"s{number}", *(make_entry(seed, f"第{number}个场景，" + "海" * 40, "模糊") for seed in range(4)))
        for number in range(2000)
    ]
    manifest = make_manifest(*scenes, updated_at="2026-05-04T03:02:01+00:00")
    edited = manifest.model_copy(
        update={"scenes": tuple(make_scene(scene.id, make_entry(0, "山", "模糊")) for scene in scenes)}
    )
    started = time.perf_counter()
    remember(manifest, tmp_path)
    remember(edited, tmp_path)
    remember(edited, tmp_path)
    found = view_changes(edited, tmp_path)
    assert time.perf_counter() - started < 5
    assert len(found.scenes) == 2000
    assert (tmp_path / "history/0001.json").stat().st_size < 2_000_000
    assert all(change.before is not None for change in found.scenes.values())


def test_planning_says_the_same_words_as_the_sheet(project):
    text = STORY.replace("negative: 人", "negative: 狗")
    plan = plan_story(write_story(project, text), out=project / "renders/tale")
    assert [planned.reason for planned in plan.to_paint] == ["negative edited"]

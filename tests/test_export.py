"""Exports: where they go, what they refuse, the shot list and the package."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

from renderer import cli
from renderer.clean import find_leftovers, remove
from renderer.errors import RunFolderError, StoryboardError
from renderer.export import FORMATS, export_story
from renderer.exporting.package import _inside
from renderer.exporting.shot_list import HEADINGS, defused
from renderer.exporting.target import Target, drafted, safe_name, workplace
from renderer.exporting.timing import spans, timecode
from renderer.line import render
from renderer.manifest import read_manifest
from renderer.paint import open_run
from renderer.plan import plan_story
from tests.fakes import FakePainter
from tests.stories import STORY, render_fake, write_story
from tests.test_commands import lora

SHOTS = """\
title: 星光, the "first"
size: 64x64
scenes:
  - id: sofa
    prompt: a sofa
    seeds: [0, 1, 2]
    pick: 1
    shot: wide
    camera: pan, left
    action: "=cmd|' /C calc'!A0"
    dialogue: "- 好无聊啊……\\n\\"really\\", she said"
    note: "\\t@SUM(1)"
    duration: 2.5
  - id: park
    prompt: a park
  - id: 海
    prompt: 海边
    duration: 0.3
"""


@pytest.fixture
def told(tmp_path):
    """A rendered story of three scenes, five takes."""
    story = write_story(tmp_path, SHOTS)
    render_fake(story)
    return story


def exported(story: Path, to: str, **options) -> Path:
    return export_story(story, to, out=story.parent / "renders" / story.stem, **options).path


def rows(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_the_shot_list_has_a_line_for_each_scene_with_its_pick(told):
    path = exported(told, "csv")
    assert path == told.parent / "renders/tale/exports/tale.csv"
    sofa, park, sea = rows(path)
    assert tuple(sofa) == HEADINGS["en"]
    assert [row["Scene"] for row in (sofa, park, sea)] == ["01", "02", "03"]
    assert (sofa["Seed"], sofa["Picked"], park["Picked"], sea["ID"]) == ("1", "yes", "", "海")
    assert sofa["Camera"] == "pan, left"
    manifest = read_manifest(told.parent / "renders/tale")
    assert sofa["Key"] == manifest.scenes[0].pick
    assert (told.parent / "renders/tale" / sofa["Picture"]).is_file()


def test_running_times_add_up_and_scenes_without_a_duration_last_three_seconds(told):
    found = rows(exported(told, "csv"))
    assert [row["Duration (s)"] for row in found] == ["2.5", "3", "0.3"]
    assert [row["Start (s)"] for row in found] == ["0", "2.5", "5.5"]
    assert [row["Running time (s)"] for row in found] == ["2.5", "5.5", "5.8"]
    assert [row["Timecode"] for row in found] == ["00:00:00:00", "00:00:02:12", "00:00:05:12"]
    assert rows(exported(told, "csv", fps=25))[2]["Timecode"] == "00:00:05:13"


def test_cells_that_a_spreadsheet_would_run_are_defused_and_lines_stay(told):
    sofa = rows(exported(told, "csv"))[0]
    assert sofa["Action"] == "'=cmd|' /C calc'!A0"
    assert sofa["Note"] == "'\t@SUM(1)"
    assert sofa["Dialogue"] == '\'- 好无聊啊……\n"really", she said'


@pytest.mark.parametrize("cell", ["=1", "+1", "-1+1", "-a", "@a", "  =1", "\t1", "\r1", "\n1", "＝1", "＠a"])
def test_what_begins_like_a_formula_gets_an_apostrophe(cell):
    assert defused(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "——", "01", "-1", "-0.5", "-1e-05", "'=1", "“=1”"])
def test_other_cells_stay_as_they_are(cell):
    assert defused(cell) == cell


def test_all_takes_have_a_line_each_and_share_their_scenes_time(told):
    found = rows(exported(told, "csv", all_takes=True))
    assert [(row["ID"], row["Seed"]) for row in found] == [
        ("sofa", "1"),
        ("sofa", "0"),
        ("sofa", "2"),
        ("park", "0"),
        ("海", "0"),
    ]
    assert [row["Start (s)"] for row in found] == ["0", "0", "0", "2.5", "5.5"]


def test_a_chinese_story_has_chinese_headings(tmp_path):
    story = write_story(tmp_path)
    render_fake(story)
    assert rows(exported(story, "csv"))[0]["镜号"] == "01"


def test_the_file_as_it_is_now_is_exported_without_rendering_again(told):
    told.write_text(SHOTS.replace("pick: 1", "pick: 2").replace("shot: wide", "shot: close"), encoding="utf-8")
    sofa = rows(exported(told, "csv"))[0]
    assert (sofa["Seed"], sofa["Shot"]) == ("2", "close")


def test_spans_end_where_durations_add_up_to():
    third = spans([1 / 3] * 300, 24)
    assert third[-1].end == 2400
    assert {span.frames for span in third} == {8}
    assert [span.frames for span in spans([0.001, 0.001, None], 24)] == [1, 1, 70]
    assert sum(span.frames for span in spans([0.1] * 1000, 24)) == 2400


def test_timecodes_count_hours():
    assert timecode(24 * 3600 * 2 + 24 * 61 + 23, 24) == "02:01:01:23"


def test_scenes_without_a_picture_are_named(tmp_path):
    story = write_story(tmp_path)
    render_fake(story, FakePainter(failing=("park",)))
    picture = next((tmp_path / "renders/tale/pictures").glob("sea-*"))
    picture.unlink()
    done = export_story(story, "csv", out=tmp_path / "renders/tale")
    assert [(panel.name, panel.absent) for panel in done.absent] == [("02 park", "failed"), ("03 sea", "lost")]
    assert [row["画面"] for row in rows(done.path)][1:] == ["(绘制失败)", "(图片缺失)"]


def test_a_picture_cut_short_counts_as_lost(told):
    folder = told.parent / "renders/tale"
    (picture,) = (folder / "pictures").glob("park-*")
    picture.write_bytes(picture.read_bytes()[:-30])
    assert [panel.absent for panel in export_story(told, "csv", out=folder).absent] == ["lost"]


def test_a_story_that_was_never_rendered_is_refused(tmp_path):
    story = write_story(tmp_path)
    with pytest.raises(RunFolderError, match="nothing was rendered here yet"):
        exported(story, "csv")
    assert not (tmp_path / "renders").exists()


def test_an_unknown_format_is_refused_with_the_known_ones(told):
    with pytest.raises(StoryboardError, match='Did you mean "single-html"'):
        exported(told, "single_html")
    with pytest.raises(StoryboardError, match="A4 or letter"):
        exported(told, "pdf", paper="A0")


def test_our_own_export_is_replaced_and_an_edited_one_is_not(told):
    path = exported(told, "csv")
    told.write_text(SHOTS.replace("shot: wide", "shot: near"), encoding="utf-8")
    assert exported(told, "csv") == path
    assert "near" in path.read_text(encoding="utf-8-sig")
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(StoryboardError, match="someone else put it there, or changed it"):
        exported(told, "csv")
    assert path.read_text() == "mine"
    exported(told, "csv", force=True)
    exported(told, "csv")


def test_a_named_file_that_exists_is_refused_without_force(told, tmp_path):
    path = tmp_path / "list.csv"
    exported(told, "csv", out_file=path)
    before = path.read_bytes()
    told.write_text(SHOTS.replace("shot: wide", "shot: near"), encoding="utf-8")
    with pytest.raises(StoryboardError, match="never overwritten"):
        exported(told, "csv", out_file=path)
    assert path.read_bytes() == before
    exported(told, "csv", out_file=path, force=True)
    assert path.read_bytes() != before


def test_names_that_would_hit_something_else_are_refused(told, tmp_path):
    for path in (told, tmp_path / "x.txt", tmp_path / "renders/tale/manifest.json"):
        with pytest.raises(StoryboardError, match=r"ends in \.csv"):
            exported(told, "csv", out_file=path, force=True)
    with pytest.raises(StoryboardError, match="is the sheet itself"):
        exported(told, "single-html", out_file=tmp_path / "renders/tale/index.html", force=True)
    with pytest.raises(StoryboardError, match="no such folder"):
        exported(told, "csv", out_file=tmp_path / "nowhere/x.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(StoryboardError, match="is a folder"):
        exported(told, "csv", out_file=tmp_path / "folder.csv", force=True)


def test_a_folder_that_cannot_be_written_to_is_explained(told, tmp_path):
    (tmp_path / "renders/tale/exports").write_text("in the way")
    with pytest.raises(RunFolderError, match=r"exports.*--out-file"):
        exported(told, "csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_earlier_export(told, monkeypatch):
    path = exported(told, "csv")
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", lambda self, content: Path("/dev/full").open("wb", 0).write(content))
    with pytest.raises(RunFolderError, match="the disk is full; nothing was exported"):
        exported(told, "csv")
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir()) == [".written.json", "tale.csv"]


def test_nothing_but_exports_and_thumbnails_is_written(told):
    folder = told.parent / "renders/tale"

    def state():
        files = (path for path in folder.rglob("*") if path.is_file() and "exports" not in path.parts)
        return {path: path.read_bytes() for path in files if "thumbs" not in path.parts}

    before = state()
    for to in ("csv", "fcpxml", "gif", "single-html", "zip"):
        exported(told, to)
    assert state() == before


KILLED = """
import os, signal, sys
from pathlib import Path
from renderer.exporting.target import Target, drafted, workplace
with drafted(Target(Path(sys.argv[1]) / "tale.pdf", True)) as draft, workplace(draft) as folder:
    draft.write_bytes(b"half a page")
    (folder / "profile").mkdir()
    (folder / "profile/cookies").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def leftovers(story):
    planned = partial(plan_story, story, out=story.parent / "renders" / story.stem)
    with open_run(planned(), planned) as run:
        found = find_leftovers(run)
        remove(run, found)
    return found


def test_clean_removes_what_a_killed_export_left_behind(told):
    earlier = exported(told, "csv")
    exports = earlier.parent
    kept = {path.name for path in exports.iterdir()}
    mine = exports / "export-in-progress-of-mine"
    mine.mkdir()
    subprocess.run([sys.executable, "-c", KILLED, str(exports)], cwd=Path(__file__).parent.parent)
    assert len(list(exports.iterdir())) > len(kept) + 1
    found = leftovers(told)
    assert found.bytes >= 1000 and any("export-in-progress-" in path.name for path in found.files)
    assert {path.name for path in exports.iterdir()} == kept | {mine.name}
    assert leftovers(told).files == ()


def test_clean_leaves_an_export_that_is_being_made(told):
    exports = told.parent / "renders" / told.stem / "exports"
    with drafted(Target(exports / "tale.pdf", True)) as draft, workplace(draft) as folder:
        draft.write_bytes(b"page")
        (folder / "sheet.html").write_text("sheet")
        assert leftovers(told).files == ()
        assert draft.is_file() and (folder / "sheet.html").is_file()
    assert sorted(path.name for path in exports.iterdir()) == [".written.json", "tale.pdf"]


def test_clean_follows_no_link_out_of_the_folder(told, tmp_path):
    exports, elsewhere = exported(told, "csv").parent, tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "dear.txt").write_text("dear")
    (exports / "export-in-progress-abcdefgh").symlink_to(elsewhere, target_is_directory=True)
    leftovers(told)
    assert (elsewhere / "dear.txt").is_file()


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "a:b", "CON\\x", ".", "", "\ud800", "名" * 200, "x\0y", " .hidden. "]
)
def test_file_names_are_made_safe(text):
    name = safe_name(text)
    assert name and len(name.encode()) <= 150
    assert not set(name) & set('/\\:\0"<>|*?') and name.strip(" .") == name


def test_paths_in_a_package_lead_nowhere_else():
    assert _inside("../../a/b.yaml") == "a/b.yaml"
    assert _inside("/etc/passwd") == "etc/passwd"
    assert _inside("C:\\x\\..\\y.yaml") == "C__x_.._y.yaml"


# The package.


def unpack(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert not any(name.startswith("/") or ".." in name.split("/") or "\\" in name for name in archive.namelist())
        archive.extractall(folder)
    return folder / path.stem


def test_a_package_goes_on_elsewhere(tmp_path):
    home = tmp_path / "home/stories"
    home.mkdir(parents=True)
    (tmp_path / "home/cast.yaml").write_text("characters: {lin: a boy}\ninclude: deep/er.yaml\n")
    (tmp_path / "home/deep").mkdir()
    (tmp_path / "home/deep/er.yaml").write_text("negative: blurry\n")
    story = write_story(
        home,
        "include: ../cast.yaml\n" + STORY.replace("海边", chr(34) + "{lin}" + chr(34)).replace("negative: 模糊\n", ""),
    )
    render_fake(story)
    top = unpack(exported(story, "zip", all_takes=True), tmp_path / "there")
    shutil.rmtree(tmp_path / "home")
    assert (top / "story/stories/tale.yaml").is_file() and (top / "story/deep/er.yaml").is_file()
    painter = FakePainter()
    result = render(top / "story/stories/tale.yaml", out=top / "renders/tale", painter=painter)
    assert painter.asked == [] and result.left == 0


def test_a_package_of_picks_holds_them_alone_and_says_so_in_its_record(told, tmp_path):
    folder = told.parent / "renders/tale"
    (folder / "review.json").write_text('{"format": 1}', encoding="utf-8")
    top = unpack(exported(told, "zip"), tmp_path / "there")
    assert len(list((top / "renders/tale/pictures").iterdir())) == 3
    manifest = read_manifest(top / "renders/tale")
    assert [[take.seed for take in scene.takes] for scene in manifest.scenes] == [[1], [0], [0]]
    assert (top / "renders/tale" / manifest.source).resolve() == (top / "story/tale.yaml").resolve()
    assert (top / "renders/tale/review.json").read_text() == '{"format": 1}'
    assert rows(top / "tale.csv")[0]["Seed"] == "1"
    assert "data-take" in (top / "renders/tale/index.html").read_text(encoding="utf-8")
    assert len(list((top / "renders/tale/thumbs").iterdir())) == 3


def test_a_package_is_the_same_bytes_each_time_and_bears_no_dates(told):
    first = exported(told, "zip").read_bytes()
    path = exported(told, "zip")
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_a_package_lists_loras_without_their_weights(tmp_path):
    lora(tmp_path / "pencil.safetensors")
    story = write_story(tmp_path, STORY + "    loras: [pencil]\n")
    render_fake(story)
    top = unpack(exported(story, "zip"), tmp_path / "there")
    (line,) = (top / "loras.txt").read_text().splitlines()
    assert line.startswith("pencil.safetensors  sha256 ")
    assert not list(top.rglob("*.safetensors"))


# The command.


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs `storyboard export` in a temporary folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["storyboard", "export", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return command


def test_the_command_says_where_the_export_is(run, told):
    code, out, err = run(told, "--to", "csv")
    assert (code, err) == (0, "")
    assert out.startswith("renders/tale/exports/tale.csv  ")


def test_the_command_names_panels_without_a_picture_and_exits_1(run, tmp_path):
    story = write_story(tmp_path)
    render_fake(story, FakePainter(failing=("park",)))
    code, out, err = run(story, "--to", "csv")
    assert code == 1 and "tale.csv" in out
    assert "1 panel without a picture, left empty: 02 park." in err
    assert f"storyboard render {story}" in err


def test_the_command_tells_of_picks_that_are_only_in_the_review(run, told, tmp_path):
    manifest = read_manifest(tmp_path / "renders/tale")
    take = manifest.scenes[0].takes[2]
    decision = {"scene": "sofa", "seed": 2, "flag": "pick", "stars": 0, "note": "", "at": "2026-05-04T03:02:01Z"}
    review = {"format": 1, "kind": "storyboard-review", "story": "tale", "title": "", "source": "", "decisions": {}}
    review["decisions"][take.key] = decision
    (tmp_path / "renders/tale/review.json").write_text(json.dumps(review))
    code, _, err = run(told, "--to", "csv")
    assert code == 0
    assert "picks otherwise than the story in 1 scene" in err
    assert "storyboard apply renders/tale/review.json" in err


@pytest.mark.parametrize(
    "words", [["--to", "word"], [], ["--to", "csv", "--fps", "0"], ["--to", "mp4", "--width", "9"]]
)
def test_wrong_usage_is_exit_2(run, told, words):
    assert run(told, *words)[0] == 2


def test_exporting_imports_no_torch(told):
    code = (
        "import sys; from pathlib import Path; from renderer.export import export_story; story = Path(sys.argv[1]); "
        "[export_story(story, to, out=story.parent / 'renders/tale') for to in ('csv', 'fcpxml', 'gif', 'zip')]; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(told)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_format_has_a_writer(told):
    assert FORMATS == ("pdf", "single-html", "csv", "fcpxml", "mp4", "gif", "zip")

"""Exports that move: the animatic as MP4 and GIF, its captions, and the timeline of stills."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from renderer.errors import StoryboardError
from renderer.export import export_story
from renderer.exporting import animatic
from renderer.exporting.fcpxml import rational
from renderer.exporting.subtitles import LINES, caption_pages, wrapped
from renderer.looking.captions import line_width
from tests.fakes import FakePainter, picture_of
from tests.stories import render_fake, write_story

FILM = """\
title: 'A <b>"film"</b> & ]]> more'
language: zh
size: 64x64
scenes:
  - {id: one, prompt: a, seeds: [0, 1], duration: 0.5, dialogue: "好<无>聊 & \\"啊\\"", note: "一行\\n两行"}
  - {id: two, prompt: b, duration: 1.25}
  - {id: three, prompt: c}
"""


@pytest.fixture
def told(tmp_path):
    story = write_story(tmp_path, FILM, "a film & more%20.yaml")
    render_fake(story)
    return story


def exported(story: Path, to: str, **options) -> Path:
    return export_story(story, to, out=story.parent / "renders" / story.stem, **options).path


def colours(painter: FakePainter) -> dict[str, np.ndarray]:
    return {take.scene: picture_of(take)[0, 0] for take in reversed(painter.asked)}


def film_of(path: Path) -> tuple[dict, list[np.ndarray]]:
    """What the file says of itself, and all its frames: uint8 [height, width, 3]."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = ffmpeg.read_frames(str(path))
    about = next(frames)
    width, height = about["size"]
    return about, [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in frames]


def middle(frame: np.ndarray) -> np.ndarray:
    return frame[frame.shape[0] // 2, frame.shape[1] // 2].astype(int)


def test_the_animatic_honours_durations_frame_by_frame(tmp_path):
    story = write_story(tmp_path, FILM)
    _, painter = render_fake(story)
    about, frames = film_of(exported(story, "mp4", width=160))
    assert (about["codec"], about["fps"], about["size"]) == ("h264", 24.0, (160, 160))
    assert about["pix_fmt"].startswith("yuv420p")
    assert len(frames) == 12 + 30 + 72
    wanted = [
        colour
        for scene, count in (("one", 12), ("two", 30), ("three", 72))
        for colour in [colours(painter)[scene]] * count
    ]
    assert max(np.abs(middle(frame) - colour).max() for frame, colour in zip(frames, wanted, strict=True)) <= 6


@pytest.mark.parametrize("fps, frames", [(25, 13 + 31 + 75), (7, 4 + 8 + 21)])
def test_the_animatic_has_the_frame_rate_asked_for(told, fps, frames):
    about, found = film_of(exported(told, "mp4", width=64, fps=fps))
    assert about["fps"] == fps and len(found) == frames


def test_captions_are_seen_while_something_is_said(told):
    _, frames = film_of(exported(told, "mp4", width=320))
    spoken, silent = (np.ptp(frame[250:310].astype(int), axis=(0, 1)).max() for frame in (frames[3], frames[20]))
    assert spoken > 100 and silent < 12
    assert all(frame[:20, :40].max() > 200 for frame in (frames[3], frames[20]))  # the number


def test_pictures_of_other_shapes_are_letterboxed(tmp_path):
    story = write_story(tmp_path, FILM.replace("id: two", "size: 128x64, id: two"))
    _, painter = render_fake(story)
    _, frames = film_of(exported(story, "mp4", width=128))
    second = frames[20]
    assert second.shape == (128, 128, 3)
    assert second[115].max() < 12
    assert np.abs(middle(second) - colours(painter)["two"]).max() <= 6


def test_all_takes_follow_one_another(told):
    assert len(film_of(exported(told, "mp4", width=64, all_takes=True))[1]) == 12 + 12 + 30 + 72


def test_a_scene_without_a_picture_is_an_empty_panel_of_its_length(tmp_path):
    story = write_story(tmp_path, FILM)
    render_fake(story, FakePainter(failing=("two",)))
    _, frames = film_of(exported(story, "mp4", width=320))
    assert len(frames) == 114
    assert np.abs(frames[20][200, 160].astype(int) - (232, 228, 220)).max() <= 6


def test_the_same_story_gives_the_same_film(told):
    first = exported(told, "mp4", width=64).read_bytes()
    assert exported(told, "mp4", width=64).read_bytes() == first


def test_without_ffmpeg_it_says_what_to_install(told, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    with pytest.raises(StoryboardError, match="imageio-ffmpeg"):
        exported(told, "mp4")
    assert list((told.parent / "renders" / told.stem / "exports").iterdir()) == []


def test_what_ffmpeg_refuses_is_told(told, monkeypatch):
    monkeypatch.setattr(animatic, "ENCODER", ("-c:v", "libnothing"))
    with pytest.raises(StoryboardError, match=r"ffmpeg could not write the film: .*libnothing|Error"):
        exported(told, "mp4", width=64)


def gif_of(path: Path) -> list[tuple[Image.Image, int]]:
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append((image.convert("RGB"), image.info["duration"]))
        assert image.info["loop"] == 0
    return found


def test_the_gif_honours_durations_and_loops(tmp_path):
    story = write_story(tmp_path, FILM)
    _, painter = render_fake(story)
    found = gif_of(exported(story, "gif"))
    assert [duration for _, duration in found] == [500, 1250, 3000]
    assert all(image.size == (480, 480) for image, _ in found)
    for (image, _), scene in zip(found, ("one", "two", "three"), strict=True):
        assert np.abs(middle(np.asarray(image)) - colours(painter)[scene]).max() <= 4


def test_a_scene_too_long_for_a_gif_is_named(tmp_path):
    story = write_story(tmp_path, FILM.replace("duration: 1.25", "duration: 656"))
    render_fake(story)
    with pytest.raises(StoryboardError, match=r"Scene 02 two lasts 656 s.*--to mp4"):
        exported(story, "gif")


def test_a_long_dialogue_is_shown_page_by_page(tmp_path):
    said = "第一句话很长很长很长很长。" * 12
    story = write_story(tmp_path, FILM.replace("duration: 1.25", f"duration: 9, dialogue: {said}"))
    render_fake(story)
    durations = [duration for _, duration in gif_of(exported(story, "gif", width=320))]
    assert len(durations) > 4
    assert sum(durations) == 500 + 9000 + 3000
    assert min(durations[1:-1]) >= 1500


# Captions.


def test_lines_fit_and_nothing_is_lost():
    text = "好无聊啊……今天什么都不会发生吧。 And then, suddenly, incomprehensibilities happened!"
    lines = list(wrapped(text, lambda line: line_width(line, 20) <= 200))
    assert all(line_width(line, 20) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line[0] in "，。！？…" for line in lines)


def test_a_word_longer_than_a_line_is_broken():
    lines = list(wrapped("a" * 100, lambda line: len(line) <= 30))
    assert [len(line) for line in lines] == [30, 30, 30, 10]


def test_two_lines_are_about_equally_long():
    ((first, second),) = caption_pages("好无聊啊……今天什么都不会发生吧", 900, 64, 4)
    assert abs(len(first) - len(second)) <= 3


@pytest.mark.parametrize("text", ["LILY: You came! TOM: I always come.", "I was thinking of nothing whatsoever, dear"])
def test_no_single_word_stands_on_the_second_line(text):
    ((first, second),) = caption_pages(text, 384, 24, 3)
    assert f"{first} {second}" == text and len(second.split()) > 1


def test_what_there_is_no_time_for_ends_in_dots():
    pages = caption_pages("这是一句很长的话。" * 10_000, 400, 20, 3)
    assert len(pages) == 2 and all(len(page) <= LINES for page in pages)
    assert pages[-1][-1].endswith("…")


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "\u202e", "\u200b"])
def test_nothing_said_is_no_caption(text):
    assert caption_pages(text, 400, 20, 3) == [[]]


# The timeline.

ORDER = ("note", "caption", "marker")


def timeline_of(path: Path) -> ElementTree.Element:
    content = path.read_bytes()
    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n')
    return ElementTree.fromstring(content)


def seconds(text: str) -> Fraction:
    assert text.endswith("s")
    return Fraction(text[:-1])


def test_the_timeline_holds_what_the_format_demands(told):
    root = timeline_of(exported(told, "fcpxml"))
    assert (root.tag, root.get("version")) == ("fcpxml", "1.10")
    assert [child.tag for child in root] == ["resources", "library"]
    known = {resource.get("id"): resource for resource in root.find("resources")}
    assert len(known) == len(root.find("resources")) and all(known)
    sequence = root.find("library/event/project/sequence")
    assert known[sequence.get("format")].get("frameDuration") == "100/2400s"
    for asset in root.iter("asset"):
        assert known[asset.get("format")].tag == "format"
        assert asset.get("hasVideo") == "1" and asset.get("duration") == "0s"
        (media,) = asset
        assert Path(unquote(urlsplit(media.get("src")).path)).is_file()
    for clip in sequence.find("spine"):
        assert known[clip.get("ref")].tag == "asset"
        assert [child.tag for child in clip] == [tag for tag in ORDER if clip.find(tag) is not None]
    styles = {style.get("id") for style in root.iter("text-style-def")}
    assert all(style.get("ref") in styles for style in root.iterfind(".//text/text-style"))


def test_clips_follow_one_another_on_whole_frames(told):
    sequence = timeline_of(exported(told, "fcpxml", fps=25)).find(".//sequence")
    clips = list(sequence.find("spine"))
    assert [clip.get("name") for clip in clips] == ["01 one", "02 two", "03 three"]
    now = Fraction(0)
    for clip in clips:
        assert seconds(clip.get("offset")) == now
        now += seconds(clip.get("duration"))
        assert (now * 25).denominator == 1
    assert seconds(sequence.get("duration")) == now == Fraction(13 + 31 + 75, 25)


def test_dialogue_and_notes_come_along_as_typed(told):
    root = timeline_of(exported(told, "fcpxml"))
    first = root.find(".//spine/video")
    assert root.find(".//project").get("name") == 'A <b>"film"</b> & ]]> more'
    assert first.find("caption/text/text-style").text == '好<无>聊 & "啊"'
    assert first.find("caption").get("duration") == first.get("duration") == "1/2s"
    assert first.find("marker").get("value") == '好<无>聊 & "啊"'
    assert first.find("note").text == '对白: 好<无>聊 & "啊"\n备注: 一行\n两行'


def test_addresses_of_pictures_are_percent_encoded(told):
    source = timeline_of(exported(told, "fcpxml")).find(".//media-rep").get("src")
    assert source.startswith("file:///") and "/a%20film%20%26%20more%2520/" in source


def test_a_scene_without_a_picture_is_a_gap(tmp_path):
    story = write_story(tmp_path, FILM)
    render_fake(story, FakePainter(failing=("two",)))
    gap = timeline_of(exported(story, "fcpxml")).find(".//spine/gap")
    assert gap.get("name") == "02 two (绘制失败)"
    assert (gap.get("offset"), gap.get("duration")) == ("1/2s", "5/4s")


def test_rates_that_editors_do_not_know_are_refused(told):
    with pytest.raises(StoryboardError, match="24, 25, 30, 50 or 60"):
        exported(told, "fcpxml", fps=23)


def test_times_are_written_exactly():
    assert [rational(frames, 24) for frames in (0, 12, 24, 25, 96)] == ["0s", "1/2s", "1s", "25/24s", "4s"]


def test_ffmpeg_reads_the_animatic_to_its_end(told):
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    path = exported(told, "mp4", width=64)
    command = [ffmpeg, "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
    content = path.read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")  # plays while it still loads

"""Drafts: what is painted quickly for a first look, what stands for what, and what becomes of decisions."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from renderer.clean import find_leftovers
from renderer.export import export_story
from renderer.inspection import scene_yaml
from renderer.kolors.card import WHOLE, Draft
from renderer.line import rebuild, verify_story
from renderer.looking.layout import tried
from renderer.manifest import read_manifest
from renderer.paint import open_run
from renderer.plan import plan_story
from renderer.planning.drafts import draft_of
from renderer.review import revise
from renderer.reviewing.decisions import Decision, keep_decisions
from renderer.timing import CACHED, work
from tests.fakes import FakePainter, make_take
from tests.pages import parse, select, words
from tests.stories import MINI, STORY, render_fake, write_story
from tests.test_cli import run

__all__ = ["run"]

QUICK = Draft(sampler="dpm++2m", steps=12, guidance_interval=(0.0, 0.7), cache_interval=2)


@pytest.fixture
def drafted(tmp_path):
    """A story of four takes of which there are drafts."""
    story = write_story(tmp_path)
    render_fake(story, draft=True)
    return story


def folder_of(story):
    return story.parent / "renders" / story.stem


def manifest_of(story):
    return read_manifest(folder_of(story))


def planned(story, **options):
    return plan_story(story, out=folder_of(story), **options)


def reasons(plan):
    return [each.reason for each in plan.takes]


def shown(story):
    """For each take in story order: whether its picture is a draft, None where it has none."""
    manifest = manifest_of(story)
    pictures = (manifest.picture(take.key) for scene in manifest.scenes for take in scene.takes)
    return [picture and picture.draft for picture in pictures]


def page_of(story):
    return parse((folder_of(story) / "index.html").read_text(encoding="utf-8"))


# What a draft is.


def test_a_draft_has_the_card_s_settings_and_all_else_of_its_take():
    take = make_take(seed=7, strict=True)
    draft = draft_of(take, QUICK)
    changes = {"sampler": "dpm++2m", "steps": 12, "guidance_interval": [0.0, 0.7], "cache_interval": 2, "draft": True}
    assert draft.record == take.record | changes
    assert draft.key == "b3539336ecb5b32b0ee6bf97cd15b039309a6d12626430ac0c3ec98870c22975"


@pytest.mark.parametrize(
    ("authored", "drafted"),
    [
        ({"steps": 8}, {"steps": 8, "sampler": "ddim", "cache_interval": 2}),
        ({"steps": 12, "sampler": "euler"}, {"steps": 12, "sampler": "euler"}),
        ({"steps": 13, "sampler": "euler"}, {"steps": 12, "sampler": "dpm++2m"}),
        ({"steps": 30, "sampler": "lcm"}, {"steps": 12, "sampler": "lcm", "cache_interval": 2}),
        ({"steps": 6, "sampler": "lcm"}, {"steps": 6, "sampler": "lcm", "cache_interval": 1}),
        ({"guidance_interval": (0.2, 0.9)}, {"guidance_interval": (0.2, 0.7)}),
        ({"guidance_interval": (0.8, 0.9)}, {"guidance_interval": (0.8, 0.9)}),
        ({"guidance": 1.0}, {"guidance_interval": WHOLE, "steps": 12}),
        ({"cache_interval": 4}, {"cache_interval": 4}),
    ],
)
def test_what_the_author_made_quicker_stays(authored, drafted):
    take = make_take(**authored)
    draft = draft_of(take, QUICK)
    assert draft.draft
    assert {name: getattr(draft, name) for name in drafted} == drafted
    assert work(draft) < work(take)


@pytest.mark.parametrize(
    "authored",
    [
        {"steps": 4, "sampler": "lcm", "guidance": 1.0},
        {"steps": 12, "guidance_interval": (0.0, 0.7), "cache_interval": 2},
    ],
)
def test_a_take_that_would_not_be_quicker_has_no_draft(authored):
    take = make_take(**authored)
    assert draft_of(take, QUICK) is take


def test_work_counts_guided_steps_twice_and_cached_ones_in_part():
    megapixels = 64 * 64 / 1e6
    assert work(make_take()) == pytest.approx(50 * megapixels)
    assert work(make_take(guidance=1.0, guidance_interval=(0.2, 0.8))) == pytest.approx(25 * megapixels)
    assert work(make_take(steps=10, guidance_interval=(0.2, 0.8))) == pytest.approx(16 * megapixels)
    assert work(make_take(steps=10, cache_interval=3)) == pytest.approx(2 * (4 + 6 * CACHED) * megapixels)


# What is painted.


def test_drafts_are_painted_once_and_only_of_takes_without_a_picture(tmp_path):
    story = write_story(tmp_path)
    render_fake(story, scenes=("park",))
    _, painter = render_fake(story, draft=True)
    assert [(take.scene, take.seed, take.draft) for take in painter.asked] == [
        ("sofa", 0, True),
        ("sofa", 1, True),
        ("sea", 4, True),
    ]
    assert {(take.sampler, take.steps) for take in painter.asked} == {(MINI.draft.sampler, MINI.draft.steps)}
    assert shown(story) == [True, True, False, True]
    assert render_fake(story, draft=True)[1].asked == []


def test_a_render_paints_in_full_what_is_only_a_draft_so_far(drafted):
    assert reasons(planned(drafted)) == ["only a draft so far"] * 4
    assert reasons(planned(drafted, draft=True)) == [""] * 4
    _, painter = render_fake(drafted)
    assert [take.draft for take in painter.asked] == [False] * 4
    assert reasons(planned(drafted)) == [""] * 4
    assert shown(drafted) == [False] * 4


def test_what_was_edited_since_is_named_and_not_the_draft(drafted):
    drafted.write_text(STORY.replace("negative: 人", "negative: 狗"), encoding="utf-8")
    assert reasons(planned(drafted)) == ["only a draft so far"] * 3 + ["negative edited"]
    assert reasons(planned(drafted, draft=True)) == ["", "", "", "negative edited"]


def test_a_draft_that_is_gone_is_painted_again_as_one(drafted):
    for picture in (folder_of(drafted) / "pictures").glob("sea-*.png"):
        picture.unlink()
    assert reasons(planned(drafted, draft=True)) == ["", "", "", "picture is gone"]
    assert reasons(planned(drafted)) == ["only a draft so far"] * 3 + ["not painted yet"]


def test_drafts_are_found_again_without_a_manifest(drafted):
    (folder_of(drafted) / "manifest.json").unlink()
    assert reasons(planned(drafted)) == ["only a draft so far"] * 4
    assert reasons(planned(drafted, draft=True)) == [""] * 4


def test_a_draft_that_failed_is_said_as_long_as_nothing_stands_for_its_take(tmp_path):
    story = write_story(tmp_path)
    render_fake(story, FakePainter(failing=("sea",)), draft=True)
    assert reasons(planned(story, draft=True))[3] == "failed last time: the fake was told to fail"
    rebuild(story, out=folder_of(story))
    (why,) = select(page_of(story), ".reason bdi")
    assert words(why) == "the fake was told to fail"
    render_fake(story)
    assert select(page_of(story), ".reason") == []


def test_a_draft_takes_less_of_the_time_that_is_planned(drafted):
    drafted.write_text(STORY.replace("seed: 4", "seeds: [4, 5]"), encoding="utf-8")
    quick, full = planned(drafted, draft=True), planned(drafted)
    one = [each for each in full.to_paint if each.take.seed == 5]
    assert quick.seconds(quick.to_paint) < full.seconds(one)


# What stands for what.


def test_the_sheet_goes_on_showing_drafts_and_marks_them(drafted):
    rebuild(drafted, out=folder_of(drafted))
    page = page_of(drafted)
    figures = select(page, "figure.take")
    keys = [take.key for scene in manifest_of(drafted).scenes for take in scene.takes]
    assert [figure.get("data-take") for figure in figures] == keys == [each.take.key for each in planned(drafted).takes]
    assert [words(mark) for mark in select(page, ".marks strong.draft")] == ["草稿"] * 4
    assert len(select(page, "figure.take a.frame img")) == 4
    assert [words(each) for each in select(page, ".drafts dd")] == ["4"]
    assert "storyboard render" in words(select(page, ".get-back")[0])
    told = select(page, "#story")[0].text
    assert told.count('"draft":true') == 4
    assert f'["steps","{MINI.draft.steps}"]' in told and '["steps","25"]' not in told


def test_an_interrupted_render_leaves_whole_pictures_beside_drafts(drafted):
    render_fake(drafted, FakePainter(interrupt_after=2))
    assert shown(drafted) == [False, False, True, True]
    page = page_of(drafted)
    assert [len(select(figure, ".draft")) for figure in select(page, "figure.take")] == [0, 0, 1, 1]
    told = select(page, "#story")[0].text
    assert '["steps","25"]' in told and f'["steps","{MINI.draft.steps}"]' in told


def test_the_small_picture_of_a_draft_is_not_kept_for_the_whole_one(drafted):
    before = {image.get("src") for image in select(page_of(drafted), "figure.take img")}
    render_fake(drafted)
    after = {image.get("src") for image in select(page_of(drafted), "figure.take img")}
    assert not before & after


def test_grid_and_picks_show_the_draft_until_there_is_more(drafted):
    drafted.write_text(STORY.replace("seeds: [0, 1]", "seeds: [0, 1]\n    pick: 1"), encoding="utf-8")
    rebuild(drafted, out=folder_of(drafted))
    manifest, pick = manifest_of(drafted), folder_of(drafted) / "picks/01-sofa.png"
    assert tried(manifest, manifest.scenes[0]) == "草稿"
    assert Image.open(pick).text["parameters"].count("Draft: true") == 1
    grid = (folder_of(drafted) / "grid.png").read_bytes()
    render_fake(drafted)
    assert tried(manifest_of(drafted), manifest.scenes[0]) == ""
    assert "Draft" not in Image.open(pick).text["parameters"]
    assert (folder_of(drafted) / "grid.png").read_bytes() != grid


def test_decisions_on_a_draft_hold_for_its_take(drafted):
    folder = folder_of(drafted)
    key = re.findall(r'data-take="([0-9a-f]{64})" data-seed="1"', (folder / "index.html").read_text())[0]
    pick = Decision(scene="sofa", seed=1, flag="pick", stars=4, at="2026-05-04T03:02:01.123Z")
    keep_decisions(folder, {key: pick}, title="Starlight", source="../../tale.yaml")
    for _ in range(2):  # first of the draft, then of the take painted in full
        revision = revise(folder / "review.json", drafted, out=folder)
        assert revision.applied == ("sofa: pick 1.",) and revision.left_out == ()
        assert b"pick: 1" in revision.after
        assert key in {figure.get("data-take") for figure in select(page_of(drafted), "figure.take")}
        render_fake(drafted)


def test_painting_in_full_is_no_change_of_the_story(drafted):
    drafted.write_text(STORY.replace("prompt: 海边", "prompt: 山上"), encoding="utf-8")
    render_fake(drafted, draft=True)
    told = [words(each) for each in select(page_of(drafted), ".changed bdi")]
    before = [each for each in re.findall(r'"before":\{[^}]*"picture":"([^"]+)"', page_text(drafted))]
    assert told == ["修改了提示词"]
    render_fake(drafted, limit=1)
    render_fake(drafted)
    assert [words(each) for each in select(page_of(drafted), ".changed bdi")] == told
    assert re.findall(r'"before":\{[^}]*"picture":"([^"]+)"', page_text(drafted)) == before
    assert len(before) == 1 and (folder_of(drafted) / before[0]).is_file()
    assert len(list((folder_of(drafted) / "history").iterdir())) == 2


def page_text(story):
    return (folder_of(story) / "index.html").read_text(encoding="utf-8")


def test_a_draft_is_superseded_by_its_take_s_own_picture(drafted):
    def leftovers():
        with open_run(planned(drafted), lambda: planned(drafted)) as held:
            return [path for path in find_leftovers(held).files if path.parts[0] == "pictures"]

    assert leftovers() == []
    render_fake(drafted, limit=1)
    (path,) = leftovers()
    assert path.name.startswith("sofa-0-")
    render_fake(drafted)
    assert len(leftovers()) == 4


def test_what_is_there_is_verified_drafts_too(drafted):
    render_fake(drafted, scenes=("park",))
    found = list(verify_story(drafted, out=folder_of(drafted), painter=FakePainter()))
    assert [(each.take.scene, each.take.draft, each.verdict) for each in found] == [
        ("sofa", True, "equal"),
        ("sofa", True, "equal"),
        ("park", False, "equal"),
        ("sea", True, "equal"),
    ]


@pytest.mark.parametrize("to", ["csv", "single-html", "zip"])
def test_drafts_are_exported_and_counted(drafted, to):
    render_fake(drafted, scenes=("park",))
    small = set((folder_of(drafted) / "thumbs").iterdir())
    exported = export_story(drafted, to, out=folder_of(drafted))
    assert (exported.absent, exported.drafts) == ((), 2)
    assert set((folder_of(drafted) / "thumbs").iterdir()) == small


def test_inspect_says_that_a_picture_was_a_draft(drafted):
    (picture,) = (folder_of(drafted) / "pictures").glob("sea-*.png")
    text = scene_yaml(picture)
    assert text.startswith("# Painted as a draft.")
    assert f"steps: {MINI.draft.steps}\n" in text and f"sampler: {MINI.draft.sampler}\n" in text


# What the commands say.


def test_the_commands_speak_of_drafts(run, tmp_path):
    story = write_story(tmp_path)
    assert f"4 of 4 takes to paint with {MINI.edition} as drafts; " in run("plan", story, "--draft")[1]
    code, out, _ = run("render", story, "--draft", painter=FakePainter())
    assert code == 0
    assert "4 drafts painted.\n" in out
    assert f"To paint drafts in full: storyboard render {story}\n" in out
    assert "only a draft so far" in run("plan", story)[1]
    code, out, err = run("export", story, "--to", "csv")
    assert code == 0
    assert err == f"Only drafts in 3 panels. To paint in full: storyboard render {story}\n"
    assert "4 takes painted.\n" in run("render", story, painter=FakePainter())[1]


def test_an_interrupted_draft_goes_on_as_one(run, tmp_path):
    story = write_story(tmp_path)
    code, _, err = run("render", story, "--draft", painter=FakePainter(interrupt_after=1))
    assert code == 130
    assert "1 draft painted and kept, 3 left." in err
    assert err.rstrip().endswith("--draft")


def test_takes_without_a_draft_are_counted_as_such(run, tmp_path):
    lcm = "seed: 3\n    sampler: lcm\n    steps: 4\n    guidance: 1"
    story = write_story(tmp_path, STORY.replace("seed: 3", lcm))
    assert f"4 of 4 takes to paint with {MINI.edition}, 3 drafts among them; " in run("plan", story, "--draft")[1]
    assert "3 drafts and 1 take painted.\n" in run("render", story, "--draft", painter=FakePainter())[1]
    assert [each.reason for each in planned(story).takes] == ["only a draft so far"] * 2 + ["", "only a draft so far"]


def test_of_drafts_only_the_picks_are_painted_in_full(run, tmp_path):
    story = write_story(tmp_path, STORY.replace("seeds: [0, 1]", "seeds: [0, 1]\n    pick: 1"))
    render_fake(story, draft=True)
    assert "1 of 4 takes to paint" in run("plan", story, "--picks")[1]
    painter = FakePainter()
    code, out, _ = run("render", story, "--picks", painter=painter)
    assert code == 0 and "1 take painted, 3 left for later.\n" in out
    assert shown(story) == [True, False, True, True]
    assert "Nothing to paint" in run("render", story, "--picks", painter=painter)[1]


def test_picks_of_a_story_without_any_are_an_error_that_says_how_to_choose(run, tmp_path):
    story = write_story(tmp_path)
    code, _, err = run("render", story, "--picks", painter=FakePainter())
    assert code == 2 and f"no scene has a pick yet. Choose with `storyboard review {story}`" in " ".join(err.split())

"""What is planned, and the words that say why."""

from __future__ import annotations

import pytest

from renderer.plan import make_plan
from renderer.storyboard import load_storyboard
from tests.stories import MINI, STORY, render_fake, write_story

SEEN = ", ".join(f"{width}x{height}" for width, height in MINI.learned_sizes)


def replan(folder, text, **options):
    story = write_story(folder, text)
    return make_plan(load_storyboard(story), out=folder / "renders" / "tale", **options)


def reasons(plan):
    return {(each.take.scene, each.take.seed): each.reason for each in plan.takes if each.reason}


@pytest.fixture
def rendered(tmp_path):
    render_fake(write_story(tmp_path))
    return tmp_path


def test_everything_is_painted_the_first_time(tmp_path):
    plan = replan(tmp_path, STORY)
    assert [(each.take.scene, each.take.seed) for each in plan.takes] == [
        ("sofa", 0),
        ("sofa", 1),
        ("park", 3),
        ("sea", 4),
    ]
    assert set(reasons(plan).values()) == {"not painted yet"}


def test_prompts_and_settings_are_resolved(tmp_path):
    take = replan(tmp_path, STORY).takes[0].take
    assert take.prompt == "动漫风格，紫色短发小女孩，坐在沙发上"
    assert take.negative == "模糊"
    assert (take.width, take.height, take.model) == (64, 64, MINI.edition)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Starlight", "title: Another"),
        ("language: zh", "language: en"),
        ("- id: park", "- id: garden"),
        ("size: 64x64", "size: 64x64\ngrid: {columns: 4, captions: false}"),
        ("scenes:", "scenes:\n  - {id: sofa2, prompt: '{mei}，坐在沙发上', seed: 0}"),
        ("{mei}，坐在沙发上", "紫色短发小女孩，坐在沙发上"),
        ("prompt: 海边", "prompt: 海边\n    note: later\n    shot: wide\n    pick: 4"),
    ],
)
def test_what_changes_no_picture_repaints_nothing(rendered, old, new):
    assert reasons(replan(rendered, STORY.replace(old, new))) == {}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("negative: 人", "negative: 狗", {("sea", 4): "negative edited"}),
        ("prompt: 海边", "prompt: 山上", {("sea", 4): "prompt edited"}),
        ("seed: 3", "seed: 5", {("park", 5): "new seed"}),
        ("seed: 3", "seed: 3\n    steps: 7", {("park", 3): "steps 25 → 7"}),
        ("seed: 3", "seed: 3\n    guidance: 2", {("park", 3): "guidance 4 → 2"}),
        ("seed: 3", "seed: 3\n    sampler: euler", {("park", 3): "sampler ddim → euler"}),
        ("seed: 3", "seed: 3\n    cache_interval: 3", {("park", 3): "cache interval default → 3"}),
        (
            "seed: 3",
            "seed: 3\n    guidance_interval: [0.2, 1]",
            {("park", 3): "guidance interval default → 0.2–1"},
        ),
        ("seed: 3", "seed: 3\n    size: 96x64", {("park", 3): "size 64x64 → 96x64"}),
        ("scenes:", "scenes:\n  - {id: new, prompt: 雪}", {("new", 0): "new scene"}),
        (
            "mei: 紫色短发小女孩",
            "mei: 黑色短发小女孩",
            {(scene, seed): "character mei edited" for scene, seed in (("sofa", 0), ("sofa", 1), ("park", 3))},
        ),
    ],
)
def test_the_reason_says_what_was_edited(rendered, old, new, expected):
    assert reasons(replan(rendered, STORY.replace(old, new))) == expected


def test_an_edited_style_is_named_for_every_take(rendered):
    assert set(reasons(replan(rendered, STORY.replace("style: 动漫风格", "style: 水彩"))).values()) == {"style edited"}


def test_what_is_the_default_written_out_repaints_nothing(rendered):
    written = STORY + "guidance_interval: [0, 1.0]\ncache_interval: 1\n"
    assert reasons(replan(rendered, written)) == {}


def test_intervals_in_vain_are_warned_about_where_they_stand(tmp_path):
    text = STORY.replace("size: 64x64\n", "") + "guidance_interval: [0.2, 1]\ncache_interval: 2\n"
    assert replan(tmp_path, text).warnings == ()
    one, other = replan(tmp_path, text + "guidance: 1\nsampler: lcm\nsteps: 8\n").warnings
    assert ":18:20: guidance_interval: with guidance 1 there is none to apply." in str(one)
    assert ":19:17: cache_interval: 8 steps of lcm are too different" in str(other)
    scene = "seed: 3\n    sampler: lcm\n    steps: 4\n    cache_interval: 2"
    (warning,) = replan(tmp_path, STORY.replace("size: 64x64\n", "").replace("seed: 3", scene)).warnings
    assert ":16:21: scenes[1].cache_interval: 4 steps of lcm" in str(warning)


def test_strictness_and_precision_are_asked_for_and_named(rendered):
    plan = replan(rendered, STORY + "reproducible: strict\nprecision: fp32\n")
    assert set(reasons(plan).values()) == {"precision default → fp32, reproducible standard → strict"}


def test_moving_the_project_repaints_nothing(rendered, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "project"
    rendered.rename(elsewhere)
    assert reasons(replan(elsewhere, STORY)) == {}


def test_a_picture_that_is_gone_or_changed_is_named(rendered):
    pictures = sorted((rendered / "renders/tale/pictures").iterdir())
    pictures[0].unlink()
    pictures[1].write_bytes(b"scribble")
    assert sorted(reasons(replan(rendered, STORY)).values()) == ["picture is gone", "picture was changed or damaged"]


def test_a_lost_manifest_costs_nothing(rendered):
    (rendered / "renders/tale/manifest.json").write_text("{broken")
    assert reasons(replan(rendered, STORY)) == {}


def test_two_scenes_that_ask_for_the_same_are_painted_once(tmp_path):
    plan = replan(tmp_path, "scenes:\n  - {id: a, prompt: x}\n  - {id: b, prompt: x}\n")
    assert len(plan.takes) == 2
    assert len(plan.to_paint) == 1


def test_more_seeds_last_until_the_scene_s_seeds_are_edited(tmp_path):
    story = write_story(tmp_path)
    _, painter = render_fake(story, more=2, scenes=("park",))
    assert [take.seed for take in painter.asked if take.scene == "park"] == [3, 4, 5]
    again = replan(tmp_path, STORY)
    assert [each.take.seed for each in again.takes if each.take.scene == "park"] == [3, 4, 5]
    edited = replan(tmp_path, STORY.replace("seed: 3", "seeds: [3, 5]"))
    assert [each.take.seed for each in edited.takes if each.take.scene == "park"] == [3, 5]
    assert ("park", 5) not in reasons(edited)


def test_time_and_disk_are_learned_from_past_takes(rendered):
    plan = replan(rendered, STORY.replace("seed: 4", "seeds: [4, 5]"))
    assert plan.seconds(plan.to_paint) == pytest.approx(0.5)
    assert 0 < plan.bytes(plan.to_paint) < 20_000


def test_a_long_prompt_is_warned_about_with_where_it_is_cut(tmp_path):
    plan = replan(tmp_path, STORY.replace("prompt: 海边", "prompt: " + "海边的女孩，" * 60))
    (warning,) = [str(problem) for problem in plan.warnings if "size" not in problem.where]
    assert "cut before" in warning
    assert ":16:13:" in warning


def test_a_size_that_the_model_never_saw_is_warned_about_once(tmp_path):
    (warning,) = replan(tmp_path, STORY).warnings
    assert f":3:7: size: kolors-mini has seen pictures of {SEEN} only; at 64x64 " in str(warning)
    assert replan(tmp_path, STORY.replace("size: 64x64\n", "")).warnings == ()
    (warning,) = replan(
        tmp_path, STORY.replace("size: 64x64\n", "").replace("seed: 3", "seed: 3\n    size: 224x96")
    ).warnings
    assert ":14:11: scenes[1].size: " in str(warning)

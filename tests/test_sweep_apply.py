"""Picks of a sweep, from the sheet back into the author's file: the right mapping, and every comment kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
from ruamel.yaml import YAML

from renderer.reading.yaml_file import Source
from renderer.review import revise, write_revision
from renderer.reviewing.decisions import Decision, keep_decisions, read_review, review_text
from renderer.reviewing.edits import Wish, edit_story
from renderer.storyboard import load_storyboard
from renderer.take_name import TakeName
from tests.odd_stories import OddWriter
from tests.stories import render_fake, write_story
from tests.sweeps import SWEEP, planned, write_sweep
from tests.test_cli import run

__all__ = ["run"]

NOTE = re.compile(r"# note_\d+")
FILE = Path("tale.yaml")
CHOSEN = TakeName(2, 0.5, 200)


@pytest.fixture
def tale(tmp_path, monkeypatch):
    """A rendered sweep in the working folder."""
    monkeypatch.chdir(tmp_path)
    story = write_sweep(tmp_path)
    render_fake(story)
    return story


def review_of(story: Path, *decisions: tuple[TakeName, str]) -> Path:
    """A review with decisions about takes of the scene `sofa`, each a second after the one before."""
    keys = {each.take.name: each.take.key for each in planned(story).takes if each.take.scene == "sofa"}
    coming = {
        keys.get(name, f"{number:064x}"): Decision(
            scene="sofa", **name.parts, flag=flag, at=f"2026-05-04T03:02:{number:02d}Z"
        )
        for number, (name, flag) in enumerate(decisions)
    }
    keep_decisions(story.parent / "renders/tale", coming, source="tale.yaml")
    return story.parent / "renders/tale/review.json"


def edited(text: str, pick: TakeName | None, scene: int = 0, seeds: tuple[int, ...] = (0,)) -> str:
    result = edit_story(Source(FILE, text), [Wish(scene, pick, seeds)])
    assert not result.refused, [str(problem) for problem in result.refused.values()]
    return result.text


def test_a_pick_is_written_as_a_mapping_and_read_again(tale, run):
    review = review_of(tale, (TakeName(1, 0.0, 100), "reject"), (CHOSEN, "pick"))
    code, out, _ = run("apply", str(review), "--yes")
    assert code == 0 and "sofa: pick {seed: 2, strength: 0.5, step: 200}." in out
    written = "    pick: {seed: 2, strength: 0.5, step: 200}\n"
    assert tale.read_text(encoding="utf-8") == SWEEP.replace("# two tries\n", f"# two tries\n{written}")
    assert load_storyboard(tale).scenes[0].pick == CHOSEN

    result, painter = render_fake(tale)
    assert painter.asked == [] and (result.plan.folder / "picks/01-sofa.png").is_file()


def test_another_pick_changes_what_differs(tale):
    render_fake(write_story(tale.parent, SWEEP.replace("# two tries", "\n    pick: {seed: 1, strength: 1, step: 200}")))
    revision = revise(review_of(tale, (CHOSEN, "pick")))
    assert revision.applied == (
        "sofa: pick {seed: 2, strength: 0.5, step: 200} instead of {seed: 1, strength: 1, step: 200}.",
    )
    write_revision(revision)
    assert "pick: {seed: 2, strength: 0.5, step: 200}" in tale.read_text(encoding="utf-8")


def test_un_picking_takes_the_pick_out(tale):
    render_fake(write_story(tale.parent, SWEEP.replace("# two tries", "\n    pick: {seed: 1, strength: 1, step: 200}")))
    write_revision(revise(review_of(tale, (TakeName(1, 1.0, 200), "none"))))
    assert "pick" not in tale.read_text(encoding="utf-8")


def test_a_seed_is_removed_only_when_all_its_takes_were_rejected(tale):
    rejected = [(TakeName(1, strength, step), "reject") for strength in (0.0, 0.5, 1.0) for step in (100, 200)]
    review = review_of(tale, *rejected[:-1])
    assert revise(review, remove_rejected=True).applied == ()
    revision = revise(review_of(tale, *rejected), remove_rejected=True)
    assert revision.applied == ("sofa: seed 1 removed, rejected.",)
    assert b"seeds: [2]" in revision.after


def test_a_pick_that_the_sweep_no_longer_has_is_told(tale):
    review = review_of(tale, (CHOSEN, "pick"))
    render_fake(write_story(tale.parent, SWEEP.replace("[0, 0.5, 1]", "[0, 1]")))
    assert revise(review).left_out == (
        "sofa: seed 2, strength 0.5, step 200 was picked, but the scene has no such take any more.",
    )


def test_a_take_that_was_edited_since_is_to_be_looked_at_again(tale):
    review = review_of(tale, (CHOSEN, "pick"))
    render_fake(write_story(tale.parent, SWEEP.replace("沙发", "椅子")))
    (told,) = revise(review).left_out
    assert told.startswith("sofa: seed 2, strength 0.5, step 200 was picked, but it would come out otherwise now")


def test_reviews_without_a_sweep_are_what_they_were(tmp_path):
    decision = Decision(scene="a", seed=1, flag="pick", at="2026-05-04T03:00:00Z")
    review = keep_decisions(tmp_path, {"0" * 64: decision})
    assert "strength" not in review_text(review) and "step" not in review_text(review)
    swept = decision.model_copy(update={"strength": 0.5, "step": 200, "at": "2026-05-04T03:00:01Z"})
    keep_decisions(tmp_path, {"0" * 64: swept})
    assert read_review(tmp_path / "review.json").decisions["0" * 64] == swept
    assert json.loads((tmp_path / "review.json").read_text())["decisions"]["0" * 64]["strength"] == 0.5


@pytest.mark.parametrize(
    ("before", "pick", "after"),
    [
        ("pick: {seed: 0, strength: 1, step: 100}  # c", CHOSEN, "pick: {seed: 2, strength: 0.5, step: 200}  # c"),
        ("pick: {seed: 2, step: 100, strength: 0.5}", CHOSEN, "pick: {seed: 2, step: 200, strength: 0.5}"),
        ("pick: {strength: .5, step: 1, seed: 2}", CHOSEN, "pick: {strength: .5, step: 200, seed: 2}"),
        ("pick: 0  # c", CHOSEN, "pick: {seed: 2, strength: 0.5, step: 200}  # c"),
        ("pick: {seed: 0}", TakeName(0, 1.0), "pick: {seed: 0, strength: 1}"),
        ("pick: {seed: 0, strength: 1}", CHOSEN, "pick: {seed: 2, step: 200, strength: 0.5}"),
        ("pick: {seed: 0, strength: 1, step: 3}", TakeName(1), "pick: {seed: 1}"),
        ("pick: {step: 3, strength: 1, seed: 0}", TakeName(1, None, 4), "pick: {step: 4, seed: 1}"),
        ("pick:", CHOSEN, "pick: {seed: 2, strength: 0.5, step: 200}"),
        ("pick: {seed: 0, strength: 1}", None, ""),
        ("", TakeName(3, 1e-05), "pick: {seed: 3, strength: 1e-05}"),
    ],
)
def test_a_pick_keeps_the_form_in_which_it_is_written(before, pick, after):
    text = f"scenes:\n- prompt: x\n  {before}\n  note: y\n" if before else "scenes:\n- prompt: x\n  note: y\n"
    expected = f"scenes:\n- prompt: x\n  {after}\n  note: y\n" if after else "scenes:\n- prompt: x\n  note: y\n"
    assert edited(text, pick) == expected


def test_comments_in_a_pick_on_several_lines_stay():
    text = """\
scenes:
- prompt: x
  pick:             # the one
    # by eye
    seed: 0         # first
    strength: 1.0   # strong
    step: 100       # early
  note: y
"""
    expected = text.replace("seed: 0 ", "seed: 2 ").replace(": 1.0 ", ": 0.5 ").replace("100", "200")
    assert edited(text, CHOSEN) == expected
    assert edited(text, TakeName(2, 0.5)) == expected.replace("step: 200       # early", "# early").replace(
        "step: 100       # early", "# early"
    )


@pytest.mark.parametrize("number", range(60))
def test_in_a_random_story_only_the_picks_differ(number):
    odd = OddWriter(number).story()
    text, random = odd.text.removeprefix("\ufeff"), Random(number)
    wishes = [
        Wish(index, TakeName(random.choice(seeds), random.choice((0.0, 0.25, -1.5)), 100), seeds)
        for index, (_, seeds, _) in enumerate(odd.scenes)
        if random.random() < 0.7
    ]
    for each in (wishes, [Wish(wish.scene, TakeName(wish.seeds[0], 1.0, 200), wish.seeds) for wish in wishes]):
        before = text
        result = edit_story(Source(FILE, before), each)
        assert not result.refused
        text = result.text
        was, now = (YAML(typ="safe", pure=True).load(one)["scenes"] for one in (before, text))
        for wish in each:
            assert now[wish.scene].pop("pick") == wish.pick.parts
            was[wish.scene].pop("pick", None)
        assert was == now
    assert NOTE.findall(text) == NOTE.findall(odd.text)

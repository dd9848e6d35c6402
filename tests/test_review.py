"""review.json: read with care, merged by time, kept under a lock."""

from __future__ import annotations

import json
import threading

import pytest

from renderer.errors import ReviewError
from renderer.reviewing.decisions import (
    Decision,
    Review,
    keep_decisions,
    merge,
    read_decisions,
    read_review,
    review_text,
)

A, B, C = "a" * 64, "b" * 64, "c" * 64


def decision(flag="pick", at=1, scene="sofa", **more) -> Decision:
    return Decision(scene=scene, seed=0, flag=flag, at=f"2026-05-04T03:02:{at:02d}.123Z", **more)


def content(**changes) -> dict:
    entry = {"scene": "sofa", "seed": 4, "flag": "pick", "stars": 3, "note": "ja", "at": "2026-05-04T03:02:01.123Z"}
    review = {"format": 1, "kind": "storyboard-review", "story": "tale", "title": "星光", "source": "tale.yaml"}
    return review | {"decisions": {A: entry}} | changes


def written(folder, value) -> object:
    path = folder / "review.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_a_review_is_read(tmp_path):
    review = read_review(written(tmp_path, content()))
    assert (review.story, review.source) == ("tale", "tale.yaml")
    assert review.decisions[A].flag == "pick" and review.decisions[A].stars == 3


@pytest.mark.parametrize("change", [{}, {"at": ""}])
def test_a_decision_without_a_time_counts_until_there_is_one_with(tmp_path, change):
    entry = {"scene": "sofa", "seed": 4, "flag": "pick", **change}
    review = read_review(written(tmp_path, content(decisions={A: entry})))
    kept = review.decisions[A]
    assert (kept.flag, kept.moment < decision().moment) == ("pick", True)
    assert merge({}, {A: kept}) == {A: kept}
    for order in ({A: kept, B: decision(at=1)}, {B: decision(at=1), A: kept}):
        assert merge({}, order)[A].flag == "none"
    assert read_review(written(tmp_path, json.loads(review_text(review)))) == review


def test_one_saved_by_an_editor_with_a_byte_order_mark_is_read(tmp_path):
    assert read_review(written(tmp_path, "\ufeff" + json.dumps(content()))).story == "tale"


@pytest.mark.parametrize("text", ["title: x\nscenes: []\n", "[]", '{"format": 1}', "", "<html>", "[" * 100_000, "\x00"])
def test_what_is_not_a_review_is_told_apart(tmp_path, text):
    with pytest.raises(ReviewError, match="this is not a review"):
        read_review(written(tmp_path, text))


def test_a_picture_is_not_a_review(tmp_path):
    (tmp_path / "review.json").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ReviewError, match="this is not a review"):
        read_review(tmp_path / "review.json")


def test_a_missing_review_is_named(tmp_path):
    with pytest.raises(ReviewError, match=r"gone\.json: the review can't be read: No such file") as stop:
        read_review(tmp_path / "gone.json")
    assert "storyboard review STORY.yaml" in str(stop.value)


def test_a_newer_format_asks_for_an_update(tmp_path):
    with pytest.raises(ReviewError, match=r"newer version .* \(format 2, this one reads 1\)\. Update"):
        read_review(written(tmp_path, content(format=2, surprise=True)))


def test_a_torn_file_is_damaged_and_says_where(tmp_path):
    with pytest.raises(ReviewError, match=r"review\.json:1:\d+: the review is damaged: .* again"):
        read_review(written(tmp_path, json.dumps(content())[:-20]))


def test_unknown_keys_are_named(tmp_path):
    strange = content(mood="fine")
    strange["decisions"][A]["color"] = 1
    with pytest.raises(ReviewError, match=r'damaged: unknown keys "decisions\.aaaaaaaaaaaa…\.color", "mood"\.'):
        read_review(written(tmp_path, strange))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stars": 9}, "stars: Input should be less than or equal to 5"),
        ({"stars": True}, "stars: Input should be a valid integer"),
        ({"flag": "maybe"}, "flag: Input should be 'pick', 'reject' or 'none'"),
        ({"seed": -1}, "seed: Input should be greater"),
        ({"scene": "a\x1b[2Jb"}, "control character"),
        ({"at": "yesterday"}, "at: String should match"),
        ({"at": "2026-13-04T03:02:01Z"}, "month"),
    ],
)
def test_a_damaged_decision_says_what_is_wrong(tmp_path, change, words):
    damaged = content()
    damaged["decisions"][A] |= change
    with pytest.raises(ReviewError) as caught:
        read_review(written(tmp_path, damaged))
    assert words in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_key_that_is_none_is_damage():
    with pytest.raises(ReviewError, match="pattern"):
        read_decisions({"../../etc": content()["decisions"][A]})


def test_half_a_character_in_a_note_is_no_reason_to_lose_it(tmp_path):
    entry = content()["decisions"][A] | {"note": "x\ud83d"}
    kept = keep_decisions(tmp_path, read_decisions({A: entry}))
    assert kept.decisions[A].note == "x\ufffd"
    assert read_review(tmp_path / "review.json") == kept


def test_the_later_of_two_decisions_counts_and_of_equals_the_kept_one():
    early, late, same = decision(at=1), decision("reject", at=2), decision("none", at=1)
    assert merge({A: early}, {A: late}) == merge({A: late}, {A: early}) == {A: late}
    assert merge({A: early}, {A: same}) == {A: early}


def test_times_count_not_their_spelling():
    exact = decision("none").model_copy(update={"at": "2026-05-04T03:02:01.5Z"})
    round_ = decision("reject").model_copy(update={"at": "2026-05-04T03:02:01Z"})
    assert merge({A: round_}, {A: exact}) == {A: exact}


def test_the_latest_pick_of_a_scene_unpicks_the_others():
    merged = merge({A: decision(at=1, note="first")}, {B: decision(at=5), C: decision(at=2, scene="sea")})
    assert [merged[key].flag for key in (A, B, C)] == ["none", "pick", "pick"]
    assert merged[A].note == "first" and merged[A].at == merged[B].at
    # Another tab that still has the first as picked doesn't bring it back.
    assert merge(merged, {A: decision(at=1)}) == merged


def test_decisions_are_on_disk_and_add_up(tmp_path):
    keep_decisions(tmp_path, {A: decision()}, title="星光", source="../tale.yaml")
    keep_decisions(tmp_path, {B: decision("reject", scene="sea")})
    review = read_review(tmp_path / "review.json")
    assert (review.story, review.title, review.source) == (tmp_path.name, "星光", "../tale.yaml")
    assert set(review.decisions) == {A, B}
    assert "星光" in (tmp_path / "review.json").read_text(encoding="utf-8")


def test_a_file_that_is_as_it_should_be_is_not_written(tmp_path):
    keep_decisions(tmp_path, {A: decision()})
    before = (tmp_path / "review.json").stat().st_ino
    keep_decisions(tmp_path, {A: decision()})
    assert (tmp_path / "review.json").stat().st_ino == before


def test_a_damaged_review_is_not_written_over(tmp_path):
    written(tmp_path, "{ half")
    with pytest.raises(ReviewError):
        keep_decisions(tmp_path, {A: decision()})
    assert (tmp_path / "review.json").read_text() == "{ half"


def test_many_writers_lose_nothing(tmp_path):
    keys = [f"{number:064x}" for number in range(40)]
    threads = [
        threading.Thread(target=keep_decisions, args=(tmp_path, {key: decision("reject", at=1)})) for key in keys
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_review(tmp_path / "review.json").decisions) == set(keys)


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    keep_decisions(tmp_path, {A: decision()})

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("renderer.reviewing.decisions.write_atomically", full)
    with pytest.raises(ReviewError, match=r"No space left on device\. What was there before is safe"):
        keep_decisions(tmp_path, {B: decision()})
    assert set(read_review(tmp_path / "review.json").decisions) == {A}


def test_reviews_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Review(story="x").story = "y"

"""`storyboard apply`: what was decided on the sheet, back in the author's file."""

from __future__ import annotations

import json
import os
import stat

import numpy as np
import pytest
from PIL import Image

from renderer.errors import AuthoringError, ReviewError
from renderer.manifest import read_manifest
from renderer.review import revise, write_revision
from renderer.reviewing.decisions import Decision, keep_decisions
from tests.fakes import FakePainter
from tests.stories import render_fake, write_story
from tests.test_cli import run

__all__ = ["run"]

STORY = """\
title: Starlight      # the working title
size: 64x64
scenes:

  # It begins at home.
  - id: sofa
    prompt: '坐在沙发上'
    seeds: [0, 1, 2]   # three tries
  - id: "park"
    prompt: 在公园
    seeds:
      - 3   # spring
      - 4
    pick: 4   # the tree

  - {id: sea, prompt: 海边, seed: 5}
# The end.
"""


@pytest.fixture
def tale(tmp_path, monkeypatch):
    """A rendered story in the working folder."""
    monkeypatch.chdir(tmp_path)
    story = write_story(tmp_path, STORY)
    render_fake(story)
    return story


def keys_of(story) -> dict[tuple[str, int], str]:
    manifest = read_manifest(story.parent / "renders" / story.stem)
    return {(scene.id, take.seed): take.key for scene in manifest.scenes for take in scene.takes}


def review_of(path, *decisions, name="renders/tale/review.json", **about):
    """A review with decisions such as `("sofa", 1, "pick")`, each a second after the one before."""
    keys = keys_of(path)
    entries = {
        keys.get((scene, seed), f"{number:064x}"): {
            "scene": scene,
            "seed": seed,
            "flag": flag,
            "stars": 0,
            "note": "",
            "at": f"2026-05-04T03:02:{number:02d}.000Z",
        }
        for number, (scene, seed, flag) in enumerate(decisions)
    }
    about = {"story": path.stem, "title": "", "source": path.name} | about
    review = path.parent / name
    review.write_text(json.dumps({"format": 1, "kind": "storyboard-review", **about, "decisions": entries}))
    return review


def old_pick(scene, seed) -> Decision:
    return Decision(scene=scene, seed=seed, flag="pick", at="2026-05-04T03:00:00Z")


def applied(review, *args, **options):
    """The story's new text, written."""
    revision = revise(review, *args, **options)
    write_revision(revision)
    return revision, revision.story.read_text(encoding="utf-8")


def test_the_loop_render_review_apply_render(tale, run):
    review = review_of(tale, ("sofa", 1, "pick"), ("park", 4, "none"), ("sea", 5, "pick"), ("sofa", 0, "reject"))

    code, out, _ = run("apply", str(review))
    assert code == 0 and "Nothing is written yet: --yes writes it." in out
    assert "+    pick: 1" in out and "-    pick: 4   # the tree" in out
    assert tale.read_text(encoding="utf-8") == STORY

    code, out, _ = run("apply", str(review), "--yes")
    assert code == 0 and "tale.yaml is written. Next: storyboard render tale.yaml" in out
    expected = STORY.replace("# three tries\n", "# three tries\n    pick: 1\n")
    expected = expected.replace("    pick: 4   # the tree", "    # the tree").replace("seed: 5}", "seed: 5, pick: 5}")
    assert tale.read_text(encoding="utf-8") == expected

    painter = FakePainter()
    result, _ = render_fake(tale, painter)
    assert painter.asked == [] and result.left == 0
    manifest, keys = read_manifest(result.plan.folder), keys_of(tale)
    assert [scene.pick for scene in manifest.scenes] == [keys["sofa", 1], None, keys["sea", 5]]
    with Image.open(result.plan.folder / manifest.pictures[keys["sofa", 1]].file) as picture:
        colour = np.asarray(picture)[0, 0]
    with Image.open(result.grid[0]) as grid:
        assert np.all(np.asarray(grid) == colour, axis=-1).sum() > 1000

    code, out, _ = run("apply", str(review))
    assert code == 0 and out.endswith("tale.yaml: nothing to change.\n")


def test_a_rejected_pick_is_no_pick_any_more(tale):
    _, text = applied(review_of(tale, ("park", 4, "reject")))
    assert text == STORY.replace("    pick: 4   # the tree", "    # the tree")


def test_rejected_seeds_stay_unless_asked(tale):
    review = review_of(tale, ("sofa", 0, "reject"), ("park", 4, "reject"), ("park", 3, "reject"))
    assert "seeds: [0, 1, 2]" in applied(review)[1]
    revision, text = applied(review, remove_rejected=True)
    assert "    seeds: [1, 2]   # three tries\n" in text
    assert "      - 3   # spring\n      - 4\n" in text
    assert revision.left_out == (
        "park: every take was rejected; its seeds stay until there are others. Ask for new seeds with --more N.",
    )


def test_where_all_were_rejected_more_seeds_are_asked_for(tale):
    review = review_of(tale, ("park", 4, "reject"), ("park", 3, "reject"), ("sea", 5, "reject"), ("sofa", 0, "reject"))
    revision = revise(review, more=2)
    assert b"      - 4\n      - 5\n      - 6\n" in revision.after
    assert "park: seeds 5, 6 new, since every take was rejected." in revision.applied
    _, text = applied(review, more=2, remove_rejected=True)
    assert "    seeds:\n      - 5\n      - 6\n      # spring\n    # the tree\n" in text
    assert "{id: sea, prompt: 海边, seeds: [6, 7]}" in text
    assert "seeds: [1, 2]   # three tries" in text
    _, painter = render_fake(tale)
    assert [(take.scene, take.seed) for take in painter.asked] == [("park", 5), ("park", 6), ("sea", 6), ("sea", 7)]


def test_a_picked_take_of_render_more_brings_the_others_along(tale):
    render_fake(tale, more=2, scenes=("sofa",))
    revision, text = applied(review_of(tale, ("sofa", 4, "pick")))
    assert "seeds: [0, 1, 2, 3, 4]   # three tries\n    pick: 4\n" in text
    assert "sofa: seeds 3, 4 of `render --more` added, or they would be forgotten now." in revision.applied
    before = keys_of(tale)
    _, painter = render_fake(tale)
    assert painter.asked == [] and keys_of(tale) == before


def test_rejected_takes_of_render_more_go_with_the_rest(tale):
    render_fake(tale, more=3, scenes=("sofa",))
    review = review_of(tale, ("sofa", 1, "reject"), ("sofa", 4, "reject"))
    assert "seeds: [0, 2, 3, 5]" in applied(review, remove_rejected=True)[1]


def test_when_only_takes_of_render_more_are_rejected_it_says_what_it_can_not_do(tale):
    render_fake(tale, more=1, scenes=("sofa",))
    revision = revise(review_of(tale, ("sofa", 3, "reject")), remove_rejected=True)
    assert revision.after == revision.before
    assert revision.left_out[0].startswith("sofa: seed 3 can't be removed")


def test_a_story_edited_since_takes_what_still_fits(tale, run):
    review = review_of(tale, ("sofa", 1, "pick"), ("park", 3, "pick"), ("sea", 5, "pick"), ("gone", 7, "pick"))
    edited = STORY.replace("在公园", "在树下").replace("seed: 5", "seed: 6")
    tale.write_text(edited, encoding="utf-8")
    code, _, err = run("apply", str(review), "--yes")
    assert code == 0
    assert "park: seed 3 was picked, but it would come out otherwise now" in err
    assert "sea: seed 5 was picked, but the scene doesn't have that seed any more." in err
    assert "gone: seed 7 was picked, but the story has no scene of that name any more." in err
    assert tale.read_text(encoding="utf-8") == edited.replace("# three tries\n", "# three tries\n    pick: 1\n")


def test_a_renamed_scene_keeps_its_decisions(tale):
    review = review_of(tale, ("sofa", 1, "pick"))
    tale.write_text(STORY.replace("id: sofa", "id: couch"), encoding="utf-8")
    assert "    pick: 1\n" in applied(review)[1]


def test_a_take_that_two_scenes_share_is_picked_where_it_was_decided(tale):
    twice = "size: 64x64\nscenes:\n- {id: a, prompt: x}\n- {id: b, prompt: x}\n- {id: c, prompt: x}\n"
    tale.write_text(twice, encoding="utf-8")
    render_fake(tale)
    review = review_of(tale, ("b", 0, "pick"))
    assert applied(review)[1] == twice.replace("{id: b, prompt: x}", "{id: b, prompt: x, pick: 0}")


def test_a_repainted_take_that_was_decided_anew_is_not_told_of(tale):
    keep_decisions(tale.parent / "renders" / "tale", {"0" * 64: old_pick("sofa", 1)})
    review = tale.parent / "renders" / "tale" / "review.json"
    assert revise(review).left_out[0].startswith("sofa: seed 1 was picked, but it would come out otherwise now")
    now = old_pick("sofa", 1).model_copy(update={"flag": "reject", "at": "2026-05-04T04:00:00Z"})
    keep_decisions(review.parent, {keys_of(tale)["sofa", 1]: now})
    assert revise(review).left_out == ()


def test_a_pick_that_the_file_was_given_since_is_named(tale):
    review = review_of(tale, ("park", 3, "pick"))
    tale.write_text(STORY.replace("    pick: 4   # the tree\n", ""), encoding="utf-8")
    render_fake(tale)
    tale.write_text(STORY, encoding="utf-8")
    assert revise(review).applied == ("park: pick 3 instead of 4, which the file was given after the last render.",)


def test_a_story_that_can_not_be_read_any_more_says_where_and_keeps_the_review(tale, run):
    review = review_of(tale, ("sofa", 1, "pick"))
    kept, broken = review.read_bytes(), STORY.replace("'坐在沙发上'", "'坐在沙发上")
    tale.write_text(broken, encoding="utf-8")
    code, _, err = run("apply", str(review), "--yes")
    assert code == 2
    assert "tale.yaml:7:13: this is not valid YAML" in err
    assert "1 problem; nothing was changed. The review is kept:" in err
    assert tale.read_text(encoding="utf-8") == broken and review.read_bytes() == kept
    with pytest.raises(AuthoringError):
        revise(review)


def test_a_review_of_another_story_changes_nothing(tale, run):
    review = review_of(tale, ("hall", 1, "pick"), story="winter", name="review.json")
    code, _, err = run("apply", str(review), "tale.yaml", "--yes")
    assert code == 2 and "the review is of another story, “winter”" in err
    assert tale.read_text(encoding="utf-8") == STORY


def test_a_story_that_is_not_here_has_to_be_named(tale):
    review = review_of(tale, ("sofa", 1, "pick"), source="../else/where.yaml", name="review.json")
    with pytest.raises(ReviewError, match=r"where\.yaml, is not here\. Say which it is: storyboard apply"):
        revise(review)


def test_a_downloaded_review_finds_its_story(tale, tmp_path):
    (tmp_path / "Downloads").mkdir()
    for source in ("tale.yaml", "../../tale.yaml"):
        review = review_of(tale, ("sofa", 1, "pick"), source=source, name="Downloads/review (1).json")
        assert str(revise(review).story) == "tale.yaml"


def test_another_run_folder(tale, tmp_path):
    tale.rename(tmp_path / "moved.yaml")
    review = review_of(tale, ("sofa", 1, "pick"), name="review.json")
    assert b"pick: 1" in revise(review, "moved.yaml", out="renders/tale").after


def test_line_breaks_and_the_byte_order_mark_stay(tale):
    tale.write_bytes(b"\xef\xbb\xbf" + STORY.replace("\n", "\r\n").encode())
    applied(review_of(tale, ("sofa", 1, "pick")))
    expected = STORY.replace("# three tries\n", "# three tries\n    pick: 1\n").replace("\n", "\r\n")
    assert tale.read_bytes() == b"\xef\xbb\xbf" + expected.encode()


def test_permissions_and_links_stay(tale, tmp_path):
    (tmp_path / "kept").mkdir()
    real = tale.rename(tmp_path / "kept" / "real.yaml")
    real.chmod(0o640)
    tale.symlink_to(real)
    applied(review_of(tale, ("sofa", 1, "pick")))
    assert tale.is_symlink() and b"pick: 1" in real.read_bytes()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_read_only_story_is_left_alone(tale):
    revision = revise(review_of(tale, ("sofa", 1, "pick")))
    tale.chmod(0o444)
    with pytest.raises(ReviewError, match="read-only"):
        write_revision(revision)


def test_a_file_that_changes_in_between_is_noticed(tale):
    revision = revise(review_of(tale, ("sofa", 1, "pick")))
    tale.write_text(STORY + "# more\n", encoding="utf-8")
    with pytest.raises(ReviewError, match="changed just now"):
        write_revision(revision)
    assert tale.read_text(encoding="utf-8") == STORY + "# more\n"


def test_a_full_disk_loses_nothing(tale, monkeypatch):
    revision = revise(review_of(tale, ("sofa", 1, "pick")))

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReviewError, match=r"No space left on device\. The file is as it was"):
        write_revision(revision)
    assert tale.read_text(encoding="utf-8") == STORY
    assert [path.name for path in tale.parent.iterdir() if path.suffix == ".part"] == []


def test_included_files_are_only_read(tale, tmp_path):
    (tmp_path / "cast.yaml").write_text("negative: 模糊  # shared\n", encoding="utf-8")
    tale.write_text("include: cast.yaml\n" + STORY, encoding="utf-8")
    render_fake(tale)
    assert "pick: 1" in applied(review_of(tale, ("sofa", 1, "pick")))[1]
    assert (tmp_path / "cast.yaml").read_text(encoding="utf-8") == "negative: 模糊  # shared\n"


def test_a_scene_that_can_not_be_changed_is_named_and_the_rest_applied(tale, run):
    tale.write_text(
        "title: x\nsize: 64x64\nscenes:\n- &a {prompt: x, seeds: [0, 1]}\n- *a\n- {prompt: y, id: z}\n",
        encoding="utf-8",
    )
    render_fake(tale)
    review = review_of(tale, ("scene-02", 1, "pick"), ("z", 0, "pick"))
    code, out, err = run("apply", str(review), "--yes")
    assert code == 0 and "left out: tale.yaml:4:3: scenes[1]: this scene can't be changed here" in err
    assert tale.read_text(encoding="utf-8").endswith("- *a\n- {prompt: y, pick: 0, id: z}\n")
    assert "scene-02" not in out

"""Picks and seeds changed in an author's text: only the lines that have to differ do."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from pathlib import Path
from random import Random

import pytest
from ruamel.yaml import YAML

from renderer.reading.yaml_file import Source
from renderer.reviewing.edits import Wish, edit_story
from renderer.take_name import TakeName
from tests.odd_stories import OddStory, OddWriter

FILE = Path("tale.yaml")
ABOUT_SEEDS = re.compile(
    r"""["']?\bpick\b["']?\s*:|["']?\bseeds?\b["']?\s*:|\bstart:|\bcount:|\bnull\b|(?<![\w.])\d+(?![\w.%])|[\s,\[\]{}-]"""
)


def wish(scene: int, pick: int | None, seeds: tuple[int, ...]) -> Wish:
    """What a scene without a sweep shall say."""
    return Wish(scene, None if pick is None else TakeName(pick), seeds)


def edited(text: str, *wishes: Wish) -> str:
    """The text with all wishes granted."""
    result = edit_story(Source(FILE, text), wishes)
    assert not result.refused, [str(problem) for problem in result.refused.values()]
    return result.text


def story(*lines: str) -> str:
    return "\n".join(("title: x  # a story", "scenes:", *lines, ""))


def seeds_of(scene: dict) -> tuple[int, ...]:
    seeds = scene.get("seeds")
    if isinstance(seeds, dict):
        return tuple(range(seeds.get("start", 0), seeds.get("start", 0) + seeds["count"]))
    return tuple(seeds) if seeds else (scene.get("seed", 0),)


def pick_of(scene: dict) -> TakeName | None:
    pick = scene.get("pick")
    if pick is None:
        return None
    return TakeName(**pick) if isinstance(pick, dict) else TakeName(pick)


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went, and those that came."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    gone, come = [], []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += old[a:b]
            come += new[c:d]
    return gone, come


def random_wishes(odd: OddStory, random: Random, *, seeds_too: bool) -> list[Wish]:
    wishes = []
    for index, (_, seeds, pick) in enumerate(odd.scenes):
        if random.random() < 0.25:
            continue
        new = seeds
        if seeds_too and random.random() < 0.6:
            fresh = [seed for seed in range(200, 200 + random.choice((0, 0, 1, 3)))]
            new = (*(seed for seed in seeds if random.random() < 0.6), *fresh) or seeds
        old = [pick] if pick in new else []
        wishes.append(wish(index, random.choice((None, *old, random.choice(new), random.choice(new))), new))
    return wishes


@pytest.mark.parametrize("number", range(500))
def test_in_a_random_story_only_what_was_wished_differs(number):
    odd = OddWriter(number).story()
    text, random = odd.text.removeprefix("\ufeff"), Random(number)
    wishes = random_wishes(odd, random, seeds_too=number % 2 == 0)
    after = edited(text, *wishes)

    # What it means, by another parser.
    was, now = (YAML(typ="safe", pure=True).load(each) for each in (text, after))
    wished = {each.scene: each for each in wishes}
    for index, (old, new) in enumerate(zip(was.pop("scenes"), now.pop("scenes"), strict=True)):
        said = wished.get(index, Wish(index, pick_of(old), seeds_of(old)))
        assert (pick_of(new), seeds_of(new)) == (said.pick, said.seeds)
        assert not {"seed", "seeds"} <= new.keys()
        for scene in (old, new):
            for key in ("pick", "seed", "seeds"):
                scene.pop(key, None)
        assert old == new
    assert was == now

    # What is written: scenes without a wish to the letter, of the others all but seeds and picks, in the same order.
    for index, piece in enumerate(odd.pieces):
        if index not in wished:
            assert piece in after
    assert ABOUT_SEEDS.sub("", after) == ABOUT_SEEDS.sub("", text)
    assert ("\r\n" in after) == ("\r\n" in text) and not re.search("(?<!\r)\n", after if "\r\n" in text else "")

    # How much: a pick alone is one line, or the two of one that is written as a mapping.
    gone, come = changed_lines(text, after)
    new_picks = [each for each in wishes if each.pick != wish(each.scene, odd.scenes[each.scene][2], ()).pick]
    if number % 2:
        assert len(gone) <= 2 * len(new_picks) and len(come) <= 2 * len(new_picks)
    assert edited(after, *wishes) == after


def test_a_pick_comes_behind_the_seeds():
    before = story("  - id: sofa", "    seeds: [0, 1]  # two", "    prompt: x")
    assert edited(before, wish(0, 1, (0, 1))) == before.replace("# two\n", "# two\n    pick: 1\n")


def test_a_pick_changes_and_keeps_its_form_and_comment():
    before = story("- {prompt: x, seeds: [0, 1], pick: 0}  # c", "- prompt: y", "  pick: {seed: 0}  # d")
    after = edited(before, wish(0, 1, (0, 1)))
    assert after == before.replace("pick: 0}", "pick: 1}")


def test_an_empty_pick_is_filled():
    before = story("- prompt: x", "  seeds: [0, 1]", "  pick:", "- {prompt: y, pick: , seed: 3}")
    after = edited(before, wish(0, 1, (0, 1)), wish(1, 3, (3,)))
    assert after == before.replace("pick:\n", "pick: 1\n").replace("pick: ,", "pick: 3,")


def test_the_comment_of_a_removed_pick_stays():
    before = story("- prompt: x", "  pick: 0  # the warm one", "  # about the note", "  note: y")
    assert edited(before, wish(0, None, (0,))) == before.replace("pick: 0  # the", "# the")


def test_a_removed_pick_that_comes_first_leaves_the_dash():
    before = story("- pick: 0", "  prompt: x")
    assert edited(before, wish(0, None, (0,))) == story("- prompt: x")


def test_a_last_line_without_a_line_break():
    assert edited("scenes:\n- prompt: x", wish(0, 0, (0,))) == "scenes:\n- prompt: x\n  pick: 0"
    assert edited("scenes:\n- prompt: |\n    x", wish(0, 0, (0,))) == "scenes:\n- pick: 0\n  prompt: |\n    x"


def test_text_that_keeps_its_empty_lines_keeps_them():
    before = story("- id: a", "  prompt: |+", "    x", "", "", "- prompt: y")
    assert edited(before, wish(0, 0, (0,))) == before.replace("id: a\n", "id: a\n  pick: 0\n")


def test_old_line_breaks_of_a_mac():
    before = "scenes:\r- prompt: x\r  seeds: [0, 1]\r"
    assert edited(before, wish(0, 1, (0, 1))) == before + "  pick: 1\r"


def test_json_is_yaml_too():
    before = '{"scenes": [{"prompt": "x", "seeds": [0, 1]}, {"prompt": "y"}]}'
    after = edited(before, wish(0, 1, (1,)), wish(1, 0, (0,)))
    assert after == '{"scenes": [{"prompt": "x", "seeds": [1], "pick": 1}, {"prompt": "y", "pick": 0}]}'


def test_explicit_keys():
    before = story("- ? prompt", "  : x", "  ? seeds", "  : [0, 1]")
    assert edited(before, wish(0, 1, (0, 1))) == before + "  pick: 1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["  seeds: [0, 1, 2]  # c"], ["  seeds: [1, 2, 5]  # c"]),
        (
            ["  seeds:  # c", "  - 0  # dark", "  - 1", "  - 2"],
            ["  seeds:  # c", "  # dark", "  - 1", "  - 2", "  - 5"],
        ),
        (["  seeds: {start: 0, count: 3}  # c"], ["  seeds: [1, 2, 5]  # c"]),
        (["  seeds:  # c", "    count: 3  # d"], ["  seeds: [1, 2, 5]  # c", "    # d"]),
    ],
)
def test_seeds_are_removed_and_added_in_their_own_style(before, after):
    assert edited(story("- prompt: x", *before), wish(0, None, (1, 2, 5))) == story("- prompt: x", *after)


def test_one_seed_becomes_several_and_none_becomes_some():
    before = story("- prompt: x", "  seed: 3  # c", "- prompt: y  # d")
    after = story("- prompt: x", "  seeds: [3, 4]  # c", "- prompt: y  # d", "  seeds: [0, 1]")
    assert edited(before, wish(0, None, (3, 4)), wish(1, None, (0, 1))) == after


def test_all_seeds_replaced():
    before = story("- prompt: x", "  seeds: [0, # c", "    1]", "- prompt: y", "  seeds:", "  - 0", "  - 1  # d")
    after = edited(before, wish(0, None, (7, 8)), wish(1, None, (7, 8)))
    assert YAML(typ="safe").load(after)["scenes"] == [
        {"prompt": "x", "seeds": [7, 8]},
        {"prompt": "y", "seeds": [7, 8]},
    ]
    assert "# c" in after and "# d" in after


def test_values_that_another_scene_takes_over_are_not_changed_behind_its_back():
    before = story("- &base", "  prompt: x", "  id: a", "- <<: *base", "  id: b", "- {prompt: y, id: c}")
    result = edit_story(Source(FILE, before), [wish(0, 0, (0,)), wish(2, 0, (0,))])
    assert result.text == before.replace("{prompt: y, id: c}", "{prompt: y, pick: 0, id: c}")
    assert list(result.refused) == [0]
    assert str(result.refused[0]).startswith("tale.yaml:3:3: scenes[0]: this scene can't be changed here")
    assert "pick: 0" in result.refused[0].todo
    # … but are where that scene says its own.
    assert edited(before, wish(0, 0, (0,)), wish(1, 0, (0,))).count("pick: 0") == 2
    assert edited(before, wish(1, 0, (0,))) == before.replace("id: b\n", "id: b\n  pick: 0\n")


def test_what_was_taken_over_is_undone_where_it_arrives():
    before = story(
        "- &base",
        "  prompt: x",
        "  seeds: &s [0, 1]",
        "  pick: 1",
        "- <<: *base",
        "  id: b",
        "- prompt: z",
        "  seeds: *s",
    )
    after = edited(before, wish(1, None, (0, 1)), wish(2, 0, (0,)))
    assert "  <<: *base" not in after and "seeds: [0]" in after
    assert YAML(typ="safe").load(after)["scenes"][1]["pick"] is None


def test_a_scene_that_is_an_alias_is_named():
    before = story("- &base {prompt: x, seeds: [0, 1]}", "- *base")
    result = edit_story(Source(FILE, before), [wish(1, 1, (0, 1))])
    assert result.text == before
    assert '"*base"' in result.refused[1].what


def test_a_pick_behind_a_text_becomes_null_where_the_text_would_swallow_what_follows():
    before = story("- prompt: |", "    x", "  pick: 0", "     # deep", "- prompt: |+", "    y", "  pick: 0", "")
    after = edited(before, wish(0, None, (0,)), wish(1, None, (0,)))
    assert after == before.replace("pick: 0", "pick: null")
    plain = story("- prompt: |", "    x", "  pick: 0", "- prompt: y")
    assert edited(plain, wish(0, None, (0,))) == plain.replace("  pick: 0\n", "")

"""The diff that `apply` shows."""

from __future__ import annotations

import difflib
from random import Random

import pytest

from renderer.reviewing.difference import unified_diff


@pytest.mark.parametrize("number", range(100))
def test_the_diff_tells_both_texts(number):
    random = Random(number)
    before = [random.choice(("a", "b", "", f"line {random.randint(0, 60)}")) for _ in range(random.randint(0, 40))]
    after = [line for line in before if random.random() < 0.8]
    for _ in range(random.randint(0, 5)):
        after.insert(random.randint(0, len(after)), random.choice(("a", "new", f"line {random.randint(0, 60)}")))
    diff = list(unified_diff(before, after, "x", "y"))
    assert bool(diff) == (before != after)
    gone, come = ([line[1:] for line in diff[2:] if line[0] == mark] for mark in "-+")
    assert len(before) - len(gone) == len(after) - len(come)
    assert applied(before, diff) == after


def applied(before: list[str], diff: list[str]) -> list[str]:
    """The text that a unified diff makes of another."""
    after, at = [], 0
    for line in diff[2:]:
        if line[0] == "@":
            start = int(line.split()[1].split(",")[0][1:]) - 1
            after += before[at:start]
            at = start
        elif line[0] == "+":
            after.append(line[1:])
        else:
            assert before[at] == line[1:]
            after += [line[1:]] if line[0] == " " else []
            at += 1
    return after + before[at:]


def test_it_looks_as_diffs_do():
    before, after = (
        ["title: x", "", "a: 1", "b: 2", "c: 3", "d: 4", "e: 5"],
        ["title: x", "", "a: 1", "b: 2", "c: 9", "d: 4", "e: 5"],
    )
    expected = list(difflib.unified_diff(before, after, "x", "y", lineterm=""))
    assert list(unified_diff(before, after, "x", "y")) == expected

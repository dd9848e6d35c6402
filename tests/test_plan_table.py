"""The table of `storyboard plan`: laid out by us as rich would do it."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segments
from rich.table import Table

from renderer.commands import planning
from renderer.commands.planning import take_table
from renderer.take_name import TakeName

REASONS = (
    *("", "not painted yet", "negative edited, style edited", "[bold]not markup[/]", "字幕" * 40, "x" * 90),
    "failed last time: the weights were moved while they were being read, and so was everything beside them",
)
NAMES = st.builds(
    lambda seed, swept: TakeName(seed, *swept),
    st.sampled_from([0, 7, 4294967295]),
    st.sampled_from([(None, None), (0.5, 100), (1.0, None)]),
)
TAKES = st.builds(
    lambda scene, name, reason: SimpleNamespace(take=SimpleNamespace(scene=scene, name=name), reason=reason),
    st.sampled_from(["sofa", "沙发", "scene-0001"]),
    NAMES,
    st.sampled_from(REASONS),
)


def takes_of(*reasons: str) -> list[SimpleNamespace]:
    takes = [SimpleNamespace(scene="sofa", name=TakeName(seed)) for seed in range(len(reasons))]
    return [SimpleNamespace(take=take, reason=why) for take, why in zip(takes, reasons, strict=True)]


def printed(table, width: int, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, soft_wrap=True, **options)
    console.print(table, soft_wrap=False)
    return console.file.getvalue()


@given(st.lists(TAKES, min_size=1, max_size=8), st.sampled_from([20, 40, 60, 80, 120]))
@settings(max_examples=150, deadline=None)
def test_the_table_is_the_one_that_rich_would_print(takes, width):
    words = tuple(dict.fromkeys(word for each in takes for word in each.take.name.parts))
    by_rich = planning._folded(("scene", *words, "", "why"), list(planning._rows(takes, words)))
    assert printed(take_table(takes, width), width) == printed(by_rich, width)


@pytest.mark.parametrize(
    ("reason", "width", "kind"),
    [("not painted yet", 80, Segments), ("x" * 90, 80, Segments), ("why " * 9, 24, Table), ("two\nlines", 80, Table)],
)
def test_rich_is_asked_only_where_there_is_too_little_room(reason, width, kind):
    assert isinstance(take_table(takes_of(reason, ""), width), kind)


def test_states_have_their_colours_in_a_terminal():
    text = printed(take_table(takes_of("new seed", ""), 80), 80, force_terminal=True, color_system="standard")
    assert "\x1b[33mto paint\x1b[0m" in text and "\x1b[32mup to date\x1b[0m" in text
    assert "\x1b[1mscene" in text

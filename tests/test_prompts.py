"""Prompts: what templates mean, what seeds choose, how pieces are joined. These values decide keys for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.prompts import MAX_LENGTH, Part, expand, join, measure_cast, text_of
from renderer.reading.template import MAX_NESTING, TemplateError, Wildcard, escape, parse_template

TEMPLATES = st.text(alphabet="ab{}| 字，\n", max_size=40)


def cast_of(**characters: str):
    return {name: parse_template(text) for name, text in characters.items()}


def painted(text: str, seed: int = 0, **characters: str) -> str:
    return text_of(expand(parse_template(text), seed, cast_of(**characters), "scene").parts)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("a girl", "a girl"),
        ("  a girl \n", "a girl"),
        ("a | b", "a | b"),
        ("{{a}}", "{a}"),
        ("{{{mei}}}", "{a girl}"),
        ("{mei}}}", "a girl}"),
        ("{ mei }，{mei}", "a girl，a girl"),
        ("{{a|b}}", "{a|b}"),
        ("{x|x}", "x"),
        ("a { x | x } b", "a x b"),
        ("a{|}b", "ab"),
        ("{ {x|x}|x}", "x"),
        ("{x|{x|{x|x}}}", "x"),
        ("{x{{a}}|x{{a}}}", "x{a}"),
        ("{x{{a|b}}|x{{a|b}}}", "x{a|b}"),
        ("{x|x}}}", "x}"),
        ("first\nsecond", "first\nsecond"),
        ("", ""),
    ],
)
def test_what_a_template_becomes(template, text):
    assert painted(template, mei="a girl") == text


@pytest.mark.parametrize(
    ("template", "what", "offset", "snippet"),
    [
        ("ab{c", "never closed", 2, "{"),
        ("ab{c|d", "never closed", 2, "{"),
        ("a{b|{c|d}", "never closed", 1, "{"),
        ("ab}c", "closes nothing", 2, "}"),
        ("a {} b", "are empty", 2, "{}"),
        ("a { } b", "are empty", 2, "{ }"),
        ("{{mei}|{lin}}", "closes nothing", 5, "}"),
        ("x{a {mei} b}", "neither a name nor a choice", 1, "{a {mei} b}"),
        ("{a|" * (MAX_NESTING + 1), "deeper than 16", 3 * MAX_NESTING, "{"),
    ],
)
def test_a_bad_brace_is_named_with_its_offset(template, what, offset, snippet):
    with pytest.raises(TemplateError, match=what) as error:
        parse_template(template)
    assert (error.value.offset, error.value.snippet) == (offset, snippet)
    assert template.startswith(snippet, offset)
    assert error.value.todo


def test_two_braces_in_a_row_get_the_hint_to_put_a_space_between():
    with pytest.raises(TemplateError, match=r"put a space between"):
        parse_template("{{mei}|{lin}}")
    assert painted("{ {mei}|{lin}}", mei="x", lin="x") == "x"


@given(TEMPLATES, st.integers(0, 2**32 - 1))
def test_any_text_is_a_template_or_says_why_not(text, seed):
    try:
        template = parse_template(text)
    except TemplateError as error:
        assert text.startswith(error.snippet, error.offset)
        return
    cast = {reference.name: parse_template("她") for reference in template.references}
    parts = expand(template, seed, cast, "scene").parts
    assert all(part.text for part in parts)
    assert text_of(parts) == text_of(parts).strip()


@given(st.text(max_size=60))
def test_escaped_text_is_painted_as_it_is(text):
    assert painted(escape(text)) == text.strip()


@given(st.text(alphabet="ab字 ，", max_size=20))
def test_text_without_braces_is_its_own_template(text):
    assert painted(text) == text.strip()


# The choice of a wildcard: sha256 of seed, the wildcard's own text, its ordinal among equal texts.


@pytest.mark.parametrize(
    ("template", "chosen"),
    [
        ("{red|blue}", ["blue", "red", "blue", "red", "blue", "red", "blue", "red"]),
        ("{红色|蓝色|绿色}", ["绿色", "绿色", "绿色", "蓝色", "绿色", "绿色", "红色", "蓝色"]),
        ("{a|{b|c}}", ["c", "a", "c", "b", "c", "b", "a", "a"]),
        ("{a|b}{a|b}{a|b}", ["bba", "aba", "bab", "aba", "aaa", "bba", "bba", "aba"]),
        ("{ a |b}", ["a", "a", "b", "b", "b", "a", "a", "b"]),
    ],
)
def test_choices_are_held_for_ever(template, chosen):
    assert [painted(template, seed) for seed in range(8)] == chosen


def test_the_highest_seed_is_held_for_ever():
    assert painted("{a|b|c|d|e|f|g|h}{1|2|3|4|5|6|7|8}", 2**32 - 1) == "g2"


@given(st.integers(0, 2**32 - 1))
def test_another_wildcard_changes_no_choice(seed):
    alone = painted("{red|blue|green}", seed)
    assert painted("{big|small} {red|blue|green} {x|y|{z|w}}", seed).split()[1] == alone


@given(st.integers(0, 2**32 - 1))
def test_a_characters_wildcard_falls_the_same_way_in_every_scene_of_a_seed(seed):
    mei = "girl with {red|blue|green} hair"
    alone = painted("{mei}", seed, mei=mei)
    assert painted("{red|blue|green} house, {mei}", seed, mei=mei).endswith(alone)
    assert painted("{mei}; {mei}", seed, mei=mei) == f"{alone}; {alone}"


def test_equal_wildcards_are_counted_also_in_options_that_are_not_chosen():
    template = parse_template("{ {a|b}|{a|b}x}{a|b}")
    first, last = template.nodes
    assert isinstance(first, Wildcard)
    assert isinstance(last, Wildcard)
    assert [option[0].ordinal for option in first.options] == [0, 1]
    assert last.ordinal == 2


def test_parts_tell_their_origin():
    cast = cast_of(mei="a {tall|tall} girl in {dress}", dress="a {red|red} dress")
    expansion = expand(parse_template("{mei}, by {the sea|the sea}"), 0, cast, "scene")
    assert expansion.parts == [
        Part("a ", "character", "mei"),
        Part("tall", "wildcard", "{tall|tall}"),
        Part(" girl in ", "character", "mei"),
        Part("a ", "character", "dress"),
        Part("red", "wildcard", "{red|red}"),
        Part(" dress", "character", "dress"),
        Part(", by ", "scene"),
        Part("the sea", "wildcard", "{the sea|the sea}"),
    ]
    assert list(expansion.characters) == ["mei", "dress"]


def test_only_characters_in_chosen_options_appear():
    appearing = {
        tuple(expand(parse_template("{ {a}|{b}}"), s, cast_of(a="A", b="B"), "scene").characters) for s in range(9)
    }
    assert appearing == {("a",), ("b",)}


# Joining.


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        ("anime", "a girl", "anime, a girl"),
        ("动漫风格", "女孩", "动漫风格，女孩"),
        ("anime", "女孩", "anime，女孩"),
        ("动漫", "a girl", "动漫，a girl"),
        ("动漫，", "女孩", "动漫，女孩"),
        ("动漫。", "女孩", "动漫。女孩"),
        ("动漫：", "a girl", "动漫：a girl"),
        ("anime,", "a girl", "anime, a girl"),
        ("anime:", "女孩", "anime: 女孩"),
        ("Anime!", "a girl", "Anime! a girl"),
        ("アニメ", "girl", "アニメ，girl"),
        ("", "a girl", "a girl"),
        ("anime", "", "anime"),
        ("", "", ""),
        (" anime ", " a girl ", "anime, a girl"),
    ],
)
def test_joining_is_held_for_ever(left, right, joined):
    pieces = (expand(parse_template(text), 0, {}, "scene").parts for text in (left, right))
    assert text_of(join(pieces)) == joined


def test_the_comma_between_belongs_to_the_part_before():
    style, scene = Part("动漫", "style"), Part("女孩", "scene")
    assert join([[style], [scene]]) == (Part("动漫，", "style"), scene)


# A cast that would never end.


@pytest.mark.parametrize(
    ("cast", "expected"),
    [
        ({"a": "{a}"}, {"a": "refers to itself: a → a."}),
        ({"a": "{b}", "b": "x{c|{a}}", "c": "y"}, {"a": "refers to itself: a → b → a.", "b": ""}),
        ({"a": "{b}", "b": "{c}", "c": "{b}"}, {"a": "", "b": "refers to itself: b → c → b.", "c": ""}),
        ({"a": "{b}", "b": "x", "c": "{nobody}"}, {}),
    ],
)
def test_circles_are_found_once_each(cast, expected):
    problems = measure_cast(cast_of(**cast))[1]
    assert {name: what.partition(" Take")[0] for name, what in problems.items()} == expected


def test_long_chains_and_doublings_are_refused_quickly():
    chain = {f"c{i}": parse_template(f"{{c{i + 1}}}") for i in range(20_000)} | {"c20000": parse_template("x")}
    told = [what for what in measure_cast(chain)[1].values() if what]
    assert len(told) == 1
    assert "more than 16 deep" in told[0]
    doubling = {f"c{i}": parse_template(f"{{c{i + 1}}}" * 40) for i in range(8)} | {"c8": parse_template("x")}
    problems = measure_cast(doubling)[1]
    assert [name for name, what in problems.items() if what] == ["c4"]
    assert f"{MAX_LENGTH:,}" in problems["c4"]


def test_the_deepest_nesting_allowed_expands():
    nested = "y|{" * (MAX_NESTING - 2) + "y|%s" + "}" * (MAX_NESTING - 2)
    cast = {f"c{i}": parse_template("{" + nested % f"{{c{i + 1}}}" + "}") for i in range(MAX_NESTING - 1)}
    cast[f"c{MAX_NESTING - 1}"] = parse_template("{" + nested % "y" + "}")
    with pytest.raises(TemplateError, match="nest deeper"):
        parse_template("{" + nested % "{y|{y|y}}" + "}")
    assert measure_cast(cast)[1] == {}
    assert text_of(expand(parse_template("{c0}"), 1, cast, "scene").parts) == "y"

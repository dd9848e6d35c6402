"""Reading YAML: limits, plain values, places of values and keys, and syntax errors in plain words."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from renderer.errors import AuthoringError
from renderer.reading.yaml_file import MAX_BYTES, MAX_DEPTH, path_text, plain_value, read_yaml


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "file.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def problems(file: Path) -> list[str]:
    """Problems as `line:column: where: what todo`, of a file that can't be read or can only in part."""
    try:
        found = read_yaml(file).problems
    except AuthoringError as error:
        found = error.problems
    return [str(problem).removeprefix(f"{file}:") for problem in found]


def only_problem(folder: Path, text: str | bytes) -> str:
    (problem,) = problems(write(folder, text))
    return problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("16:9", "16:9"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1e", "1e"),
        ("-", "-"),
        ("+", "+"),
        ("...", "..."),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("007", 7),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_values_follow_yaml_1_2(text, value):
    read = plain_value(text)
    expected = float(value) if len(text) == 5000 else value
    assert read == expected
    assert type(read) is type(expected)


def test_nan_is_a_number():
    assert str(plain_value(".nan")) == "nan"


def test_every_value_and_key_knows_its_place(tmp_path):
    text = "a: 字\nb:\n  - 😀 {x}\n  - {c: 'd', \"e\": f}\nlong: |\n  one\n  two {x}\n"
    root = read_yaml(write(tmp_path, text)).root
    assert root.value == {"a": "字", "b": ["😀 {x}", {"c": "d", "e": "f"}], "long": "one\ntwo {x}\n"}
    places = {where: (root.find(where).line, root.find(where).column) for where in [("a",), ("b", 0), ("b", 1, "e")]}
    assert places == {("a",): (1, 4), ("b", 0): (3, 5), ("b", 1, "e"): (4, 19)}
    assert root.keys == {"a": (1, 1), "b": (2, 1), "long": (5, 1)}
    assert root.find(("b", 1)).keys == {"c": (4, 6), "e": (4, 14)}
    assert root.find(("b", 9, "x")) is root.find(("b",))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("t: see {x} or {x}", (1, 15)),
        ("t: 'it''s {x}, {x}'", (1, 16)),
        ('t: "\\"q\\" {x} {x}"', (1, 15)),
        ("t: 😀{x}{x}", (1, 8)),
        ("t: |\n  one {x}\n  two {x}\n", (3, 7)),
        ("t: >-\n  one {x}\n\n  two {x}\n", (4, 7)),
        ("t: one {x}\n  two {x}\n", (2, 7)),
        ('t: "\\x7bx} \\x7bx}"', (1, 4)),
    ],
)
def test_a_snippet_is_found_in_the_source(tmp_path, text, place):
    node = read_yaml(write(tmp_path, text)).root.find(("t",))
    assert node.place_of("{x}", node.value.rindex("{x}")) == place


def test_a_byte_order_mark_and_windows_line_ends_change_no_place(tmp_path):
    root = read_yaml(write(tmp_path, b"\xef\xbb\xbfa: x{x}\r\nb: y{x}\r\n")).root
    assert root.value == {"a": "x{x}", "b": "y{x}"}
    assert root.keys == {"a": (1, 1), "b": (2, 1)}
    assert [root.find((key,)).place_of("{x}", 1) for key in "ab"] == [(1, 5), (2, 5)]


def test_aliases_and_merge_keys(tmp_path):
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo:\n  <<: [{x: 8}, *b]\nthree: *b\n"
    root = read_yaml(write(tmp_path, text)).root
    assert root.value == {
        "base": {"x": 1, "y": 2},
        "one": {"x": 1, "y": 3},
        "two": {"x": 8, "y": 2},
        "three": {"x": 1, "y": 2},
    }
    assert root.find(("one", "x")).line == 1
    assert root.find(("one", "y")).line == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the file is empty."),
        ("# only a comment\n", "1:1: the file is empty."),
        ("a: 1\n---\nb: 2\n", "2:1: a second document begins here."),
        ("a: &a [*a]", '1:8: a[0]: "*a" stands inside what it refers to.'),
        ("a: *b", '1:4: a: there is no "&b" before this "*b".'),
        ("1: x", '1:1: a key has to be text; here it is 1. Write it in quotes: "1".'),
        ("a: {null: x}", "1:5: a: a key has to be text; here it is null."),
        ("? [a]\n: x", "1:3: a key has to be text; here it is not."),
        ("a: [" * (MAX_DEPTH + 1), f": nested deeper than {MAX_DEPTH} levels."),
        ("{" * 100_000, "1:2: a key has to be text"),
        ("[" * 100_000, ": nested deeper than"),
        ("- " * 100_000, ": nested deeper than"),
        ("a:\n\t- b", "2:1: this is not valid YAML: found character that cannot start any token. Indent with spaces"),
        ("a: @b", 'A text that begins with "@" needs quotes.'),
        ("a: {mei}，坐在", '1:4: this reads as a mapping, not as text. A text that begins with "{" needs quotes.'),
        ("- {mei}，坐在", "1:3: this reads as a mapping, not as text."),
        ("- a: {b: c, d: e\n- f", "A brace is not closed, or a comma is missing"),
        ("x: 1\na: 'it's'", "quotes inside a text are of the other kind."),
        (
            'a: "b\nc: d',
            "1:4: this is not valid YAML: found unexpected end of stream. A quote is opened and never closed.",
        ),
        (
            "a: b: c",
            '1:5: this is not valid YAML: mapping values are not allowed in this context. A text that holds ": "',
        ),
        ("title：x\nb: c", '1:6: this full-width "：" ends no key. After a key comes a half-width ":" and a space.'),
        ("a:\n  - b: 1\n   c: 2", 'Each entry of a list begins with "- "'),
        ('a: "\\q"', "a backslash is written twice"),
        ("a: [1, 2\nb: 3", "A bracket is not closed"),
        ("a: \x01", "1:4: the file holds the control character U+0001."),
        (b"a: \xe5\xad\x97\nb: x\xff", "2:5: this is not UTF-8 text (byte 11 is 0xff). Save the file as UTF-8."),
        ("a: 1".encode("utf-16"), "1:1: this is not UTF-8 text"),
        (b"a: " + b"x" * 10_000_000, "1:1: the file is larger than 8 MB."),
    ],
)
def test_what_can_not_be_read_is_told_with_its_place(tmp_path, text, problem):
    assert problem in only_problem(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ['3:1: a: the key "a" is given twice (first in line 1). Keep one of them.']),
        ("a: {b: 1, b: 2, b: 3}", ['1:11: a.b: the key "b" is given twice', '1:17: a.b: the key "b" is given twice']),
        (
            "a: !!python/object/apply:os.system [ls]",
            ['1:4: a: tags such as "!!python/object/apply:os.system" are not read.'],
        ),
        ("a: !x y", ['1:4: a: tags such as "!x" are not read.']),
        ("a: {<<: 3}", ["1:9: a.<<: only mappings can be merged."]),
    ],
)
def test_what_can_be_read_in_part_is_told_and_the_rest_goes_on(tmp_path, text, expected):
    document = read_yaml(write(tmp_path, text + "\nlast: x\n"))
    assert document.root.value["last"] == "x"
    told = problems(document.root.source.file)
    assert len(told) == len(expected)
    assert all(part in problem for part, problem in zip(expected, told, strict=True))


def test_a_tag_runs_nothing(tmp_path):
    proof = tmp_path / "ran"
    problems(write(tmp_path, f'a: !!python/object/apply:os.mkdir ["{proof}"]'))
    assert not proof.exists()


def test_an_alias_bomb_is_refused_at_once(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    start = time.perf_counter()
    assert "6:" in (told := only_problem(tmp_path, "\n".join(lines)))
    assert "more than 1,000,000 values" in told
    assert time.perf_counter() - start < 4


def test_a_file_up_to_the_limit_is_read(tmp_path):
    text = "a: " + "x" * (MAX_BYTES - 3)
    assert len(read_yaml(write(tmp_path, text)).root.value["a"]) == MAX_BYTES - 3
    assert "larger than" in only_problem(tmp_path, text + "x")


def test_a_missing_file_names_a_near_one(tmp_path):
    write(tmp_path, "a: 1")
    (problem,) = problems(tmp_path / "flie.yaml")
    assert problem == '1:1: there is no such file. Did you mean "file.yaml"?'


@pytest.mark.parametrize("path", [".", "/dev/zero", "x" * 5000, "a\0b", "none/at/all.yaml"])
def test_what_is_no_file_is_an_authoring_error(tmp_path, path):
    with pytest.raises(AuthoringError):
        read_yaml(tmp_path / path)


def test_paths_are_written_as_in_code():
    assert path_text(("scenes", 2, "seeds", "count")) == "scenes[2].seeds.count"
    assert path_text(()) == ""

"""A YAML file that a person wrote, read safely: plain data, and the place of every value and key in the file.

Plain values follow YAML 1.2's core schema: `no`, `on`, `16:9` and `2024-01-01` are text; only `true` and `false` are
truth values, and there are no dates. Python tags never run anything: every tag is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from renderer.errors import AuthoringError, Problem, did_you_mean
from renderer.reading.yaml_hints import explain

MAX_BYTES = 8 * 2**20
"""Largest file that is read. Twenty thousand annotated scenes are about half of it."""
MAX_DEPTH = 32
MAX_NODES = 1_000_000
"""Most values after aliases are expanded: what a short file of nested aliases would blow up to is never built."""

Key = str | int
Where = tuple[Key, ...]
_Event = Any  # one of PyYAML's events, whose marks its stubs call optional

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NUMBER_STARTS = frozenset("0123456789+-.")
_CONSTANTS: dict[str, float | bool | None] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
    | dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf"))
    | dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf"))
    | dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan"))
)
_NO_ITEMS: Mapping[Key, Node] = MappingProxyType({})
_NO_KEYS: Mapping[str, tuple[int, int]] = MappingProxyType({})
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufeff\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """A file and its text."""

    file: Path
    text: str

    def place(self, index: int) -> tuple[int, int]:
        """Line and column, counted from 1, of a character of the text."""
        return self.text.count("\n", 0, index) + 1, index - self.text.rfind("\n", 0, index)


@dataclass(slots=True)
class Node:
    """A value and where it stands: `line` and `column` count from 1, `start` and `end` are indexes into the text.

    `items` are the nodes of a mapping (by key) or of a list (by index), `keys` the places of a mapping's keys.
    `size` counts the values in it with aliases expanded.
    """

    source: Source
    value: Any
    line: int
    column: int
    start: int
    end: int
    items: Mapping[Key, Node] = field(default_factory=lambda: _NO_ITEMS)
    keys: Mapping[str, tuple[int, int]] = field(default_factory=lambda: _NO_KEYS)
    size: int = 1

    def find(self, where: Where) -> Node:
        """The node at a path, or the nearest one above it that the file has."""
        node = self
        for key in where:
            if key not in node.items:
                break
            node = node.items[key]
        return node

    def place_of(self, snippet: str, offset: int) -> tuple[int, int]:
        """Line and column of a snippet that stands at `offset` in this text, or those where the text begins."""
        before = self.value.count(snippet, 0, offset)
        index = self.start - len(snippet)
        for _ in range(before + 1):
            index = self.source.text.find(snippet, index + len(snippet), self.end)
            if index < 0:
                return self.line, self.column
        return self.source.place(index)

    def problem(self, where: Where, what: str, todo: str = "", *, at: tuple[int, int] | None = None) -> Problem:
        """A problem of this value, or `at` a line and column of the same file."""
        line, column = at or (self.line, self.column)
        return Problem(self.source.file, line, column, path_text(where), what, todo)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds: its root, and problems (such as a key given twice) with which the rest could still be read."""

    root: Node
    problems: tuple[Problem, ...]


def path_text(where: Where) -> str:
    """`scenes[2].seed` for `("scenes", 2, "seed")`."""
    text = ""
    for key in where:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def read_yaml(file: Path) -> Document:
    """The document in a file. Raises AuthoringError when there is none that can be read."""
    return parse_yaml(Source(file, _read_text(file)))


def parse_yaml(source: Source) -> Document:
    """The document in a text. Raises AuthoringError when there is none that can be read."""
    builder = _Builder(source)
    try:
        root = builder.document()
    except yaml.YAMLError as error:
        line, column, what, todo = explain(error, source.text)
        raise AuthoringError([*builder.problems, Problem(source.file, line, column, "", what, todo)]) from error
    except _Stop as stop:
        raise AuthoringError([*builder.problems, stop.problem]) from None
    return Document(root, tuple(builder.problems))


def merged(root: Node, items: Mapping[Key, Node], keys: Mapping[str, tuple[int, int]]) -> Node:
    """A mapping that stands where `root` does but has these items: each keeps its own file and place."""
    value = {key: node.value for key, node in items.items()}
    size = 1 + sum(node.size for node in items.values())
    return Node(root.source, value, root.line, root.column, root.start, root.end, dict(items), dict(keys), size)


def _alike(file: Path) -> str:
    """Which file may be meant: one of that name in `storyboards/`, or one beside it of a name that is close."""
    for shelved in (Path("storyboards") / file.name, Path("storyboards") / f"{file.name}.yaml"):
        if shelved.is_file():
            return f'Did you mean "{shelved.as_posix()}"?'
    near = [path.name for path in file.parent.glob("*.y*ml")] if file.parent.is_dir() else []
    return did_you_mean(file.name, near)


def _read_text(file: Path) -> str:
    def stop(what: str, todo: str = "", line: int = 1, column: int = 1) -> AuthoringError:
        return AuthoringError([Problem(file, line, column, "", what, todo)])

    try:
        if not file.exists():
            raise stop("there is no such file.", _alike(file))
        if not file.is_file():
            raise stop("this is not a file.", "Name a YAML file.")
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise stop(f"the file can't be read: {reason}.") from error
    if len(data) > MAX_BYTES:
        raise stop(f"the file is larger than {MAX_BYTES // 2**20} MB.", "Split the story into several files.")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
        raise stop(
            f"this is not UTF-8 text (byte {error.start} is 0x{data[error.start]:02x}).",
            "Save the file as UTF-8.",
            line,
            column,
        ) from error
    if unreadable := _UNREADABLE.search(text):
        line, column = Source(file, text).place(unreadable.start())
        name = f"U+{ord(unreadable[0]):04X}"
        raise stop(f"the file holds the control character {name}.", "Remove it.", line, column)
    return text


class _Stop(Exception):
    """Reading can't go on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Builder:
    """Builds nodes from the parser's events, so that no limit is checked too late."""

    source: Source
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)
    where: list[Key] = field(default_factory=list)
    events: Iterator[_Event] = field(default_factory=lambda: iter(()))
    nodes: int = 0

    def document(self) -> Node:
        self.events = yaml.parse(self.source.text, Loader=_LOADER)
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise _Stop(Problem(self.source.file, 1, 1, "", "the file is empty.", "`storyboard new` writes a story."))
        root = self.node(next(self.events))
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Stop(self.problem(event, "a second document begins here.", "Remove `---`: a file is one document."))
        return root

    def node(self, event: _Event) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            todo = "Remove the tag; to make a text of something else, put it in quotes."
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.append(self.problem(event, f'tags such as "{tag}" are not read.', todo))
        self.grow(1, event)
        start = event.start_mark
        node = Node(self.source, None, start.line + 1, start.column + 1, start.index, event.end_mark.index)
        if isinstance(event, yaml.ScalarEvent):
            node.value = plain_value(event.value) if event.implicit[0] else event.value
        else:
            if len(self.where) >= MAX_DEPTH:
                raise _Stop(self.problem(event, f"nested deeper than {MAX_DEPTH} levels."))
            if event.anchor is not None:
                self.anchors[event.anchor] = None
            (self.mapping if isinstance(event, yaml.MappingStartEvent) else self.sequence)(node)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def sequence(self, node: Node) -> None:
        items: dict[Key, Node] = {}
        self.where.append(0)
        for index, event in enumerate(self.events):
            if isinstance(event, yaml.SequenceEndEvent):
                break
            self.where[-1] = index
            items[index] = item = self.node(event)
            node.size += item.size
        self.where.pop()
        node.items, node.value = items, [item.value for item in items.values()]

    def mapping(self, node: Node) -> None:
        items: dict[Key, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        inherited: list[Node] = []
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.key(event)
            at = (event.start_mark.line + 1, event.start_mark.column + 1)
            self.where.append(key)
            item = self.node(next(self.events))
            node.size += item.size
            if key == "<<" and event.implicit[0]:
                inherited.extend(self.inherited(item))
            elif key in items:
                what = f'the key "{key}" is given twice (first in line {keys[key][0]}).'
                self.problems.append(item.problem(tuple(self.where), what, "Keep one of them.", at=at))
            else:
                items[key], keys[key] = item, at
            self.where.pop()
        for mapping in inherited:
            for name, place in mapping.keys.items():
                items.setdefault(name, mapping.items[name])
                keys.setdefault(name, place)
        node.items, node.keys, node.value = items, keys, {name: item.value for name, item in items.items()}

    def key(self, event: _Event) -> str:
        """The text of a key; anything else stops the reading, since what follows could not be named."""
        value = event.value if isinstance(event, yaml.ScalarEvent) else None
        if value is None or not isinstance(plain_value(value) if event.implicit[0] else value, str):
            shown = f"here it is {value}" if value else "here it is not"
            todo = f'Write it in quotes: "{value}".' if value else 'A text that begins with "{" or "[" needs quotes.'
            raise _Stop(self.problem(event, f"a key has to be text; {shown}.", todo))
        return str(value)

    def inherited(self, item: Node) -> list[Node]:
        mappings = list(item.items.values()) if isinstance(item.value, list) else [item]
        if all(isinstance(mapping.value, dict) for mapping in mappings):
            return mappings
        where = tuple(self.where)
        self.problems.append(item.problem(where, "only mappings can be merged.", "Write <<: *name of a mapping."))
        return []

    def alias(self, event: _Event) -> Node:
        hint = 'A text that begins with "*" needs quotes.'
        if event.anchor not in self.anchors:
            raise _Stop(self.problem(event, f'there is no "&{event.anchor}" before this "*{event.anchor}".', hint))
        node = self.anchors[event.anchor]
        if node is None:
            raise _Stop(self.problem(event, f'"*{event.anchor}" stands inside what it refers to.', "Write it out."))
        self.grow(node.size, event)
        return node

    def grow(self, size: int, event: _Event) -> None:
        self.nodes += size
        if self.nodes > MAX_NODES:
            raise _Stop(self.problem(event, f"the file holds more than {MAX_NODES:,} values, aliases written out."))

    def problem(self, event: _Event, what: str, todo: str = "") -> Problem:
        mark = event.start_mark
        return Problem(self.source.file, mark.line + 1, mark.column + 1, path_text(tuple(self.where)), what, todo)


def plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted value means by YAML 1.2's core schema."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text) if _FLOAT.fullmatch(text) else text

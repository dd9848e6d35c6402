"""Templates: text with braces, understood.

`{mei}` stands for a character, `{a|b}` is a wildcard of which a seed chooses one option (options nest, and white space
at their ends doesn't count), `{{` and `}}` are literal braces; inside a wildcard literal braces come as a pair,
`{a|{{b}}}`, since a lone `}}` there closes two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

MAX_NESTING = 16
"""Deepest nesting of wildcards, and of characters that refer to characters."""

_BRACE = re.compile(r"[{}|]")


class TemplateError(ValueError):
    """A template that can't be read: `snippet`, at `offset` in it, is where it goes wrong."""

    def __init__(self, what: str, todo: str, snippet: str, offset: int) -> None:
        super().__init__(f"{what} {todo}".strip())
        self.what, self.todo, self.snippet, self.offset = what, todo, snippet, offset


@dataclass(frozen=True, slots=True)
class Reference:
    """A character's name in braces, and the offset of its brace in the template."""

    name: str
    source: str
    start: int


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A choice: its own text with its braces, its options, its ordinal among equal texts of the template."""

    source: str
    start: int
    options: tuple[Nodes, ...]
    ordinal: int = 0

    def choose(self, seed: int) -> Nodes:
        """The option that a seed chooses. This rule decides keys: it never changes."""
        digest = sha256(f"{seed}\n{self.source}\n{self.ordinal}".encode()).digest()
        return self.options[int.from_bytes(digest[:8], "big") % len(self.options)]


Nodes = tuple[str | Reference | Wildcard, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A text with its braces understood."""

    source: str
    nodes: Nodes

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every character that is named, in the order of the text, also in options that may not be chosen."""
        return tuple(_references(self.nodes))


def parse_template(source: str) -> Template:
    """The template that a text is. Raises TemplateError where a brace is left open, closes nothing, or is empty."""
    if "{" not in source and "}" not in source:
        return Template(source, (source,) if source else ())
    return Template(source, _numbered(_Parser(source).text(), Counter()))


def escape(text: str) -> str:
    """The template that stands for exactly this text."""
    return text.replace("{", "{{").replace("}", "}}")


class _Parser:
    """Reads one template from left to right."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0

    def text(self) -> Nodes:
        """The whole template: here doubled braces are literal."""
        nodes: list[str | Reference | Wildcard] = []
        while self.position < len(self.source):
            found = _BRACE.search(self.source, self.position)
            if found is None:
                nodes.append(self.source[self.position :])
                break
            nodes.append(self.source[self.position : found.start()])
            self.position = found.start()
            if found[0] == "|" or self.source.startswith(found[0] * 2, self.position):
                nodes.append(found[0])
                self.position += 1 if found[0] == "|" else 2
            elif found[0] == "{":
                nodes.extend(self.braces(1))
            else:
                raise self.closes_nothing()
        return _compact(nodes)

    def option(self, depth: int) -> Nodes:
        nodes: list[str | Reference | Wildcard] = []
        while found := _BRACE.search(self.source, self.position):
            nodes.append(self.source[self.position : found.start()])
            self.position = found.start()
            if found[0] != "{":
                break
            nodes.extend(self.braces(depth + 1))
        return trimmed(_compact(nodes))

    def braces(self, depth: int) -> Nodes:
        start = self.position
        if depth > MAX_NESTING:
            raise TemplateError(f"braces nest deeper than {MAX_NESTING}.", "Write it more simply.", "{", start)
        options: list[Nodes] = []
        while not options or self.source.startswith("|", self.position):
            self.position += 1
            options.append(self.option(depth))
        if not self.source.startswith("}", self.position):
            raise TemplateError('this "{" is never closed.', 'Add "}"; for a literal brace write {{.', "{", start)
        self.position += 1
        source = self.source[start : self.position]
        return (
            (Wildcard(source, start, tuple(options)),) if len(options) > 1 else self.single(source, start, options[0])
        )

    def single(self, source: str, start: int, content: Nodes) -> Nodes:
        """Braces without a choice: a character's name, or doubled braces inside a wildcard."""
        name = source[1:-1]
        if not name.strip():
            raise TemplateError(
                "the braces are empty.", "Write {name}, {this|that}, or {{}} for literal braces.", source, start
            )
        if "{" not in name:
            return (Reference(name.strip(), source, start),)
        match content:
            case (Reference(inner, written),) if written == name:
                return ("{" + inner + "}",)
            case (Wildcard() as wildcard,) if wildcard.source == name:
                inside = [node for option in wildcard.options for node in ("|", *option)][1:]
                return _compact(["{", *inside, "}"])
        todo = "Write {name} for a character, {this|that} for a choice, {{ and }} for literal braces."
        raise TemplateError("these braces hold neither a name nor a choice.", todo, source, start)

    def closes_nothing(self) -> TemplateError:
        todo = "For a literal brace write }}."
        if "{{" in self.source[: self.position]:
            todo = '"{{" is a literal brace: where one brace follows another, put a space between: { {a}|{b}}.'
        return TemplateError('this "}" closes nothing.', todo, "}", self.position)


def _compact(nodes: Iterable[str | Reference | Wildcard]) -> Nodes:
    """The same nodes with neighbouring texts made one."""
    compact: list[str | Reference | Wildcard] = []
    for is_text, group in groupby(nodes, lambda node: isinstance(node, str)):
        run = list(group)
        compact.extend(["".join(map(str, run))] if is_text else run)
    return tuple(node for node in compact if node)


def trimmed(nodes: Nodes) -> Nodes:
    """The same nodes without white space at the ends."""
    ends = list(nodes)
    if ends and isinstance(ends[0], str):
        ends[0] = ends[0].lstrip()
    if ends and isinstance(ends[-1], str):
        ends[-1] = ends[-1].rstrip()
    return _compact(ends)


def _numbered(nodes: Nodes, seen: Counter[str]) -> Nodes:
    """The same nodes, each wildcard with its ordinal among equal texts, in the order in which they begin."""
    numbered: list[str | Reference | Wildcard] = []
    for node in nodes:
        if isinstance(node, Wildcard):
            ordinal = seen[node.source]
            seen[node.source] += 1
            options = tuple(_numbered(option, seen) for option in node.options)
            node = Wildcard(node.source, node.start, options, ordinal)
        numbered.append(node)
    return tuple(numbered)


def has_choice(template: Template, cast: Mapping[str, Template]) -> bool:
    """Whether a seed decides what a template becomes: a wildcard is in it, or in a character that it brings in."""
    return any(
        isinstance(node, Wildcard) or (isinstance(node, Reference) and has_choice(cast[node.name], cast))
        for node in template.nodes
    )


def _references(nodes: Nodes) -> Iterator[Reference]:
    for node in nodes:
        if isinstance(node, Reference):
            yield node
        elif isinstance(node, Wildcard):
            for option in node.options:
                yield from _references(option)

"""Prompts: characters, wildcards and style become the text that is painted, each part tagged with its origin.

A template is text with braces. `{mei}` stands for a character, `{a|b}` is a wildcard of which a seed chooses one
option (options nest, and white space at their ends doesn't count), `{{` and `}}` are literal braces; inside a wildcard
literal braces come as a pair, `{a|{{b}}}`, since a lone `}}` there closes two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

Origin = Literal["style", "board", "scene", "character", "wildcard"]

MAX_NESTING = 16
"""Deepest nesting of wildcards, and of characters that refer to characters."""
MAX_LENGTH = 1_000_000
"""Longest text, in characters, that a template may become: characters that double each other stop here."""

_BRACE = re.compile(r"[{}|]")
_FULL_STOPS = "，。；、！？："
_HALF_STOPS = ",.;!?:"
_CJK = re.compile("[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a final prompt and where it came from; `name` is the character's, or the wildcard's own text."""

    text: str
    origin: Origin
    name: str = ""


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


@dataclass(slots=True)
class Expansion:
    """What a template becomes for one seed: its parts, and the characters in it in order of appearance."""

    parts: list[Part] = field(default_factory=list)
    characters: dict[str, None] = field(default_factory=dict)


def parse_template(source: str) -> Template:
    """The template that a text is. Raises TemplateError where a brace is left open, closes nothing, or is empty."""
    if "{" not in source and "}" not in source:
        return Template(source, (source,) if source else ())
    return Template(source, _numbered(_Parser(source).text(), Counter()))


def expand(template: Template, seed: int, cast: Mapping[str, Template], origin: Origin, name: str = "") -> Expansion:
    """What a template becomes for one seed, white space at its ends removed; `origin` and `name` tag its own text.

    Every template, also a character's, is a scope of its own: its wildcards are counted in it alone, so that a
    character looks the same in all scenes of a seed. `cast` has passed `measure_cast`.
    """
    expansion = Expansion()
    _expand(template.nodes, seed, cast, origin, name, expansion)
    expansion.parts = _stripped(expansion.parts)
    return expansion


def join(pieces: Iterable[Sequence[Part]]) -> tuple[Part, ...]:
    """One text from several (style and prompt, or negatives): empty ones left out, `，` or `, ` between the others.

    A piece that ends in punctuation gets nothing after a full-width mark, a space after a half-width one. The comma is
    full-width when what stands before or after it holds Chinese or Japanese. This rule decides keys: it never changes.
    """
    joined: list[Part] = []
    for piece in pieces:
        if joined and piece:
            last = joined[-1]
            separator = _separator(text_of(joined), text_of(piece))
            joined[-1] = Part(last.text + separator, last.origin, last.name)
        joined.extend(piece)
    return tuple(joined)


def text_of(parts: Iterable[Part]) -> str:
    """The text that parts make."""
    return "".join(part.text for part in parts)


def escape(text: str) -> str:
    """The template that stands for exactly this text."""
    return text.replace("{", "{{").replace("}", "}}")


def measure_cast(cast: Mapping[str, Template]) -> tuple[dict[str, int], dict[str, str]]:
    """How long each character's text can become, for `longest`; and by name what is wrong with those that never end.

    Names that are not in the cast are not looked at.
    """
    waiting = {name: {ref.name for ref in template.references} & cast.keys() for name, template in cast.items()}
    level: dict[str, int] = {}
    lengths: dict[str, int] = {}
    while ready := [name for name, needs in waiting.items() if needs <= level.keys()]:
        for name in ready:
            level[name] = 1 + max((level[need] for need in waiting.pop(name)), default=0)
            lengths[name] = longest(cast[name], lengths)
    problems = {name: _why_endless(name, waiting) for name in waiting}
    for name in level:
        if level[name] > MAX_NESTING:
            problems[name] = f"refers to characters that refer to characters, more than {MAX_NESTING} deep."
        elif lengths[name] > MAX_LENGTH:
            problems[name] = f"becomes longer than {MAX_LENGTH:,} characters."
    return lengths, problems


def longest(template: Template, lengths: Mapping[str, int]) -> int:
    """An upper bound, in characters, of what a template becomes, given that of each character."""
    return _longest(template.nodes, lengths)


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
        return _trimmed(_compact(nodes))

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
    compact: list[str | Reference | Wildcard] = []
    for node in nodes:
        if isinstance(node, str) and compact and isinstance(compact[-1], str):
            compact[-1] += node
        elif node:
            compact.append(node)
    return tuple(compact)


def _trimmed(nodes: Nodes) -> Nodes:
    """An option without white space at its ends."""
    trimmed = list(nodes)
    if trimmed and isinstance(trimmed[0], str):
        trimmed[0] = trimmed[0].lstrip()
    if trimmed and isinstance(trimmed[-1], str):
        trimmed[-1] = trimmed[-1].rstrip()
    return _compact(trimmed)


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


def _references(nodes: Nodes) -> Iterator[Reference]:
    for node in nodes:
        if isinstance(node, Reference):
            yield node
        elif isinstance(node, Wildcard):
            for option in node.options:
                yield from _references(option)


def _expand(
    nodes: Nodes, seed: int, cast: Mapping[str, Template], origin: Origin, name: str, expansion: Expansion
) -> None:
    for node in nodes:
        if isinstance(node, str):
            expansion.parts.append(Part(node, origin, name))
        elif isinstance(node, Reference):
            expansion.characters.setdefault(node.name)
            _expand(_trimmed(cast[node.name].nodes), seed, cast, "character", node.name, expansion)
        else:
            _expand(node.choose(seed), seed, cast, "wildcard", node.source, expansion)


def _stripped(parts: Iterable[Part]) -> list[Part]:
    stripped = [part for part in parts if part.text]
    while stripped and not (text := stripped[0].text.lstrip()):
        stripped.pop(0)
    if stripped:
        stripped[0] = Part(text, stripped[0].origin, stripped[0].name)
    while stripped and not (text := stripped[-1].text.rstrip()):
        stripped.pop()
    if stripped:
        stripped[-1] = Part(text, stripped[-1].origin, stripped[-1].name)
    return stripped


def _separator(left: str, right: str) -> str:
    if left[-1] in _FULL_STOPS:
        return ""
    if left[-1] in _HALF_STOPS:
        return " "
    return "，" if _CJK.search(left) or _CJK.search(right) else ", "


def _longest(nodes: Nodes, lengths: Mapping[str, int]) -> int:
    length = 1
    for node in nodes:
        if isinstance(node, str):
            length += len(node)
        elif isinstance(node, Reference):
            length += lengths.get(node.name, 1)
        else:
            length += max(_longest(option, lengths) for option in node.options)
    return length


def _why_endless(name: str, waiting: Mapping[str, set[str]]) -> str:
    """The way from a character that never ends back to itself, or into a circle of others."""
    path = [name]
    while (following := min(need for need in waiting[path[-1]] if need in waiting)) not in path:
        path.append(following)
    circle = " → ".join(f"{{{step}}}" for step in [*path[path.index(following) :], following])
    return f"refers to itself: {circle}." if following == name else f"refers to characters that never end: {circle}."

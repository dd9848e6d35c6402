"""Prompts: characters, wildcards and style become the text that is painted, each part tagged with its origin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from renderer.reading.template import MAX_NESTING, Nodes, Reference, Template, trimmed

Origin = Literal["style", "board", "scene", "character", "wildcard"]

MAX_LENGTH = 1_000_000
"""Longest text, in characters, that a template may become: characters that double each other stop here."""

_FULL_STOPS = "，。；、！？："
_HALF_STOPS = ",.;!?:"
_CJK = re.compile("[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a final prompt and where it came from; `name` is the character's, or the wildcard's own text."""

    text: str
    origin: Origin
    name: str = ""


@dataclass(slots=True)
class Expansion:
    """What a template becomes for one seed: its parts, and the characters in it in order of appearance."""

    parts: list[Part] = field(default_factory=list)
    characters: dict[str, None] = field(default_factory=dict)


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


def measure_cast(cast: Mapping[str, Template]) -> tuple[dict[str, int], dict[str, str]]:
    """How long each character's text can become, for `longest`; and what is wrong with those that can't be expanded.

    The latter go by name; of those that only refer to one that is wrong the text is empty. Names that are not in the
    cast are not looked at.
    """
    waiting = {name: {ref.name for ref in template.references} & cast.keys() for name, template in cast.items()}
    lengths: dict[str, int] = {}
    for _ in range(MAX_NESTING):
        for name in [name for name, needs in waiting.items() if needs <= lengths.keys()]:
            lengths[name] = longest(cast[name], lengths)
            del waiting[name]
    problems = _endless(waiting)
    for name, length in lengths.items():
        if length > MAX_LENGTH:
            first = all(lengths[ref.name] <= MAX_LENGTH for ref in cast[name].references if ref.name in lengths)
            problems[name] = (
                f"becomes longer than {MAX_LENGTH:,} characters. Describe it more directly." if first else ""
            )
    return lengths, problems


def longest(template: Template, lengths: Mapping[str, int]) -> int:
    """An upper bound, in characters, of what a template becomes, given that of each character."""
    return _longest(template.nodes, lengths)


def _expand(
    nodes: Nodes, seed: int, cast: Mapping[str, Template], origin: Origin, name: str, expansion: Expansion
) -> None:
    for node in nodes:
        if isinstance(node, str):
            expansion.parts.append(Part(node, origin, name))
        elif isinstance(node, Reference):
            expansion.characters.setdefault(node.name)
            _expand(trimmed(cast[node.name].nodes), seed, cast, "character", node.name, expansion)
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


def _endless(waiting: Mapping[str, set[str]]) -> dict[str, str]:
    """What is wrong with characters that still wait for each other: one in each circle, or at the end of each chain."""
    problems = dict.fromkeys(waiting, "")
    seen: set[str] = set()
    for name in waiting:
        path: dict[str, None] = {}
        following: str | None = name
        while following is not None and following not in seen:
            seen.add(following)
            path[following] = None
            following = min((need for need in waiting[following] if need in waiting), default=None)
        steps = list(path)
        if following in path:
            circle = [*steps[steps.index(following) :], following]
            shown = circle if len(circle) < 9 else [*circle[:4], "…", *circle[-4:]]
            way = " → ".join(shown)
            problems[following] = f"refers to itself: {way}. Take one of these names out."
        elif following is None:
            deep = f"refers to characters that refer to characters, more than {MAX_NESTING} deep."
            problems[steps[-1]] = f"{deep} Describe it more directly."
    return problems

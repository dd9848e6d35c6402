"""Slips of the keyboard that YAML and templates take for text: full-width signs, curly quotes, a ` #` in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from renderer.reading.template import Nodes, Template, Wildcard
from renderer.reading.yaml_file import Node

_SIGNS = re.compile("[｛｝｜“]")
_QUOTED = re.compile(r"\s*“[^“”]*”\s*")
_CUT_OFF = re.compile(r"[ \t]+#(?=[^\s#!])([^\n]*)")


@dataclass(frozen=True, slots=True)
class Slip:
    """What hardly is as it is meant; `sign` at `offset` of the text, '' for all of it."""

    what: str
    todo: str
    sign: str = ""
    offset: int = 0


def slips_of(template: Template, node: Node) -> Iterator[Slip]:
    """The slips in a text; `node` is where it is written."""
    text = template.source
    if _SIGNS.search(text):
        yield from _braces(text)
        yield from _bars(template.nodes)
        if _QUOTED.fullmatch(text):
            what = "the whole text stands in curly quotes “”: they are painted along with it."
            yield Slip(what, 'To quote a text for YAML write ", half-width.')
    cut = _cut_off(node)
    if cut:
        yield Slip(f'" #" begins a comment: "{cut}" is not read.', "Put the whole text in quotes if it belongs to it.")


def _braces(text: str) -> Iterator[Slip]:
    found = re.search("[｛｝]", text)
    if found:
        what = f"“{found[0]}” is full-width: it is painted as it stands."
        yield Slip(what, "Write { and }, half-width, around a name or a choice.", found[0], found.start())


def _bars(nodes: Nodes) -> Iterator[Slip]:
    """One for each choice with a ｜ in it."""
    for node in nodes:
        if not isinstance(node, Wildcard):
            continue
        if any(isinstance(part, str) and "｜" in part for option in node.options for part in option):
            offset = node.start + node.source.index("｜")
            yield Slip("“｜” is full-width: it separates nothing here.", "Write |, half-width.", "｜", offset)
        for option in node.options:
            yield from _bars(option)


def _cut_off(node: Node) -> str:
    """What a comment takes away from an unquoted text: `#1 in the park`; '' where it looks like a real comment."""
    source = node.source.text
    if not isinstance(node.value, str) or source[node.start : node.start + 1] in ("", '"', "'", "|", ">", "*", "&"):
        return ""
    found = _CUT_OFF.match(source, node.end)
    return f"#{found[1].strip()}"[:40] if found else ""

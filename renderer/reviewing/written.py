"""A YAML text as it is written: where each value stands, in which style, and which values are only repeated (`*name`).

`reading/yaml_file.py` says what a file means; this says where a hand would put the pen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


@dataclass(slots=True)
class Written:
    """A value as it is written, from `start` up to `end` in the text.

    `quote` opens a scalar that is quoted. After one that is not `closed` no line can be added without changing it.
    """

    kind: Literal["scalar", "list", "mapping", "alias"]
    start: int
    end: int
    text: str = ""
    quote: str = ""
    flow: bool = False
    closed: bool = True
    items: list[Written] = field(default_factory=list)
    pairs: list[tuple[Written, Written]] = field(default_factory=list)

    def pair(self, name: str) -> tuple[Written, Written] | None:
        """Key and value of that name, where this mapping itself has them."""
        return next((pair for pair in self.pairs if pair[0].kind == "scalar" and pair[0].text == name), None)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """From where to where each entry of a list or a mapping goes."""
        return [(key.start, value.end) for key, value in self.pairs] or [(item.start, item.end) for item in self.items]


def read_written(text: str) -> Written:
    """The root of a text that is known to be one valid document."""
    events = yaml.parse(text, Loader=_LOADER)
    next(events)
    next(events)
    return _value(events, next(events), text)


def _value(events: Iterator[Any], event: Any, text: str) -> Written:  # noqa: ANN401
    start, end = event.start_mark.index, event.end_mark.index
    if isinstance(event, yaml.AliasEvent):
        return Written("alias", start, end, str(event.anchor))
    if isinstance(event, yaml.ScalarEvent):
        return _block_scalar(event, text) if event.style in ("|", ">") else _scalar(event)
    written = Written("list", start, end, flow=bool(event.flow_style))
    if isinstance(event, yaml.SequenceStartEvent):
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            written.items.append(_value(events, event, text))
    else:
        written.kind = "mapping"
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = _value(events, event, text)
            written.pairs.append((key, _value(events, next(events), text)))
    last = written.pairs[-1][1] if written.pairs else written.items[-1] if written.items else None
    if written.flow:
        written.end = event.end_mark.index
    elif last is not None:
        # The parser lets a block end where the next thing begins, behind all comments in between.
        written.end, written.closed = last.end, last.closed
    return written


def _scalar(event: Any) -> Written:  # noqa: ANN401
    quote = event.style if event.style in ("'", '"') else ""
    return Written("scalar", event.start_mark.index, event.end_mark.index, event.value, quote)


def _block_scalar(event: Any, text: str) -> Written:  # noqa: ANN401
    """Its lines end with the last that has something in it, unless it keeps what follows (`|+`) or ends the file."""
    start, stop = event.start_mark.index, event.end_mark.index
    end = start + len(text[start:stop].rstrip())
    header = text[start : line_end(text, start)].partition("#")[0]
    closed = "+" not in header and not text[end:stop].strip("\r\n") and line_end(text, end) < len(text)
    return Written("scalar", start, end, event.value, closed=closed)


def line_start(text: str, index: int) -> int:
    """Where the line of a character begins."""
    start = 0
    for found in _BREAK.finditer(text, max(0, text.rfind("\n", 0, index)), index):
        start = found.end()
    return start


def line_end(text: str, index: int) -> int:
    """Where the line of a character ends, before its line break."""
    found = _BREAK.search(text, index)
    return found.start() if found else len(text)


def line_break(text: str, index: int) -> str:
    """The line break that ends a line, or (in a last line without one) that of the first line."""
    found = _BREAK.match(text, line_end(text, index)) or _BREAK.search(text)
    return found[0] if found else "\n"


def after_line(text: str, index: int) -> int:
    """Where the line after that of a character begins."""
    end = line_end(text, index)
    found = _BREAK.match(text, end)
    return found.end() if found else end


def comment_in(text: str, start: int, end: int) -> str:
    """The comment in a piece of one line that has no other text with a `#`, or ''."""
    found = _COMMENT.search(text[start:end])
    return found[0] if found else ""

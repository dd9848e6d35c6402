"""Entries taken out of `{…}` and `[…]`, with a comma each and no comment lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

from renderer.reviewing.splices import OddlyWrittenError, Splice, before_blanks, clear_lines
from renderer.reviewing.written import Written, comment_in, line_end, line_start

_COMMA = re.compile(r"(?:\s#[^\r\n]*|[^,])*?,")
_BLANKS = re.compile(r"[ \t]*")


def drop_flow(text: str, written: Written, dropped: set[int]) -> Iterator[Splice]:
    """Entries of a `{…}` or `[…]` taken out with a comma each; at least one has to stay."""
    spans = written.spans
    trailing = _comma(text, spans[-1][1], written.end)
    last_kept = max(set(range(len(spans))) - dropped)
    for index in sorted(dropped):
        start, end = spans[index]
        if index < last_kept or trailing is not None:
            behind = _comma(text, end, spans[index + 1][0]) if index + 1 < len(spans) else trailing
            yield from _with_comma_behind(text, start, end, behind)
        else:
            yield from _with_comma_before(text, start, end, _comma(text, spans[index - 1][1], start))


def _with_comma_behind(text: str, start: int, end: int, comma: int | None) -> Iterator[Splice]:
    if comma is None:
        raise OddlyWrittenError
    if text[end:comma].strip(" \t"):
        yield Splice(start, end, "")
        yield Splice(comma, comma + 1, "")
        return
    if _alone(text, start, comma + 1):
        yield clear_lines(text, start, comma + 1)
        return
    upto = _skip_blanks(text, comma + 1)
    if upto == line_end(text, upto):
        start = before_blanks(text, start)
    yield Splice(start, upto, "")


def _with_comma_before(text: str, start: int, end: int, comma: int | None) -> Iterator[Splice]:
    if comma is None:
        raise OddlyWrittenError
    if not text[comma + 1 : start].strip(" \t"):
        yield Splice(comma, end, "")
        return
    yield Splice(comma, comma + 1, "")
    yield clear_lines(text, start, end) if _alone(text, start, end) else Splice(start, end, "")


def _alone(text: str, start: int, end: int) -> bool:
    """Whether nothing else but a comment stands in the line of a piece of text that is in one line."""
    lead, rest = text[line_start(text, start) : start], text[end : line_end(text, end)]
    return not lead.strip() and not rest.removesuffix(comment_in(rest, 0, len(rest))).strip()


def _comma(text: str, after: int, before: int) -> int | None:
    found = _COMMA.match(text, after, before)
    return found.end() - 1 if found else None


def _skip_blanks(text: str, index: int) -> int:
    found = _BLANKS.match(text, index)
    return found.end() if found else index

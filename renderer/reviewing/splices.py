"""Small cuts in a text: every character outside them is left where it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from renderer.reviewing.written import after_line, comment_in, line_break, line_end, line_start


class Splice(NamedTuple):
    """What stands from `start` up to `end` gives way to `text`."""

    start: int
    end: int
    text: str


class OddlyWrittenError(Exception):
    """The text is valid, but written so that no small cut will do."""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text with these cuts made. They must not overlap."""
    pieces: list[str] = []
    done = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        if start < done:
            raise OddlyWrittenError
        pieces += (text[done:start], new)
        done = end
    return "".join((*pieces, text[done:]))


def clear_lines(text: str, begin: int, end: int) -> Splice:
    """Whole lines taken out, from `begin`, with which one starts, to that of `end`; each leaves its comment behind."""
    start, stop = line_start(text, begin), after_line(text, end)
    comments = comments_in(text, begin, stop)
    return Splice(start, stop, "".join(text[start:begin] + comment + line_break(text, end) for comment in comments))


def comments_in(text: str, start: int, end: int) -> list[str]:
    """The comments in lines that have no other text with a `#`."""
    comments = []
    while start < end:
        comments.append(comment_in(text, start, min(end, line_end(text, start))))
        start = after_line(text, start)
    return [comment for comment in comments if comment]


def before_blanks(text: str, index: int) -> int:
    """Where the blanks before a character of a line begin."""
    start = line_start(text, index)
    return start + len(text[start:index].rstrip(" \t"))

"""Dialogue as captions of a film: broken into lines that fit, and shown one after another where it is long."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

from renderer.looking.captions import line_width, plain

LINES = 2
"""Lines that are seen at once: more hide the picture."""

PAGE_SECONDS = 1.5
"""The least time for which a caption of a long dialogue stays."""

_WIDE = "\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_CLOSING = "，。、；：？！…—”’」』）】》〉～·,.;:?!)\\]}"
_PIECES = re.compile(f"[{_WIDE}][{_CLOSING}]*|[^\\s{_WIDE}]+|\\s+")
"""What may stand at the end of a line: a word, or a hanzi with the closing marks that never begin one."""


def caption_pages(text: str, width: int, size: int, seconds: float) -> list[list[str]]:
    """What is seen of a dialogue in `seconds`, at most two lines at a time; [[]] where nothing is said.

    `width` is that of a line and `size` that of the letters, both in pixels. What there is no time for ends in `…`.
    """
    most = max(1, int(seconds / PAGE_SECONDS)) * LINES
    lines = _balanced(text, width, size, most + 1)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1].rstrip(' .…')}…"]
    return [lines[start : start + LINES] for start in range(0, len(lines), LINES)] or [[]]


def _balanced(text: str, width: int, size: int, most: int) -> list[str]:
    """`text` in at most `most` lines; two are about equally long, so that no single hanzi stands on the second."""

    def lines(room: int) -> list[str]:
        return list(islice(wrapped(text, lambda line: line_width(line, size) <= room), most))

    found = lines(width)
    if len(found) != 2 or "\n" in text.strip():
        return found
    tight, wide = 0, width
    while tight + 1 < wide:  # the narrowest room in which two lines are enough
        middle = (tight + wide) // 2
        tight, wide = (tight, middle) if len(lines(middle)) == 2 else (middle, wide)
    return lines(wide)


def wrapped(text: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """`text` in lines that fit, broken between words or hanzi, or inside a word that is too long for a line."""
    for paragraph in text.splitlines():
        line = ""
        for piece in _PIECES.findall(paragraph):
            while not fits(plain(line + piece)):
                if plain(line):
                    yield plain(line)
                    line, piece = "", piece.lstrip()
                else:
                    head = _longest(piece, fits)
                    yield head
                    piece = piece[len(head) :]
            line += piece
        if plain(line):
            yield plain(line)


def _longest(word: str, fits: Callable[[str], bool]) -> str:
    """The longest beginning of a word that fits, at least a character."""
    low, high = 1, min(len(word), 400)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(word[:middle]) else (low, middle - 1)
    return word[:low]

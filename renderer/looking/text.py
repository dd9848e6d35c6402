"""How the sheet writes texts, moments and lengths of time."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def visible(value: object) -> object:
    """Text with � for control characters and for what UTF-8 or HTML can't hold; other values as they are."""
    return _HIDDEN.sub("\ufffd", value) if isinstance(value, str) and _HIDDEN.search(value) else value


def moment(iso: str) -> str:
    """`2026-05-04T03:02:01+00:00` as people read it; other text as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)", iso)
    return f"{found[1]} {found[2]} UTC" if found else iso


def clock(seconds: float, unit: str = "s") -> str:
    """Seconds as `4.5 s` below a minute, then as `1:05`, then as `1:00:05`; `unit` is the word for seconds."""
    if seconds < 59.95:
        return f"{round(seconds, 1):g} {unit}".rstrip()
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def timecode(seconds: float) -> str:
    """A moment of the story, `0:04` or `0:04.5`: minutes and seconds since it began, with hours where it is long."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths // 10, 60)
    hours, minutes = divmod(minutes, 60)
    part = f".{tenths % 10}" if tenths % 10 else ""
    return f"{hours}:{minutes:02}:{rest:02}{part}" if hours else f"{minutes}:{rest:02}{part}"


def shortened(text: str, columns: int) -> str:
    """`text`, or as much of its beginning as takes that many columns, and `…`; wide characters take two."""
    if 2 * len(text) <= columns:
        return text
    start = text[: columns + 1]
    widths = accumulate(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in start)
    fitting = sum(width <= columns for width in widths)
    return text if fitting == len(text) else text[:fitting] + "…"

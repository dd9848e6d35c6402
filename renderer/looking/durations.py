"""When each scene of a story is seen, in seconds."""

from __future__ import annotations

from collections.abc import Iterable

UNTIMED = 3.0
"""Seconds of a scene that states no duration."""


def starts_of(durations: Iterable[float | None]) -> list[float | None]:
    """The first moment of each scene in the story; all None where none has a duration, as it has no times then."""
    stated = list(durations)
    if all(seconds is None for seconds in stated):
        return [None] * len(stated)
    starts: list[float | None] = []
    now = 0.0
    for seconds in stated:
        starts.append(now)
        now += UNTIMED if seconds is None else seconds
    return starts

"""When each picture of a story begins and how long it stays, in whole frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from renderer.looking.durations import UNTIMED


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in frames: where it begins, counted from the story's start, and how long it is."""

    start: int
    frames: int

    @property
    def end(self) -> int:
        """The first frame after it."""
        return self.start + self.frames


def spans(durations: Iterable[float | None], fps: int) -> list[Span]:
    """One stretch after another, each at least a frame long; None lasts as long as on the sheet.

    Ends are rounded, not lengths, so that a thousand scenes end where their durations add up to.
    """
    found: list[Span] = []
    total, start = Fraction(0), 0
    for seconds in durations:
        total += Fraction(str(UNTIMED if seconds is None else seconds))
        end = max(start + 1, floor(total * fps + Fraction(1, 2)))
        found.append(Span(start, end - start))
        start = end
    return found


def timecode(frame: int, fps: int) -> str:
    """`HH:MM:SS:FF` of a frame."""
    seconds, rest = divmod(frame, fps)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{rest:02}"

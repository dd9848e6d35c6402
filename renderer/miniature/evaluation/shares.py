"""Shares of judged answers, with how sure one can be of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

_Z = 1.959964
"""The normal distribution's 97.5 % point, for intervals of 95 %."""

ALL = "all"
"""The name of the share over all answers together."""


class Figures(TypedDict):
    """A share as it is written down, with its interval of 95 %."""

    share: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Answer:
    """Whether one attribute that a prompt named was seen in its picture."""

    attribute: str
    right: bool


@dataclass(frozen=True)
class Share:
    """So many hits of so many."""

    hits: int
    count: int

    @property
    def value(self) -> float:
        """0 … 1; NaN of none."""
        return self.hits / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies, 95 % sure (Wilson 1927); 0 … 1 of none."""
        if not self.count:
            return 0.0, 1.0
        spread = _Z * _Z / self.count
        middle = self.value + spread / 2
        half = _Z * math.sqrt(self.value * (1 - self.value) / self.count + spread / (4 * self.count))
        low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
        # Exact where rounding would miss a share of 0 or 1 by a hair.
        return (low if self.hits else 0.0), (high if self.hits < self.count else 1.0)

    @property
    def figures(self) -> Figures:
        """Rounded, to be written down; of none the share is 0."""
        low, high = self.interval
        value = self.value if self.count else 0.0
        return {"share": round(value, 4), "low": round(low, 4), "high": round(high, 4), "count": self.count}


def tally(answers: Iterable[Answer]) -> dict[str, Share]:
    """The share of right answers to each attribute that was asked for."""
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for answer in answers:
        asked[answer.attribute] += 1
        right[answer.attribute] += answer.right
    return {attribute: Share(right[attribute], count) for attribute, count in asked.items()}


def together(shares: Mapping[str, Share]) -> Share:
    """The share over all answers, whatever the attribute."""
    return Share(sum(share.hits for share in shares.values()), sum(share.count for share in shares.values()))

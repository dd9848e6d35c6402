"""How words are chosen: the shape of the tables, and the lot that picks from them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Literal

Language = Literal["zh", "en"]
Manner = Literal["parts", "sentence", "tags"]
"""How a caption is written: an author's parts between commas, a whole sentence, or bare tags."""

Options = tuple[str, ...]
Words = Mapping[str, Options]
"""For each value of an attribute the ways to say it, the plainest first."""

_PLAIN_SHARE = 0.4


class Plain(random.Random):
    """Always the first choice, and nothing dropped."""

    def random(self) -> float:
        return 0.0

    def randrange(self, *_: object) -> int:
        return 0

    def shuffle(self, x: object) -> None:
        return None


def pick(rng: random.Random, options: Options) -> str:
    """One of the ways to say it; the plainest about half the time."""
    return options[0] if rng.random() < _PLAIN_SHARE else any_of(rng, options)


def any_of(rng: random.Random, options: Options) -> str:
    """One of the ways to say it, each as likely."""
    return options[rng.randrange(len(options))]

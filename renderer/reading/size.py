"""Picture sizes: as an author writes them, and as a model paints them."""

from __future__ import annotations

import re
from math import sqrt

from renderer.kolors.card import ModelCard

SIZE_PATTERN = r"^ *(?:(\d{1,6}) ?[xX×] ?(\d{1,6})|(\d{1,4}(?:\.\d{1,4})?) ?[:：] ?(\d{1,4}(?:\.\d{1,4})?)) *$"
"""`768x512`, or an aspect such as `16:9` or `2.39:1`."""

_SIZE = re.compile(SIZE_PATTERN, re.ASCII)


def read_size(text: str) -> re.Match[str] | None:
    """The match of a size; groups 1 and 2 are width and height, or groups 3 and 4 the aspect."""
    return _SIZE.fullmatch(text)


def size_for(text: str, card: ModelCard) -> tuple[int, int]:
    """Width and height in pixels that a model paints for an authored size.

    An aspect gets the model's native area, on the model's multiple. Raises ValueError, with the nearest size that the
    model can paint, for a size that it can't.
    """
    found = read_size(text)
    assert found is not None, text
    if found[1]:
        width, height = int(found[1]), int(found[2])
    else:
        width, height = _of_aspect(float(found[3]), float(found[4]), card)
    nearest = f"{_nearest(width, card)}x{_nearest(height, card)}"
    if f"{width}x{height}" != nearest:
        raise ValueError(
            f"{card.name} paints {card.min_size} to {card.max_size} pixels a side, in steps of {card.multiple}; "
            f"the nearest size is {nearest}."
        )
    return width, height


def _of_aspect(across: float, down: float, card: ModelCard) -> tuple[int, int]:
    if not across or not down:
        raise ValueError("an aspect has two sides, such as 16:9.")
    area = card.size[0] * card.size[1]
    return _snapped(sqrt(area * across / down), card.multiple), _snapped(sqrt(area * down / across), card.multiple)


def _snapped(length: float, multiple: int) -> int:
    return int(length / multiple + 0.5) * multiple


def _nearest(length: int, card: ModelCard) -> int:
    smallest = -(-card.min_size // card.multiple) * card.multiple
    largest = card.max_size // card.multiple * card.multiple
    return min(max(_snapped(length, card.multiple), smallest), largest)

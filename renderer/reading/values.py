"""Values as authors write them in a storyboard: texts, names, numbers, seeds and sizes, each with its limits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from renderer.kolors.card import Interval
from renderer.reading.authoring import describe, refuse
from renderer.reading.name import MAX_ID, check_name
from renderer.reading.size import SIZE_PATTERN, read_size
from renderer.take_name import shown_number

MAX_SEED = 2**32 - 1
"""torch's CPU generator reads 32 bits of a seed."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def _text(text: str) -> str:
    if found := _CONTROL.search(text):
        raise refuse(f"holds the control character U+{ord(found[0]):04X}.", "Remove it.")
    return text


def _prompt(text: str) -> str:
    if not text.strip():
        raise refuse("the text is empty.", "Write what is to be seen.")
    return text


def _size(value: object) -> str:
    if not isinstance(value, str) or not read_size(value):
        example = f"{value}x{value}" if type(value) is int else "768x512"
        todo = f"Write width and height such as {example}, or an aspect such as 16:9."
        raise refuse(f"expected a size, got {describe(value)}.", todo)
    return value


def _interval(value: object) -> Interval:
    is_pair = isinstance(value, list) and len(value) == 2 and all(type(end) in (int, float) for end in value)
    if not isinstance(value, list) or not is_pair:
        raise refuse(f"expected two numbers from 0 to 1, got {describe(value)}.", _INTERVAL_EXAMPLE)
    start, end = value
    if not 0 <= start < end <= 1:
        shown = ", ".join(describe(number).removeprefix("the number ") for number in value)
        what = f"has to begin at 0 or later and end after that, at 1 or earlier; got [{shown}]."
        raise refuse(what, _INTERVAL_EXAMPLE)
    return float(start), float(end)


_INTERVAL_EXAMPLE = "Write [0.2, 0.8] for the middle of the steps, [0, 1] for all of them."


def check_each_once(word: str, values: Iterable[float]) -> None:
    """Raises pydantic's error where one of these numbers is given twice; `word` says what they are."""
    seen: set[float] = set()
    for value in values:
        if value in seen:
            raise refuse(f"the {word} {shown_number(value)} is given twice.", "Keep one of them.")
        seen.add(value)


Text = Annotated[str, Field(strict=True), AfterValidator(_text)]
Prompt = Annotated[Text, AfterValidator(_prompt), WithJsonSchema({"type": "string", "pattern": r"\S"})]
Name = Annotated[
    str,
    AfterValidator(check_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": r"^[^\s/\\.:{}|]+$"}),
]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
Seed = Annotated[Whole, Field(ge=0, le=MAX_SEED)]
Strength = Annotated[Number, Field(ge=-4, le=4)]
Steps = Annotated[Whole, Field(ge=1, le=1000)]
Guidance = Annotated[Number, Field(ge=0, le=50)]
GuidanceInterval = Annotated[
    Interval,
    BeforeValidator(_interval),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "number", "minimum": 0, "maximum": 1},
            "minItems": 2,
            "maxItems": 2,
            "examples": [[0.2, 0.8]],
        }
    ),
]
CacheInterval = Annotated[Whole, Field(ge=1, le=16)]
Size = Annotated[
    str,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["768x512", "16:9"]}),
]

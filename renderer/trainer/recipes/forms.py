"""The forms that values of a recipe are written in, and their limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Tag, WithJsonSchema

from renderer.reading.authoring import LIST, NUMBER, TEXT, describe, one_of_forms, refuse
from renderer.reading.size import SIZE_PATTERN, read_size
from renderer.reading.values import Number, Prompt, Text, Whole, check_each_once

Kind = Literal["lora", "dreambooth", "textual-inversion", "hypernetwork"]
Crop = Literal["center", "random"]
Init = Literal["kaiming", "gaussian"]
Schedule = Literal["constant", "linear", "cosine", "cosine-restarts"]
Optimizer = Literal["adamw", "adamw8bit", "prodigy"]
TrainPrecision = Literal["auto", "fp32", "fp16-mixed", "bf16-mixed"]

MAX_STEPS = 10_000_000


def _image_size(value: object) -> str:
    text = f"{value}x{value}" if type(value) is int else value
    if not isinstance(text, str) or not read_size(text):
        todo = "Write width and height such as 768x512, one number for a square, or an aspect such as 16:9."
        raise refuse(f"expected a size, got {describe(value)}.", todo)
    return text


def _nothing_said(value: object) -> object:
    return {} if value is None else value


def _in_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _each_once(devices: tuple[int, ...]) -> tuple[int, ...]:
    check_each_once("device", devices)
    return devices


EMPTY_IS_DEFAULT = BeforeValidator(_nothing_said)
"""For a mapping of which nothing but its key is written."""
Word = Annotated[Text, Field(min_length=1)]
Count = Annotated[Whole, Field(ge=1, le=MAX_STEPS)]
Share = Annotated[Number, Field(ge=0, lt=1)]
ImageSize = Annotated[
    str,
    BeforeValidator(_image_size),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 1}],
            "examples": ["1024x1024", "16:9", 96],
        }
    ),
]
TriggerWords = Annotated[
    tuple[Prompt, ...],
    BeforeValidator(_in_tuple),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
_DeviceList = Annotated[
    tuple[Annotated[Whole, Field(ge=0, le=1023)], ...], Field(min_length=1), AfterValidator(_each_once)
]
Devices = Annotated[
    Annotated[Whole, Field(ge=1, le=1024), Tag(NUMBER)]
    | Annotated[Literal["auto"], Tag(TEXT)]
    | Annotated[_DeviceList, Tag(LIST)],
    one_of_forms("how many devices, auto, or a list of their numbers"),
]
Process = Annotated[
    dict[
        str,
        Annotated[
            dict[str, Any],
            EMPTY_IS_DEFAULT,
            WithJsonSchema({"type": ["object", "null"]}),
        ],
    ],
    Field(json_schema_extra={"minProperties": 1, "maxProperties": 1}),
]
"""One Data-Juicer operator: its name, and its arguments."""


def not_both(one: str, other: str) -> Callable[[dict[str, Any]], None]:
    """Says in a schema that two keys exclude each other."""

    def add(schema: dict[str, Any]) -> None:
        schema["not"] = {"required": [one, other]}

    return add

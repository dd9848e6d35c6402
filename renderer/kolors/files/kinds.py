"""The kinds of files that add to a model, told apart by what is in them. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from renderer.kolors.files.pickled import Shape
from renderer.kolors.lora.names import parse_key

Kind = Literal["LoRA", "embedding", "hypernetwork"]

_LISTS: dict[Kind, str] = {"LoRA": "loras", "embedding": "embeddings", "hypernetwork": "hypernetworks"}
_WITH_ARTICLE: dict[Kind, str] = {"LoRA": "a LoRA", "embedding": "an embedding", "hypernetwork": "a hypernetwork"}
_EMBEDDING = {"emb_params", "string_to_param"}
_HYPERNETWORK = re.compile(r"\d+(\.[kv]\.linear.*)?")


def kind_of(content: Mapping[Any, object]) -> Kind | None:
    """What a file of that content (as `contents.outline` has it) is by its names; None where they don't tell.

    A single tensor of any other name is an embedding, as diffusers writes them.
    """
    for name in map(str, content):
        if name in _EMBEDDING:
            return "embedding"
        if _HYPERNETWORK.fullmatch(name):
            return "hypernetwork"
        if parse_key(name):
            return "LoRA"
    return "embedding" if [type(part) for part in content.values()] == [Shape] else None


def misplaced(content: Mapping[Any, object], wanted: Kind) -> str:
    """Where a file of another kind than `wanted` belongs, as a sentence's end; '' where it may be of that kind."""
    kind = kind_of(content)
    if kind is None or kind == wanted:
        return ""
    return f"not for `{_LISTS[wanted]}:` but for `{_LISTS[kind]}:`, as it is {_WITH_ARTICLE[kind]}"

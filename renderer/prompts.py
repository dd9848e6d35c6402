"""Prompts: characters, wildcards and style become the text that is painted, each part tagged with its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["style", "board", "scene", "character", "wildcard"]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a final prompt and where it came from; `name` is the character's, or the wildcard's own text."""

    text: str
    origin: Origin
    name: str = ""

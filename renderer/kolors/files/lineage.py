"""Where a LoRA comes from, as its file's header or the card beside it (`NAME.json`) tells. Needs no torch.

A card is a JSON object of facts by name; its `sha256` is that of the file it is about, and `header` holds what a file
of a kind that has no header would say there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from renderer.files import write_atomically
from renderer.kolors.files.header import DamagedFile, read_header
from renderer.manifest import LoraLineage

CARD_BYTES = 1_000_000
"""A card is a page of facts; a larger file beside a LoRA is something else."""
LENGTH = 200
"""Characters of a value that are kept: the sheet names a recipe, it doesn't print it."""

_NAMES = {
    "recipe": ("recipe", "ss_training_comment"),
    "step": ("step", "steps", "ss_steps"),
    "base_model": ("base_model", "ss_base_model_version", "modelspec.architecture"),
    "trigger_words": ("trigger_words", "triggers", "modelspec.trigger_phrase"),
    "class_prompt": ("class_prompt",),
    "prior_weight": ("prior_weight",),
}
"""What a card or a header calls each fact, best first; those with a prefix are kohya's and the model spec's."""


def lineage_of(path: Path, sha256: str) -> LoraLineage:
    """What is known of a LoRA file of that content; blank where nothing is, or where the file is gone or damaged.

    The card beside the file goes before the file's own header; one that names another hash is another file's card.
    """
    return _lineage(path, sha256, _changed(path.with_suffix(".json")))


def read_card(path: Path, sha256: str) -> Mapping[str, Any]:
    """The facts on the card beside a file of that content; {} where there is none, or another file's."""
    with suppress(OSError, ValueError, RecursionError):
        file = path.with_suffix(".json")
        if file.stat().st_size <= CARD_BYTES:
            card = json.loads(file.read_bytes())
            if isinstance(card, dict) and card.get("sha256", sha256) == sha256:
                return card
    return {}


def write_card(path: Path, card: Mapping[str, Any]) -> Path:
    """Writes a card beside the file that it is about, whole or not at all; the card's path. Raises OSError."""
    file = path.with_suffix(".json")
    write_atomically(file, (json.dumps(card, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))
    return file


def read_metadata(path: Path, card: Mapping[str, Any]) -> dict[str, str]:
    """What a file's header says, or what its card says in a header's place; {} where neither does."""
    if path.suffix == ".safetensors":
        with suppress(OSError, DamagedFile):
            return read_header(path).metadata
        return {}
    stated = card.get("header")
    return {str(name): str(value) for name, value in stated.items()} if isinstance(stated, Mapping) else {}


@lru_cache(maxsize=256)
def _lineage(path: Path, sha256: str, card_changed: int) -> LoraLineage:
    card = read_card(path, sha256)
    header = read_metadata(path, card)
    found = {fact: next(_values(names, card, header), "") for fact, names in _NAMES.items()}
    return LoraLineage(**found)


def _values(names: tuple[str, ...], *sources: Mapping[str, Any]) -> Iterator[str]:
    for source in sources:
        yield from (text for name in names if (text := _text(source.get(name))))


def _text(value: object) -> str:
    """A fact in words: a list joined, a mapping by its name; '' for what can't be said on a line."""
    if isinstance(value, Mapping):
        value = value.get("name")
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value[:LENGTH])))[:LENGTH]
    is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return " ".join(str(value).split())[:LENGTH] if is_plain else ""


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0

"""What a trained file is, in words: a LoRA, an embedding or a hypernetwork. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from renderer.errors import LoraError
from renderer.kolors.embeddings import check_embedding_fit, inspect_embedding
from renderer.kolors.files.contents import outline
from renderer.kolors.files.kinds import Kind, kind_of
from renderer.kolors.hypernetworks import check_hypernetwork_fit, inspect_hypernetwork
from renderer.kolors.lora.file import check_fit, inspect_lora


class Content(NamedTuple):
    """What is in a trained file: its `form` in a few words, its header's `metadata`; `check` raises StoryboardError
    where it doesn't fit the model in a folder.
    """

    form: str
    metadata: Mapping[str, str]
    check: Callable[[Path], None]


@dataclass(frozen=True)
class TrainedFile:
    """A trained file, of one of the three kinds."""

    path: Path
    kind: Kind
    content: Content


def read_trained_file(path: Path) -> TrainedFile:
    """What is in a file, from its header alone. Raises StoryboardError: damaged, of no kind known, or running code."""
    kind = kind_of(outline(path, LoraError).content) or "LoRA"
    return TrainedFile(path, kind, _READERS[kind](path))


def _lora(path: Path) -> Content:
    header = inspect_lora(path)
    words = [header.format, f"rank {'/'.join(map(str, header.ranks))}", *(["DoRA"] if header.dora else [])]
    words.append(f"{len(header.layers)} layer" + "s" * (len(header.layers) != 1))
    return Content(", ".join(words), header.metadata, lambda folder: check_fit(header, folder))


def _embedding(path: Path) -> Content:
    header = inspect_embedding(path)
    form = f"embedding, {header.vectors} vector" + "s" * (header.vectors != 1) + f" of {header.width}"
    return Content(form, header.metadata, lambda folder: check_embedding_fit(header, folder))


def _hypernetwork(path: Path) -> Content:
    header = inspect_hypernetwork(path)
    widths = "/".join(map(str, header.sizes))
    form = f"hypernetwork, {header.design.activation}, for contexts of width {widths}"
    return Content(form, header.metadata, lambda folder: check_hypernetwork_fit(header, folder))


_READERS: dict[Kind, Callable[[Path], Content]] = {
    "LoRA": _lora,
    "embedding": _embedding,
    "hypernetwork": _hypernetwork,
}

"""Embedding files: vectors that stand for a word in prompts, as textual inversion trains them.

Our files are safetensors with one tensor `emb_params` [vectors, width], fp32, which is how A1111 and kohya store them;
their metadata may say name, base_model, recipe, step and trigger_words. Read besides: diffusers' files (one tensor
[vectors, width] or [width] under its token, safetensors or pickle) and A1111's pickles (`string_to_param`).

Importing this needs no torch; only the vectors themselves do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from renderer.errors import EmbeddingError
from renderer.files import write_atomically
from renderer.kolors.files.contents import load, outline, require_planned
from renderer.kolors.files.kinds import misplaced
from renderer.kolors.files.pickled import Shape
from renderer.kolors.layout import read_json
from renderer.take import TakeEmbedding

if TYPE_CHECKING:
    from torch import Tensor

TENSOR = "emb_params"
"""The tensor's name in our files."""
CONFIG = Path("text_encoder") / "config.json"
WIDTH = 4096
"""Of ChatGLM3-6B's vectors, where a model's configuration doesn't say."""


@dataclass(frozen=True)
class EmbeddingHeader:
    """What an embedding's file says of itself: how many vectors, how wide, and what else is written in it."""

    path: Path
    vectors: int
    width: int
    metadata: dict[str, str]


def inspect_embedding(path: Path) -> EmbeddingHeader:
    """What is in an embedding's file, from its header alone.

    Raises EmbeddingError where it is missing, damaged, no embedding, for other text encoders, or would run code.
    """
    found = outline(path, EmbeddingError)
    shape = _at(found.content, _place(path, found.content))
    if not isinstance(shape, Shape) or len(shape) not in (1, 2) or min(shape) < 1:
        raise EmbeddingError(f"{path}: not an embedding: there is no list of vectors in it")
    return EmbeddingHeader(path, shape[0] if len(shape) == 2 else 1, shape[-1], found.metadata)


def check_embedding(embedding: TakeEmbedding, folder: Path) -> EmbeddingHeader:
    """The header of a take's embedding, checked: there, unchanged since it was planned, fitting the model.

    Raises EmbeddingError.
    """
    path = require_planned("embedding", embedding.name, embedding.sha256, embedding.path, EmbeddingError)
    header = inspect_embedding(path)
    check_embedding_fit(header, folder)
    return header


def check_embedding_fit(header: EmbeddingHeader, folder: Path) -> None:
    """Raises EmbeddingError where the vectors are not as wide as those of the model's text encoder.

    A folder without its text encoder's configuration has nothing to compare with, and raises nothing.
    """
    width = embedding_width(folder) if (folder / CONFIG).is_file() else header.width
    if header.width != width:
        raise EmbeddingError(
            f"{header.path}: made for another model: its vectors have {header.width} numbers, "
            f"those of this model's text encoder {width}. Use one that was trained on this model."
        )


def embedding_width(folder: Path) -> int:
    """How many numbers a vector of the model's text encoder has. Raises ModelError."""
    width = read_json(folder / CONFIG).get("hidden_size", WIDTH)
    assert isinstance(width, int)
    return width


def read_embedding(path: Path) -> Tensor:
    """The vectors of a file: fp32 [vectors, width], on the CPU. Raises EmbeddingError."""
    import torch

    header = inspect_embedding(path)
    content = load(path, EmbeddingError)
    vectors = _at(content, _place(path, content))
    assert isinstance(vectors, torch.Tensor), "inspect_embedding knows it"
    vectors = vectors.detach().float().reshape(header.vectors, header.width)
    if not torch.isfinite(vectors).all():
        raise EmbeddingError(f"{path}: damaged: its vectors hold numbers that are not finite")
    return vectors


def write_embedding(path: Path, vectors: Tensor, metadata: Mapping[str, str]) -> str:
    """Writes vectors [vectors, width] and what is known of them; the file's sha256. Raises OSError.

    The same content gives the same bytes; whole or not at all.
    """
    from renderer.kolors.files.tensor_file import pack

    content = pack({TENSOR: vectors.float()}).to_bytes(metadata)
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def _place(path: Path, content: Mapping[Any, Any]) -> tuple[object, ...]:
    """The names that lead to the vectors. Raises EmbeddingError where it is another kind of file."""
    foreign = misplaced(content, "embedding")
    if foreign:
        raise EmbeddingError(f"{path}: {foreign}.")
    if {"clip_l", "clip_g"} & content.keys():
        raise EmbeddingError(
            f"{path}: made for another architecture: for SDXL's two text encoders; Kolors has ChatGLM3"
        )
    if TENSOR in content:
        return (TENSOR,)
    words = content.get("string_to_param", content)
    if not isinstance(words, Mapping) or len(words) != 1:
        count = len(words) if isinstance(words, Mapping) else 0
        raise EmbeddingError(f"{path}: not an embedding: it holds {count} tensors, where one is expected")
    return (*(("string_to_param",) if words is not content else ()), *words)


def _at(content: Mapping[Any, Any], place: tuple[object, ...]) -> object:
    found: Any = content
    for name in place:
        found = found[name]
    return found

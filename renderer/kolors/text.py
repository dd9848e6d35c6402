"""From a prompt to ChatGLM3's token ids, by SentencePiece alone; checking a story's prompts needs no torch.

Same ids as `diffusers.pipelines.kolors.ChatGLMTokenizer`, padded and cut as KolorsPipeline.encode_prompt asks for.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from renderer.errors import ModelError
from renderer.kolors.card import mending
from renderer.kolors.layout import TOKENIZER

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

PREFIX = ("[gMASK]", "sop")
"""What stands before every prompt and takes two of its places."""
SPECIAL = (
    *("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"),
    *("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
)
"""ChatGLM3's own tokens, numbered after SentencePiece's."""


class Tokens(NamedTuple):
    """A padded prompt: each list has the model's text length. Padding stands left, with mask 0 and position 0."""

    ids: list[int]
    mask: list[int]
    positions: list[int]


def count_pieces(folder: Path, text: str) -> int:
    """How many pieces a prompt has for this model; its card's `text_length` less 2 fit. Raises ModelError."""
    return len(_processor(folder).encode(text))


def cut_at(folder: Path, text: str, length: int) -> str | None:
    """The end of a prompt that a model of text length `length` does not see; None when all fits. Raises ModelError.

    Found by bisection, since pieces don't know their place in the text: exact but for a piece that the cut splits.
    """
    processor, room = _processor(folder), length - len(PREFIX)
    if len(processor.encode(text)) <= room:
        return None
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(processor.encode(text[:middle])) <= room else (low, middle - 1)
    return text[low:]


def tokenize(folder: Path, text: str, length: int) -> Tokens:
    """`[gMASK] sop` and the prompt's first `length` - 2 pieces, padded on the left to `length`. Raises ModelError."""
    processor = _processor(folder)
    special = {token: processor.vocab_size() + number for number, token in enumerate(SPECIAL)}
    # By way of the pieces' spelling, as diffusers does it: an unknown piece may be spelled like a special token.
    pieces = (*PREFIX, *processor.encode(text, out_type=str)[: length - len(PREFIX)])
    ids = [special[piece] if piece in special else processor.piece_to_id(piece) for piece in pieces]
    padding = length - len(ids)
    return Tokens(
        ids=[processor.unk_id()] * padding + ids,
        mask=[0] * padding + [1] * len(ids),
        positions=[0] * padding + list(range(len(ids))),
    )


def _processor(folder: Path) -> SentencePieceProcessor:
    file = folder / TOKENIZER
    try:
        status = file.stat()
        return _load(file, status.st_size, status.st_mtime_ns)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{file}: can't be read: {error}. {mending(folder)}") from error


@lru_cache(maxsize=4)
def _load(file: Path, size: int, mtime_ns: int) -> SentencePieceProcessor:
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_file=str(file))

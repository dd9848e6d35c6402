"""From a prompt to ChatGLM3's token ids, by SentencePiece alone; checking a story's prompts needs no torch.

Same ids as `diffusers.pipelines.kolors.ChatGLMTokenizer`, padded and cut as KolorsPipeline.encode_prompt asks for.

Where embeddings are given, `<name>` in a text stands for that embedding's vectors, each in the place of a piece.
SentencePiece sees such a placeholder as one indivisible symbol: nothing joins across it, and all other pieces are those
of running text, with no word mark (`▁`) set after it. A word mark that would stand alone before it, from a space or the
beginning of the text, is left out: a mark belongs to the word that it begins, and that is what the vectors stand for.
So vectors that are the rows of the pieces which some words have in a place read exactly as those words do there:
`▁cat` in "a <cat> sits", `女孩` in "一个<girl>坐着".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Mapping
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
WORD = "▁"
"""SentencePiece's mark of a word's beginning."""
SYMBOL = "\ufdd0"
"""Stands for a placeholder while a text is taken apart: a code point that Unicode keeps for such internal use."""
Piece = str | tuple[str, int]
"""One of SentencePiece's, by its spelling; or a vector, by its embedding's name and its number."""


class Tokens(NamedTuple):
    """A padded prompt: each list has the model's text length. Padding stands left, with mask 0 and position 0.

    `vectors` are the places that embeddings take, in order: to the place, the embedding's name and the number of its
    vector. The id there means nothing.
    """

    ids: list[int]
    mask: list[int]
    positions: list[int]
    vectors: dict[int, tuple[str, int]]


def placeholder(name: str) -> str:
    """What stands in a prompt for an embedding of that name."""
    return f"<{name}>"


def count_pieces(folder: Path, text: str, embeddings: Mapping[str, int] = {}) -> int:
    """How many pieces a prompt has for this model; its card's `text_length` less 2 fit. Raises ModelError.

    `embeddings` gives each embedding's count of vectors by its name; each vector counts as a piece.
    """
    return len(_pieces(folder, text, embeddings))


def cut_at(folder: Path, text: str, length: int, embeddings: Mapping[str, int] = {}) -> str | None:
    """The end of a prompt that a model of text length `length` does not see; None when all fits. Raises ModelError.

    Found by bisection, since pieces don't know their place in the text: exact but for a piece that the cut splits. A
    placeholder whose vectors don't all fit belongs to the end.
    """
    units = _units(text, embeddings)

    def fits(count: int) -> bool:
        return count_pieces(folder, "".join(units[:count]), embeddings) <= length - len(PREFIX)

    low, high = 0, len(units)
    if fits(high):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return "".join(units[low:])


def piece_ids(folder: Path, text: str) -> list[int]:
    """The ids of a text's pieces, without a word mark that would stand alone before them, as a placeholder has it.

    Their rows of the text encoder's table are vectors with which an embedding means that text. Raises ModelError.
    """
    pieces = _pieces(folder, text, {})
    return _ids(folder, pieces[1:] if pieces[:1] == [WORD] else pieces)


def is_piece(folder: Path, word: str) -> bool:
    """Whether the vocabulary has a word as one piece, within a text or at a word's beginning. Raises ModelError."""
    processor = _processor(folder)
    return any(processor.piece_to_id(piece) != processor.unk_id() for piece in (word, WORD + word))


def tokenize(folder: Path, text: str, length: int, embeddings: Mapping[str, int] = {}) -> Tokens:
    """`[gMASK] sop` and the prompt's first `length` - 2 pieces, padded on the left to `length`. Raises ModelError."""
    pieces = (*PREFIX, *_pieces(folder, text, embeddings)[: length - len(PREFIX)])
    padding = length - len(pieces)
    return Tokens(
        ids=[_processor(folder).unk_id()] * padding + _ids(folder, pieces),
        mask=[0] * padding + [1] * len(pieces),
        positions=[0] * padding + list(range(len(pieces))),
        vectors={place: piece for place, piece in enumerate(pieces, padding) if isinstance(piece, tuple)},
    )


def _ids(folder: Path, pieces: Iterable[Piece]) -> list[int]:
    """The pieces' ids, by way of their spelling, as diffusers does it: an unknown one may be spelled like a special
    token. A vector's is that of the unknown.
    """
    processor = _processor(folder)
    special: dict[Piece, int] = {token: processor.vocab_size() + number for number, token in enumerate(SPECIAL)}

    def id_of(piece: Piece) -> int:
        if isinstance(piece, tuple):
            return int(processor.unk_id())
        return int(special[piece] if piece in special else processor.piece_to_id(piece))

    return [id_of(piece) for piece in pieces]


def _pieces(folder: Path, text: str, embeddings: Mapping[str, int]) -> list[Piece]:
    """SentencePiece's pieces, with the vectors of each placeholder in its place."""
    units = _units(text, embeddings)
    named = {placeholder(name): name for name in embeddings}
    if named.keys().isdisjoint(units):
        return [*_processor(folder).encode(text, out_type=str)]
    names = (named[unit] for unit in units if unit in named)
    pieces: list[Piece] = []
    # A text's own SYMBOL, which no person writes, must not be taken for a placeholder.
    marked = "".join(SYMBOL if unit in named else unit for unit in units if unit != SYMBOL)
    for piece in _processor(folder, symbol=True).encode(marked, out_type=str):
        if piece != SYMBOL:
            pieces.append(piece)
            continue
        if pieces and pieces[-1] == WORD:
            pieces.pop()
        name = next(names)
        pieces += [(name, number) for number in range(embeddings[name])]
    return pieces


def _units(text: str, names: Collection[str]) -> list[str]:
    """A text's letters, each placeholder of these embeddings counting as one."""
    return re.findall("|".join([*(re.escape(placeholder(name)) for name in names), "."]), text, re.DOTALL)


def _processor(folder: Path, symbol: bool = False) -> SentencePieceProcessor:
    file = folder / TOKENIZER
    try:
        status = file.stat()
        return _load(file, status.st_size, status.st_mtime_ns, symbol)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"{file}: can't be read: {error}. {mending(folder)}") from error


@lru_cache(maxsize=4)
def _load(file: Path, size: int, mtime_ns: int, symbol: bool) -> SentencePieceProcessor:
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_proto=file.read_bytes() + (_symbol_entry() if symbol else b""))


def _symbol_entry() -> bytes:
    """SYMBOL as one more piece, of type USER_DEFINED, in the wire format of sentencepiece_model.proto.

    A repeated field may go on at the end of a message, so that the file's own bytes stay as they are.
    """
    name = SYMBOL.encode()
    piece = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", 0.0) + b"\x18\x04"
    return b"\x0a" + bytes([len(piece)]) + piece

"""The words that captions use most, Chinese and English."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from renderer.kolors.layout import TOKENIZER

_SCRIPTS = re.compile(r"([\u3400-\u9fff\uf900-\ufaff]+)|[^\W\d_\u3400-\u9fff\uf900-\ufaff]+(?:['’-][^\W\d_]+)*")
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_EMPTY = frozenset(
    "a an and are as at be by for from has have her his in into is it its of on or she he that the their there they "
    "this to under up was were which while with 一个 一只 一位 一名 一张 一幅".split()
)
"""Words that say nothing of what a picture shows; so do single characters and letters."""


def frequent_words(captions: Iterable[str], model: Path, most: int = 60) -> list[tuple[str, int]]:
    """The words that occur in most captions, each with the number of captions; at least two.

    Chinese is parted as the tokenizer of the model in that folder parts it.
    """
    split = _splitter(model)
    counts = Counter(word for caption in captions for word in set(_words(caption, split)))
    found = [(word, count) for word, count in counts.items() if count > 1 and word not in _EMPTY]
    return sorted(found, key=lambda it: (-it[1], it[0]))[:most]


def _words(caption: str, split: Callable[[str], list[str]]) -> Iterator[str]:
    for match in _SCRIPTS.finditer(caption):
        found = _joined(split(match[1])) if match[1] else [match[0].casefold()]
        yield from (word for word in found if len(word) > 1)


def _joined(pieces: list[str]) -> Iterator[str]:
    """SentencePiece's pieces as text; characters that it has no piece for come in bytes and stay together."""
    for in_bytes, run in groupby(pieces, lambda piece: _BYTE.fullmatch(piece) is not None):
        if in_bytes:
            content = bytes(int(piece[3:5], 16) for piece in run)
            yield content.decode("utf-8", "replace")
        else:
            yield from (piece.strip("▁") for piece in run)


def _splitter(model: Path) -> Callable[[str], list[str]]:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(model / TOKENIZER))
    return lambda text: [str(piece) for piece in processor.encode(text, out_type=str)]

"""The vocabulary: SentencePiece pieces learnt from the captions, used through diffusers' ChatGLM tokenizer."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

from renderer.miniature.book import sample_picture
from renderer.miniature.captions import chinese_words
from renderer.miniature.captions.writing import write_caption
from renderer.miniature.training.network import SPARE_ROWS, TEXT_LENGTH

_ENGLISH_PIECES = 540
_CAPTIONS = 10_000


def train_vocabulary(folder: Path, seed: int) -> None:
    """Writes `tokenizer.model` and `tokenizer_config.json` into `folder`."""
    import sentencepiece  # only training makes a vocabulary

    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    captions = [write_caption(sample_picture(rng), "en", rng).text for _ in range(_CAPTIONS)]
    symbols = list(dict.fromkeys([*chinese_symbols(), *_characters(chinese_symbols())]))
    # Written through memory: a file's name would become a part of the model.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(captions),
        model_writer=model,
        # 256 pieces are the bytes that everything else falls back to, 3 are <unk>, <s> and </s>.
        vocab_size=_ENGLISH_PIECES + len(symbols) + 256 + 3,
        model_type="bpe",
        normalization_rule_name="nmt_nfkc_cf",
        user_defined_symbols=symbols,
        character_coverage=1.0,
        byte_fallback=True,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    config = {
        "name_or_path": "kolors-mini",
        "model_max_length": TEXT_LENGTH,
        "padding_side": "left",
        "tokenizer_class": "ChatGLMTokenizer",
        "remove_space": False,
        "do_lower_case": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def chinese_symbols() -> list[str]:
    """The words that Chinese is cut into, so that attributes meet the model as pieces of their own."""
    tables = [value for name, value in vars(chinese_words).items() if name.isupper()]
    phrases = [phrase for table in tables for phrase in _phrases(table)]
    found = dict.fromkeys(word for phrase in phrases for word in phrase.split())
    return [word for word in found if all("\u4e00" <= c <= "\u9fff" for c in word)]


def _phrases(table: object) -> list[str]:
    """The phrases of a table of words, of a list of phrases, or the phrase itself."""
    if isinstance(table, str):
        return [table]
    if isinstance(table, Mapping):
        return [phrase for options in table.values() for phrase in _phrases(options)]
    return [phrase for options in table for phrase in _phrases(options)] if isinstance(table, tuple) else []


def _characters(symbols: Sequence[str]) -> list[str]:
    # 恤 is the Chinese half of "T恤", which is no word of Chinese characters alone.
    return sorted({character for symbol in symbols for character in symbol} | {"恤"})


def load_tokenizer(folder: Path) -> ChatGLMTokenizer:
    """The tokenizer of a model's `tokenizer` folder."""
    return ChatGLMTokenizer(vocab_file=str(folder / "tokenizer.model"))


def table_rows(tokenizer: ChatGLMTokenizer) -> int:
    """The rows of the vocabulary table: every token, and the spare ones."""
    return int(tokenizer.vocab_size) + SPARE_ROWS


def tokenize(tokenizer: ChatGLMTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """[N, 64] token ids as KolorsPipeline makes them: `[gMASK] sop`, then the text, padded on the left."""
    ids = tokenizer(list(texts), padding="max_length", max_length=TEXT_LENGTH, truncation=True, return_tensors="pt")[
        "input_ids"
    ]
    assert isinstance(ids, torch.Tensor)
    return ids


def mask_and_positions(ids: torch.Tensor, prefix: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The attention mask and the position ids that the tokenizer gives for `ids`; `prefix` is the id of `[gMASK]`."""
    mask = (ids == prefix).cumsum(1).clamp(max=1)
    return mask, (mask.cumsum(1) - 1).clamp(min=0)

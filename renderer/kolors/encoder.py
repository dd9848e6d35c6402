"""From prompts to what the UNet reads of them: ChatGLM3's states, computed once for each prompt.

An embedding's vectors take the places of pieces' rows where ChatGLM3 would look those up in its table. Nothing is
written into the table, so that no other text changes and painting knows no limit but the text's length; and training
moves the vectors alone, which is the same as training spare rows of the table while all other rows are held still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from renderer.kolors.chatglm import ChatGLM, Place
from renderer.kolors.embeddings import check_embedding, read_embedding
from renderer.kolors.text import piece_ids, placeholder, tokenize
from renderer.take import TakeEmbedding

AT_ONCE = 128
"""Texts that go through the layers together: at Kolors' size their states are 0.3 GB in half precision."""


class Prompt(NamedTuple):
    """A text and the embeddings that stand in it."""

    text: str
    embeddings: tuple[TakeEmbedding, ...] = ()

    @classmethod
    def of(cls, text: str, embeddings: Iterable[TakeEmbedding]) -> Self:
        """A text with those of some embeddings whose placeholders are in it: the same text is the same prompt."""
        return cls(text, tuple(it for it in embeddings if placeholder(it.name) in text))


class Encoded(NamedTuple):
    """A prompt as ChatGLM3 reads it: `states` [length, width], `pooled` [width]."""

    states: Tensor
    pooled: Tensor


class TextEncoder:
    """ChatGLM3, frozen and in memory as a whole, reading texts of at most `length` pieces (with the two before every
    prompt).
    """

    def __init__(self, folder: Path, length: int, device: torch.device, dtype: torch.dtype) -> None:
        """Loads the weights. Raises ModelError."""
        self._reader = _Reader(folder, length, device, dtype)
        self._layers = tuple(self._reader.chatglm.layers())

    def encode(self, text: str, vectors: Mapping[str, Tensor] = {}) -> Encoded:
        """A text's states, on the device; `vectors` [count, width] of embeddings by name stand for `<name>` in it.

        Gradients reach the vectors, where grad is enabled. As KolorsPipeline.encode_prompt (diffusers): states are the
        second-last layer's output, the pooled vector is the last layer's output at the last token, before the final
        norm. An empty text is encoded like any other.
        """
        hidden, place = self._reader.begin(text, vectors)
        for layer in self._layers[:-1]:
            hidden = layer(hidden, place)
        return Encoded(hidden, self._layers[-1](hidden, place)[-1])

    def rows(self, text: str) -> Tensor:
        """fp32 [pieces, width] on the CPU: the table's rows of a text's pieces, as vectors that mean it at first.

        Without the mark of a word's beginning where that is a piece of its own, as a placeholder stands for it too.
        """
        return self._reader.chatglm.rows(torch.tensor(self._reader.piece_ids(text), dtype=torch.long)).float().cpu()

    @property
    def table(self) -> Tensor:
        """The rows of all pieces [pieces, width], on the CPU, in the type of the weights."""
        return self._reader.chatglm.table


class _Reader:
    """From a text to what ChatGLM3's first layer gets."""

    def __init__(self, folder: Path, length: int, device: torch.device, dtype: torch.dtype) -> None:
        self._folder, self._length, self._device = folder, length, device
        self.chatglm = ChatGLM(folder, device, dtype)

    def begin(self, text: str, vectors: Mapping[str, Tensor]) -> tuple[Tensor, Place]:
        """The rows of a text's pieces [length, width], those of embeddings their vectors; and where they stand."""
        counts = {name: len(its) for name, its in vectors.items()}
        ids, mask, positions, taken = tokenize(self._folder, text, self._length, counts)
        rows = self.chatglm.rows(torch.tensor(ids))
        if taken:
            places = torch.tensor([*taken], device=self._device)
            chosen = torch.stack([vectors[name][number] for name, number in taken.values()])
            rows = rows.index_put((places,), chosen.to(rows))
        return rows, self.chatglm.place(mask, positions)

    def piece_ids(self, text: str) -> list[int]:
        return piece_ids(self._folder, text)


@torch.no_grad()
def encode_prompts(
    folder: Path,
    prompts: Iterable[Prompt],
    length: int,
    device: torch.device,
    dtype: torch.dtype,
    done: Callable[[int, int], None] = lambda count, total: None,
) -> dict[Prompt, Encoded]:
    """The states of each distinct prompt, on the CPU.

    ChatGLM3 is never in memory as a whole: each layer is loaded, reads all prompts, and goes. Prompts go through it one
    at a time, so that states don't depend on neighbours. `done` hears how many of all are ready, or as good as. Raises
    ModelError, EmbeddingError.
    """
    distinct = list(dict.fromkeys(prompts))
    done(0, len(distinct))
    embeddings = dict.fromkeys(embedding for prompt in distinct for embedding in prompt.embeddings)
    vectors = {embedding: read_embedding(check_embedding(embedding, folder).path) for embedding in embeddings}
    reader = _Reader(folder, length, device, dtype)
    encoded: dict[Prompt, Encoded] = {}
    for start in range(0, len(distinct), AT_ONCE):
        part = distinct[start : start + AT_ONCE]
        begun = [reader.begin(it.text, {each.name: vectors[each] for each in it.embeddings}) for it in part]
        found = _through_layers(reader.chatglm, begun, partial(_of_all, done, start, len(distinct)))
        encoded |= zip(part, found, strict=True)
    return encoded


def _of_all(done: Callable[[int, int], None], before: int, total: int, count: int) -> None:
    done(before + count, total)


def _through_layers(
    chatglm: ChatGLM, begun: Iterable[tuple[Tensor, Place]], passed: Callable[[int], None]
) -> list[Encoded]:
    """The states of some texts. `passed` hears of how many it is true, by the share of layers behind them all."""
    hidden, places = map(list, zip(*begun, strict=True))
    pooled: list[Tensor] = []
    layers = chatglm.layers()
    for number in range(1, chatglm.count + 1):
        layer = next(layers)
        after = [layer(its, place) for its, place in zip(hidden, places, strict=True)]
        del layer  # before the next is loaded: two would be 0.8 GB
        if number < chatglm.count:
            hidden = after
        else:
            pooled = [its[-1] for its in after]
        passed(len(hidden) * number // chatglm.count)
    return [Encoded(states.cpu().clone(), its.cpu().clone()) for states, its in zip(hidden, pooled, strict=True)]


def encode_texts(
    folder: Path, texts: Iterable[str], length: int, device: torch.device, dtype: torch.dtype
) -> dict[str, Encoded]:
    """As `encode_prompts`, for texts without embeddings. Raises ModelError."""
    encoded = encode_prompts(folder, map(Prompt, texts), length, device, dtype)
    return {prompt.text: found for prompt, found in encoded.items()}

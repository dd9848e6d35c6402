"""From prompts to what the UNet reads of them: ChatGLM3's states, computed once for each prompt.

An embedding's vectors take the places of pieces' rows where ChatGLM3 would look those up in its table. Nothing is
written into the table, so that no other text changes and painting knows no limit but the text's length; and training
moves the vectors alone, which is the same as training spare rows of the table while all other rows are held still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from renderer.kolors.embeddings import check_embedding, read_embedding
from renderer.kolors.text import piece_ids, placeholder, tokenize
from renderer.kolors.weights import load_text_encoder
from renderer.take import TakeEmbedding


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
    """ChatGLM3, frozen, reading texts of at most `length` pieces (with the two before every prompt)."""

    def __init__(self, folder: Path, length: int, device: torch.device, dtype: torch.dtype) -> None:
        """Loads the weights. Raises ModelError."""
        self._folder, self._length, self._device = folder, length, device
        self._encoder: Any = load_text_encoder(folder, device, dtype)

    def encode(self, text: str, vectors: Mapping[str, Tensor] = {}) -> Encoded:
        """A text's states, on the device; `vectors` [count, width] of embeddings by name stand for `<name>` in it.

        Gradients reach the vectors, where grad is enabled. As KolorsPipeline.encode_prompt (diffusers): states are the
        second-last layer's output, the pooled vector is the last layer's output at the last token, before the final
        norm. An empty text is encoded like any other.
        """
        counts = {name: len(its) for name, its in vectors.items()}
        *plain, taken = tokenize(self._folder, text, self._length, counts)
        ids, mask, positions = torch.tensor(plain, device=self._device).unsqueeze(1)
        rows: Tensor = self._encoder.embedding(ids)
        if taken:
            places = torch.tensor([*taken], device=self._device)
            chosen = torch.stack([vectors[name][number] for name, number in taken.values()])
            rows = rows.index_put((places,), chosen.to(rows).unsqueeze(1))
        layers = self._encoder(
            ids, positions, mask, inputs_embeds=rows, output_hidden_states=True, use_cache=False, return_dict=True
        ).hidden_states
        return Encoded(layers[-2][:, 0], layers[-1][-1, 0])

    def rows(self, text: str) -> Tensor:
        """fp32 [pieces, width] on the CPU: the table's rows of a text's pieces, as vectors that mean it at first.

        Without the mark of a word's beginning where that is a piece of its own, as a placeholder stands for it too.
        """
        ids = torch.tensor(piece_ids(self._folder, text), dtype=torch.long, device=self._device)
        return self.table[ids].float().cpu()

    @property
    def table(self) -> Tensor:
        """The rows of all pieces [pieces, width], on the device, in the type of the weights."""
        table: Tensor = self._encoder.embedding.word_embeddings.weight
        return table.detach()


@torch.no_grad()
def encode_prompts(
    folder: Path,
    prompts: Iterable[Prompt],
    length: int,
    device: torch.device,
    dtype: torch.dtype,
    done: Callable[[int, int], None] = lambda count, total: None,
) -> dict[Prompt, Encoded]:
    """The states of each distinct prompt, on the CPU; the text encoder is loaded for this and released.

    One prompt at a time, so that its states don't depend on its neighbours. `done` hears how many of all are ready.
    Raises ModelError, EmbeddingError.
    """
    distinct = list(dict.fromkeys(prompts))
    done(0, len(distinct))
    embeddings = dict.fromkeys(embedding for prompt in distinct for embedding in prompt.embeddings)
    vectors = {embedding: read_embedding(check_embedding(embedding, folder).path) for embedding in embeddings}
    encoder = TextEncoder(folder, length, device, dtype)
    encoded: dict[Prompt, Encoded] = {}
    for prompt in distinct:
        found = encoder.encode(prompt.text, {it.name: vectors[it] for it in prompt.embeddings})
        encoded[prompt] = Encoded(found.states.cpu().clone(), found.pooled.cpu().clone())
        done(len(encoded), len(distinct))
    return encoded


def encode_texts(
    folder: Path, texts: Iterable[str], length: int, device: torch.device, dtype: torch.dtype
) -> dict[str, Encoded]:
    """As `encode_prompts`, for texts without embeddings. Raises ModelError."""
    encoded = encode_prompts(folder, map(Prompt, texts), length, device, dtype)
    return {prompt.text: found for prompt, found in encoded.items()}

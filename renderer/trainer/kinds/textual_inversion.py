"""`kind: textual-inversion`: vectors that mean a new word, which prompts write as `<token>`.

The text encoder is frozen and gradients cross it, so that texts are read anew at each step. The vectors stand beside
its table, not in it (`kolors/encoder.py`): no row of the table can change, and the text's length is the only limit to
their number.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from renderer.kolors.embeddings import write_embedding
from renderer.kolors.encoder import Encoded, TextEncoder
from renderer.kolors.text import placeholder, tokenize
from renderer.kolors.weights import Denoiser
from renderer.take import Take, TakeEmbedding
from renderer.trainer.export import LoraFacts
from renderer.trainer.kinds.header import stated
from renderer.trainer.kinds.kind import Kind
from renderer.trainer.kinds.templates import with_word
from renderer.trainer.recipe import Recipe
from renderer.trainer.recipes.recipe_file import InversionEntry

TINY = 1e-12
"""No vector is divided by less, as in torch's own `normalize`."""


class TextualInversionKind(Kind):
    """The vectors of a new word: fp32 [vectors, width], whatever type the text encoder is in.

    With `keep_norm` only their directions are learned: their lengths stay as they were at first.
    """

    reads = True

    def __init__(self, recipe: Recipe, denoiser: Denoiser) -> None:
        super().__init__(recipe, denoiser)
        assert recipe.inversion is not None, "check_kind knows it"
        self._token, self._keep_norm = recipe.inversion.token, recipe.inversion.keep_norm
        like = next(denoiser.unet.parameters())
        self._encoder = TextEncoder(recipe.model_folder, recipe.card.text_length, like.device, like.dtype)
        first = first_vectors(recipe.inversion, self._encoder)
        self._vectors = nn.Parameter(first.to(like.device))
        self._lengths = nn.Buffer(_lengths(self._vectors.detach()))

    @property
    def vectors(self) -> Tensor:
        """The vectors as they are read and written."""
        if not self._keep_norm:
            return self._vectors
        return self._vectors * (self._lengths / _lengths(self._vectors).clamp_min(TINY))

    def trained(self) -> dict[str, nn.Parameter]:
        """The vectors; of those that keep their lengths, of any length."""
        return {"vectors": self._vectors}

    def write(self, file: Path, facts: LoraFacts) -> str:
        """Writes an embedding file."""
        return write_embedding(file, self.vectors.detach(), stated(facts))

    def added(self, take: Take, file: Path, sha256: str) -> Take:
        """With the vectors for `<token>`, if that is in the take's texts."""
        its = self._word in take.prompt + take.negative
        return replace(take, embeddings=(TakeEmbedding(self._token, sha256, path=file),) if its else ())

    def described(self, facts: LoraFacts) -> LoraFacts:
        """With `<token>` before the other trigger words."""
        return replace(facts, trigger_words=tuple(dict.fromkeys((self._word, *facts.trigger_words))))

    def read(self, text: str) -> Encoded:
        """The states of a text that says the new word, as the painter reads it; gradients reach the vectors.

        Where the recipe saves memory the encoder, too, is computed again in the backward pass.
        """
        said = self.said(text)
        if self.recipe.train.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._encode, said, self.vectors, use_reentrant=False)
        return self._encode(said, self.vectors)

    def said(self, text: str) -> str:
        """The text itself where the encoder reads `<token>` in it; else it is put in, before all that is cut off.

        While training in any of several ways, drawn by lot; for validation always in the plainest.
        """
        recipe = self.recipe
        counts = {self._token: len(self._vectors)}
        if tokenize(recipe.model_folder, text, recipe.card.text_length, counts).vectors:
            return text
        ways = with_word(self._word, text)
        return ways[int(torch.randint(len(ways), ())) if self.training else 0]

    @property
    def _word(self) -> str:
        return placeholder(self._token)

    def _encode(self, text: str, vectors: Tensor) -> Encoded:
        with torch.autocast(vectors.device.type, enabled=False):
            return self._encoder.encode(text, {self._token: vectors})


def first_vectors(entry: InversionEntry, encoder: TextEncoder) -> Tensor:
    """What the vectors are before they are trained: fp32 [vectors, width], on the CPU.

    The rows of the pieces of `init`: in turn from the first again where there are fewer than vectors, so that the new
    word reads as that text said over; means of neighbours where there are more. Without `init` they are drawn from a
    normal distribution with the table's mean and spread, coordinate by coordinate: of no meaning, but of its scale.
    """
    rows = encoder.rows(entry.init or "")
    if len(rows) > entry.vectors:
        return torch.stack([part.mean(0) for part in rows.tensor_split(entry.vectors)])
    if len(rows):
        return rows[torch.arange(entry.vectors) % len(rows)]
    spread, mean = (it.float().cpu() for it in torch.std_mean(encoder.table, dim=0))
    return mean + spread * torch.randn(entry.vectors, len(mean))


def _lengths(vectors: Tensor) -> Tensor:
    """[vectors, 1]."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return lengths

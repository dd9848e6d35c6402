"""From prompts to what the UNet reads of them: ChatGLM3's states, computed once for each text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from renderer.kolors.text import tokenize
from renderer.kolors.weights import load_text_encoder


class Encoded(NamedTuple):
    """A prompt as ChatGLM3 reads it, on the CPU: `states` [length, width], `pooled` [width]."""

    states: Tensor
    pooled: Tensor


@torch.no_grad()
def encode_texts(
    folder: Path,
    texts: Iterable[str],
    length: int,
    device: torch.device,
    dtype: torch.dtype,
    done: Callable[[int, int], None] = lambda count, total: None,
) -> dict[str, Encoded]:
    """The states of each distinct text; the text encoder is loaded for this and released. Raises ModelError.

    One text at a time, so that a text's states don't depend on its neighbours. `done` hears how many of all are ready.
    As KolorsPipeline.encode_prompt (diffusers): states are the second-last layer's output, the pooled vector is the
    last layer's output at the last token, before the final norm. An empty text is encoded like any other.
    """
    distinct = list(dict.fromkeys(texts))
    done(0, len(distinct))
    encoder = load_text_encoder(folder, device, dtype)
    encoded: dict[str, Encoded] = {}
    for text in distinct:
        ids, mask, positions = torch.tensor(tokenize(folder, text, length), device=device).unsqueeze(1)
        layers = encoder(
            ids, positions, mask, output_hidden_states=True, use_cache=False, return_dict=True
        ).hidden_states
        encoded[text] = Encoded(layers[-2][:, 0].cpu().clone(), layers[-1][-1, 0].cpu().clone())
        done(len(encoded), len(distinct))
    return encoded

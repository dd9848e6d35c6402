"""The states of prompts: from memory, else from disk, else as ChatGLM3 reads them now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError

from renderer.kolors.card import Precision, read_card
from renderer.kolors.device import DTYPES, device_name, wide
from renderer.kolors.encoder import Encoded, Prompt, encode_prompts
from renderer.kolors.tensor_cache import Cache

FORM = 1
"""Version of how states are computed; part of their keys."""
MOST = 2 * 1024**3
"""Bytes of states that are kept on disk: a thousand prompts of Kolors in half precision."""

Room = Callable[[Callable[[], dict[Prompt, Encoded]]], dict[Prompt, Encoded]]
"""Does some work with as much of the device's memory as can be had."""
Wanted = tuple[Precision, Prompt]


class States:
    """States for one model on one device. Those on disk serve all stories, and a disk that is full does no harm."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self._device = folder, device
        self._kept: dict[Wanted, Encoded] = {}
        self._cache = Cache(user_cache_path("kolors-storyboard", appauthor=False) / "states")

    def __getitem__(self, wanted: Wanted) -> Encoded:
        """A prompt's states, on the CPU. Raises KeyError where they weren't made ready."""
        return self._kept[_as_read(wanted)]

    def make_ready(self, wanted: Iterable[Wanted], done: Callable[[int, int], None], room: Room) -> None:
        """Has these states in memory, and no others. `done` hears how many of those that ChatGLM3 must read are ready;
        `room` is where it reads. Raises ModelError, EmbeddingError.
        """
        distinct = list(dict.fromkeys(map(_as_read, wanted)))
        self._kept = {it: found for it in distinct if (found := self._kept.get(it) or self._from_disk(it))}
        missing = [it for it in distinct if it not in self._kept]
        length = read_card(self._folder).text_length
        for precision in dict.fromkeys(precision for precision, _ in missing):
            prompts = [prompt for its, prompt in missing if its == precision]
            read = partial(encode_prompts, self._folder, prompts, length, self._device, DTYPES[precision], done)
            self._kept |= {(precision, prompt): states for prompt, states in room(read).items()}
        self._to_disk(missing)

    def _from_disk(self, wanted: Wanted) -> Encoded | None:
        key = self._key(*wanted)
        if key is None:
            return None
        try:
            tensors = self._cache.read(key)
            found = Encoded(tensors["states"], tensors["pooled"])
        except (OSError, SafetensorError, KeyError):  # not there, or damaged: it is computed anew
            return None
        self._cache.used(key)
        return found

    def _to_disk(self, made: Sequence[Wanted]) -> None:
        with suppress(OSError):
            for wanted in made:
                key = self._key(*wanted)
                if key is not None:
                    self._cache.write(key, self._kept[wanted]._asdict())
            if made:
                self._cache.shrink(MOST)

    def _key(self, precision: Precision, prompt: Prompt) -> dict[str, Any] | None:
        """All that decides a prompt's states, to the last bit; None where the model has no digest to go by."""
        card = read_card(self._folder)
        if not card.digest:
            return None
        return {
            "form": FORM,
            "model": card.digest,
            "length": card.text_length,
            "text": prompt.text,
            "embeddings": [it.record() for it in prompt.embeddings],
            "precision": precision,
            "device": device_name(self._device),
            "torch": torch.__version__,
        }


def _as_read(wanted: Wanted) -> Wanted:
    """Of these states those that are read: for a UNet in 8 bits they are the same as for one in bf16."""
    precision, prompt = wanted
    return wide(precision), prompt

"""States on disk: all that a training will ever draw, computed beforehand, so that no other network is in memory then.

What is drawn is known from the start, so exactly those views of pictures and those texts are computed: never more than
without a cache, and each only once, for all trainings that share the folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError
from torch import Tensor

from renderer.errors import TrainingError
from renderer.files import explained
from renderer.kolors import memory
from renderer.kolors.encoder import Encoded
from renderer.kolors.layout import read_json
from renderer.kolors.sampling import LATENT_CHANNELS, LATENT_FACTOR
from renderer.kolors.tensor_cache import Cache
from renderer.trainer.dataset import Sample, Tell
from renderer.trainer.learning.crops import View
from renderer.trainer.learning.draws import Draw
from renderer.trainer.learning.states import LiveStates
from renderer.trainer.recipe import Recipe

FORM = 1
"""Version of how states are computed; part of their keys."""
RESERVE = 256 * 1024**2
"""Bytes of the disk that caches leave free, for checkpoints and pictures."""

FULL = "the disk is full. Free some space and train again; what is cached so far is kept. Or set `cache: false`."
ELSEWHERE = "set `cache: false` in the recipe"

Missing = tuple[Sequence[tuple[Sample, View]], Sequence[str]]
"""The views and the texts that are not cached yet."""


class CachedStates:
    """States read from disk, where `fill` has put them; on the CPU."""

    def __init__(self, folder: Path, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> None:
        self._folder, self._recipe, self._device, self._dtype = folder, recipe, device, dtype
        self._latents, self._texts = Cache(folder / "latents"), Cache(folder / "texts")
        # A processor and a GPU differ in the last bits.
        self._made = {"form": FORM, "model": f"{recipe.edition} {recipe.card.digest}", "device": device.type}

    def latents(self, sample: Sample, view: View) -> Tensor:
        """The view's latents. Raises TrainingError where they are gone."""
        return self._read(self._latents, self._view_key(sample, view))["latents"]

    def text(self, text: str) -> Encoded:
        """The text's states. Raises TrainingError where they are gone."""
        return Encoded(**self._read(self._texts, self._text_key(text)))

    def _read(self, cache: Cache, key: dict[str, Any]) -> dict[str, Tensor]:
        try:
            return cache.read(key)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{self._folder}: what was cached for this training is gone or damaged: {error}. Train again: what is "
                "missing is computed anew."
            ) from error

    def fill(self, draws: Iterable[Draw], texts: bool, tell: Tell) -> None:
        """Computes what these draws need and is not there yet; texts only if asked for.

        One network is in memory at a time, and none afterwards. Another training that fills the same folder is waited
        for. Raises TrainingError where the disk has no room for it, RunFolderError where it can't be written to.
        """
        drawn = [(draw.sample, draw.view, draw.text) for draw in draws]
        with explained(self._folder, FULL, ELSEWHERE):
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / ".filling"):
                views, new_texts = self._missing(drawn)
                missing = (views, new_texts if texts else [])
                self._require_room(missing)
                self._compute("latents", missing[0], self._keep_view, tell)
                self._compute("texts", missing[1], self._keep_text, tell)

    def _missing(self, drawn: Sequence[tuple[Sample, View, str]]) -> Missing:
        views = {(sample.sha256, view): (sample, view) for sample, view, _ in drawn}
        return (
            [it for it in views.values() if self._view_key(*it) not in self._latents],
            [it for it in dict.fromkeys(text for *_, text in drawn) if self._text_key(it) not in self._texts],
        )

    def _compute(self, stage: str, missing: Sequence[Any], keep: Callable[[LiveStates, Any], None], tell: Tell) -> None:
        if not missing:
            return
        live = LiveStates(self._recipe, self._device, self._dtype)
        tell(stage, 0, len(missing))
        for done, item in enumerate(missing, 1):
            keep(live, item)
            tell(stage, done, len(missing))
        del live
        memory.release(self._device)

    def _keep_view(self, live: LiveStates, item: tuple[Sample, View]) -> None:
        self._latents.write(self._view_key(*item), {"latents": live.latents(*item)})

    def _keep_text(self, live: LiveStates, text: str) -> None:
        self._texts.write(self._text_key(text), live.text(text)._asdict())

    def _require_room(self, missing: Missing) -> None:
        views, texts = missing
        needed = sum(_latent_bytes(view) for _, view in views) + len(texts) * self._text_bytes()
        free = shutil.disk_usage(self._folder).free
        if needed and needed + RESERVE > free:
            raise TrainingError(
                f"{self._folder}: the caches need {_megabytes(needed)} and the disk has {_megabytes(free)} left. "
                "Free some space, or set `cache: false` in the recipe, which trains slower."
            )

    def _text_bytes(self) -> int:
        width = read_json(self._recipe.model_folder / "text_encoder" / "config.json")["hidden_size"]
        return (self._recipe.card.text_length + 1) * int(width) * self._dtype.itemsize

    def _view_key(self, sample: Sample, view: View) -> dict[str, Any]:
        shown = [*view.scaled, *view.size, view.left, view.top, view.mirrored]
        return {**self._made, "picture": sample.sha256, "view": shown}

    def _text_key(self, text: str) -> dict[str, Any]:
        return {**self._made, "text": text, "length": self._recipe.card.text_length, "dtype": str(self._dtype)}


def _latent_bytes(view: View) -> int:
    return LATENT_CHANNELS * view.size[0] * view.size[1] // LATENT_FACTOR**2 * torch.float32.itemsize


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"

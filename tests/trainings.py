"""Small trainings for tests: a tiny model, a few pictures of noise, and a recipe."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from renderer.files import file_sha256
from renderer.kolors.encoder import Encoded
from renderer.kolors.weights import load_denoiser
from renderer.trainer.dataset import Dataset, Sample
from renderer.trainer.kinds import KINDS
from renderer.trainer.learning.crops import View
from renderer.trainer.learning.draws import Draws
from renderer.trainer.learning.job import Job
from renderer.trainer.learning.progress import TrainingProgress
from renderer.trainer.learning.states import LiveStates, States
from renderer.trainer.module import TrainingModule
from renderer.trainer.recipe import Recipe, load_recipe
from tests.tiny_kolors import make_folder

# Each training gives memory back, which looks through all objects: those of the imports above stay anyhow.
gc.freeze()

CPU = torch.device("cpu")
CAPTIONS = ("一个女孩，红色，沙发", "a red cat, on the sofa", "夜晚 森林")


def make_models(folder: Path) -> Path:
    """A folder of models that has one, `tiny`."""
    make_folder(folder / "tiny")
    return folder


def make_recipe(folder: Path, models: Path, text: str = "") -> Recipe:
    """A recipe for `tiny`; `text` are its lines below name, model and data."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pencil.yaml"
    path.write_text(f"name: pencil\nmodel: tiny\ndata: {{folder: .}}\n{text}", encoding="utf-8")
    return load_recipe(path, [models])


def make_dataset(folder: Path, *sizes: tuple[int, int]) -> Dataset:
    """Pictures of noise, the same each time; by default four."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number, (width, height) in enumerate(sizes or ((32, 32), (48, 32), (32, 40), (64, 64))):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
        file = folder / f"{number}.png"
        Image.fromarray(pixels).save(file)
        caption = CAPTIONS[number % len(CAPTIONS)]
        samples.append(Sample(file.name, file, caption, width, height, file_sha256(file)))
    digest = hashlib.sha256("".join(sample.sha256 for sample in samples).encode()).hexdigest()
    return Dataset(tuple(samples), digest, ())


def make_job(
    folder: Path, models: Path, text: str = "", tell: Callable[[TrainingProgress], None] = lambda progress: None
) -> Job:
    """A training in `folder`, with four pictures."""
    dataset = make_dataset(folder / "pictures")
    return Job(make_recipe(folder, models, text), dataset, folder / "training" / "pencil", folder / "out", tell)


def make_module(recipe: Recipe, dataset: Dataset, states: States | None = None) -> TrainingModule:
    """The module that trains by a recipe, on the CPU and without a Trainer."""
    denoiser = load_denoiser(recipe.model_folder, CPU, torch.float32)
    kind = KINDS[recipe.kind](recipe, denoiser)
    draws = Draws(recipe, kind.groups(recipe, dataset.samples))
    return TrainingModule(recipe, denoiser, kind, draws, states or LiveStates(recipe, CPU, torch.float32))


class MadeUpStates:
    """Latents and texts of noise, the same for a picture and its view, and for a text; nothing is loaded."""

    def __init__(self, dtype: torch.dtype = torch.float32, length: int = 32, width: int = 48) -> None:
        self._dtype, self._length, self._width = dtype, length, width

    def latents(self, sample: Sample, view: View) -> torch.Tensor:
        return self._noise(f"{sample.name} {view}", 4, view.size[1] // 8, view.size[0] // 8)

    def text(self, text: str) -> Encoded:
        return Encoded(self._noise(text, self._length, self._width), self._noise(text, self._width))

    def _noise(self, words: str, *shape: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big"))
        return torch.randn(shape, generator=generator).to(self._dtype)

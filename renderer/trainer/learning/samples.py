"""Sample pictures: what is trained, painted while it is trained by the same pipeline that renders storyboards.

They are painted with the file that is exported at that step, so a storyboard that uses it gets the same pictures. The
pipeline has a UNet and generators of its own: nothing of the training is touched.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from math import ceil, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from renderer.errors import StoryboardError
from renderer.files import write_atomically
from renderer.kolors import memory
from renderer.kolors.pipeline import KolorsPainter
from renderer.metadata import XMP_TEXT, encode_png
from renderer.take import Failed, Painter, Take
from renderer.trainer.learning.job import Job
from renderer.trainer.learning.publishing import facts_of, write_result
from renderer.trainer.learning.stopping import Stop
from renderer.trainer.module import TrainingModule
from renderer.trainer.recipe import Recipe

log = logging.getLogger(__name__)

PAINTING = ".painting-"
"""How the folder is called that holds the exported file while it is painted with."""

OpenPainter = Callable[[Recipe, torch.device], Painter]


def open_painter(recipe: Recipe, device: torch.device) -> Painter:
    """The pipeline for the recipe's model on a device."""
    return KolorsPainter(recipe.model_folder, str(device))


class Sampler(lightning.Callback):
    """Paints the recipe's prompts before the first step, every so many steps, and after the last one.

    `painted` are the pictures that there are, by step: each one's prompt and its file, relative to the run folder.
    """

    def __init__(self, job: Job, stop: Stop, opened: OpenPainter = open_painter) -> None:
        self._job, self._stop, self._opened = job, stop, opened
        self.painted: dict[int, list[tuple[str, str]]] = {}

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Paints what is due and not there: before the first step, or where the training ended before it was done."""
        self.paint_due(trainer, module, trainer.global_step)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: object, batch: int, batch_idx: int
    ) -> None:
        """Paints what is due after a step, unless the training is to end: pictures are worth no delay then."""
        if not self._stop.asked:
            self.paint_due(trainer, module, batch + 1)

    def paint_due(self, trainer: lightning.Trainer, module: lightning.LightningModule, step: int) -> None:
        """Paints the samples of a step if it is due and they are not there. On the first of several processes."""
        assert isinstance(module, TrainingModule)
        recipe, device = self._job.recipe, trainer.strategy.root_device
        due = step % recipe.samples.every == 0 or step == recipe.train.steps
        if not due or step in self.painted or not recipe.samples.prompts or not trainer.is_global_zero:
            return
        try:
            self.painted[step] = self._paint(module, device, step)
        except StoryboardError as error:  # of the painting: the training goes on without these pictures
            log.warning("no sample pictures of step %d: %s", step, error)
        memory.release(device)

    def state_dict(self) -> dict[str, Any]:
        """The pictures that there are: part of checkpoints, so that none of another training is taken for one."""
        return {"painted": self.painted}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them again."""
        self.painted = dict(state_dict["painted"])

    def _paint(self, module: TrainingModule, device: torch.device, step: int) -> list[tuple[str, str]]:
        job, painted = self._job, []
        with job.writing(job.run), TemporaryDirectory(dir=job.run, prefix=PAINTING) as folder:
            file = Path(folder) / job.result.name
            sha256 = write_result(module, file, facts_of(module, job, step, {}))
            takes = [module.kind.added(take, file, sha256) for take in _takes(job.recipe)]
            names = {take: f"{step:06d}-{number:02d}.png" for number, take in enumerate(takes, 1)}
            job.samples.mkdir(exist_ok=True)
            job.told("painting", 0, len(takes))
            painter = self._opened(job.recipe, device)
            for done, picture in enumerate(painter.paint(takes, lambda progress: None), 1):
                if isinstance(picture, Failed):
                    log.warning("no sample picture of step %d: %s", step, picture.reason)
                else:
                    place = job.samples / names[picture.take]
                    write_atomically(place, encode_png(picture.take, picture.pixels))
                    painted.append((picture.take.prompt, place.relative_to(job.run).as_posix()))
                job.told("painting", done, len(takes))
        return sorted(painted, key=lambda it: it[1])


def write_sample_sheet(sheet: Path, files: Sequence[Path]) -> None:
    """Writes pictures of one size, side by side in rows, with the mark of AI origin that they carry, as one PNG.

    Raises OSError.
    """
    pictures, mark = [], ""
    for file in files:
        with Image.open(file) as opened:
            mark = str(opened.info.get(XMP_TEXT, ""))
            pictures.append(opened.convert("RGB"))
    columns = ceil(sqrt(len(pictures)))
    width, height = pictures[0].size
    page = Image.new("RGB", (columns * width, ceil(len(pictures) / columns) * height), "white")
    for place, picture in enumerate(pictures):
        page.paste(picture, (place % columns * width, place // columns * height))
    texts, written = PngInfo(), io.BytesIO()
    texts.add_itxt(XMP_TEXT, mark)
    page.save(written, "PNG", pnginfo=texts)
    write_atomically(sheet, written.getvalue())


def _takes(recipe: Recipe) -> list[Take]:
    """The recipe's prompts as a storyboard would have them painted."""
    samples, card = recipe.samples, recipe.card
    return [
        Take(
            scene=f"sample-{number}",
            seed=samples.seed,
            prompt=prompt,
            negative=samples.negative,
            width=recipe.image.width,
            height=recipe.image.height,
            steps=samples.steps or card.steps,
            guidance=card.guidance if samples.guidance is None else samples.guidance,
            sampler=card.sampler,
            model=recipe.edition,
        )
        for number, prompt in enumerate(samples.prompts, 1)
    ]

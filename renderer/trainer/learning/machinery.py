"""Lightning's Trainer as a recipe asks for it, and what its failures mean to a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import lightning
import torch

from renderer.errors import TrainingError
from renderer.kolors import memory
from renderer.quieting import quieten_lightning
from renderer.trainer.learning.checkpoints import checkpoints_in, step_of
from renderer.trainer.learning.job import Job
from renderer.trainer.learning.loggers import make_loggers
from renderer.trainer.learning.stopping import Stop
from renderer.trainer.module import NotFinite
from renderer.trainer.recipe import Recipe

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]

_DTYPES: dict[str, torch.dtype] = {
    "32-true": torch.float32,
    "16-mixed": torch.float16,
    "bf16-mixed": torch.bfloat16,
}
_ASKED: dict[str, Precision] = {"fp32": "32-true", "fp16-mixed": "16-mixed", "bf16-mixed": "bf16-mixed"}


def make_trainer(
    job: Job, device: torch.device, callbacks: Sequence[lightning.Callback], step: int
) -> lightning.Trainer:
    """The Trainer that goes on after a step, on this kind of device. Raises TrainingError."""
    quieten_lightning()
    train = job.recipe.train
    devices = [*train.devices] if isinstance(train.devices, tuple) else train.devices
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=devices,
        strategy=train.strategy,
        num_nodes=train.num_nodes,
        precision=_precision(job.recipe, device),
        max_epochs=-1,
        max_steps=train.steps,
        callbacks=[*callbacks],
        logger=make_loggers(job, step),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=job.run,
    )


def processes(trainer: lightning.Trainer) -> int:
    """How many processes will train together; known before they are there."""
    return trainer.num_devices * trainer.num_nodes


def frozen_dtype(trainer: lightning.Trainer) -> torch.dtype:
    """The type that the frozen UNet is held in, and that texts are encoded in.

    On a GPU half precision, where it is computed in anyway: half the memory. On a CPU fp32, since its norms don't take
    halves beside fp32.
    """
    is_gpu = trainer.strategy.root_device.type == "cuda"
    return _DTYPES[str(trainer.precision)] if is_gpu else torch.float32


@contextmanager
def explained_failures(job: Job, stop: Stop) -> Iterator[None]:
    """Turns what can happen in a training into TrainingError or, where it was stopped at once, KeyboardInterrupt."""
    try:
        yield
    except NotFinite as error:
        kept = next(iter(checkpoints_in(job.checkpoints)), None)
        files = [file for file in (kept, job.result_at(step_of(kept))) if file and file.exists()]
        where = f" What was learned before is kept: {', '.join(map(str, files))}." if files else ""
        raise TrainingError(f"{error}{where}") from error
    except SystemExit:
        if stop.asked:  # by a second Ctrl-C, which Lightning turns into an exit
            raise KeyboardInterrupt from None
        raise
    except (RuntimeError, MemoryError) as error:
        if not memory.is_out_of_memory(error):
            raise
        raise TrainingError(_words(job.recipe)) from error


def _words(recipe: Recipe) -> str:
    train, image = recipe.train, recipe.image
    advice = [] if train.gradient_checkpointing else ["set `gradient_checkpointing: true`"]
    advice += [f"halve `batch` and double `accumulate` (now {train.batch} and {train.accumulate})"] * (train.batch > 1)
    advice += ["lower `size`", "close other programs that use the device"]
    return (
        f"{recipe.path}: out of memory with batches of {train.batch} at {image.width}x{image.height}: "
        f"{', or '.join(advice)}. What was saved so far is safe."
    )


def _precision(recipe: Recipe, device: torch.device) -> Precision:
    asked = recipe.train.precision
    if asked == "auto":
        asked = "fp16-mixed" if device.type == "cuda" else "fp32"
    if asked == "fp16-mixed" and device.type != "cuda":
        raise TrainingError(
            f"{recipe.path}: train.precision: fp16-mixed needs an NVIDIA GPU, and this training runs on {device.type}. "
            "Choose auto, fp32 or bf16-mixed."
        )
    return _ASKED[asked]

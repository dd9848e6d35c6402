"""A training on one screen: pictures, caches, steps, and the file that storyboards use."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import lightning
import torch

from renderer.files import write_atomically
from renderer.kolors.device import choose_device
from renderer.kolors.weights import load_denoiser
from renderer.trainer.dataset import prepare_dataset
from renderer.trainer.kinds import KINDS
from renderer.trainer.learning.cached import CachedStates
from renderer.trainer.learning.chance import Lot, seeded
from renderer.trainer.learning.checkpoints import newest_checkpoint, remove_halves, require_same_recipe, step_of
from renderer.trainer.learning.draws import Draw, Draws
from renderer.trainer.learning.job import Job
from renderer.trainer.learning.keeping import Keeper
from renderer.trainer.learning.machinery import explained_failures, frozen_dtype, make_trainer, processes
from renderer.trainer.learning.progress import TrainingProgress as TrainingProgress
from renderer.trainer.learning.publishing import facts_of, publish
from renderer.trainer.learning.recording import Recorder
from renderer.trainer.learning.samples import PAINTING, OpenPainter, Sampler, open_painter, write_sample_sheet
from renderer.trainer.learning.states import LiveStates, States
from renderer.trainer.learning.stopping import Stop
from renderer.trainer.learning.validation import examination, hold_out
from renderer.trainer.learning.watching import Watch
from renderer.trainer.module import TrainingModule
from renderer.trainer.recipe import Recipe
from renderer.trainer.results import CHECKPOINTS, DATA, held_alone, is_first_process, result_files


@dataclass(frozen=True)
class Result:
    """What a training came to: the file for storyboards, the last losses by name, and the picture of samples if any."""

    file: Path
    losses: dict[str, float]
    samples: Path | None


def train(
    recipe: Recipe, run: Path, out: Path, tell: Callable[[TrainingProgress], None], device: str | None = None
) -> Result:
    """Trains by a recipe in the folder `run`, from where an earlier call was stopped; the result's files go to `out`.

    `device` is the best of the machine if none is named. On a CPU a training that was stopped, at any moment and in any
    way, and gone on with, ends in the same file, bit for bit, as one that never was; it takes the same number of
    threads. On a GPU it goes on from exactly the state that was saved, but kernels may add in another order each time.

    Raises KeyboardInterrupt when Ctrl-C or SIGTERM has ended it, with all saved; DataError, TrainingError, ModelError
    or RunFolderError where it can't begin or go on.
    """
    with held_alone(run):
        require_same_recipe(recipe, run / CHECKPOINTS)  # before the data set of what can't be gone on with makes room
        dataset = prepare_dataset(
            recipe, run / DATA, lambda stage, done, total: tell(TrainingProgress(stage, done, total))
        )
        return fit(Job(recipe, dataset, run, out, tell), device)


def fit(job: Job, device: str | None = None, opened: OpenPainter = open_painter) -> Result:
    """As `train`, on pictures that are prepared; `opened` opens what paints samples and class pictures."""
    recipe, chosen = job.recipe, choose_device(device)
    job = replace(job, dataset=KINDS[recipe.kind].completed(job, partial(opened, recipe, chosen)))
    resumed = newest_checkpoint(job)
    _begin(job)
    kept, held = hold_out(recipe, job.dataset.samples)
    stop, recorder = Stop(), Recorder(recipe, examination(recipe, held))
    sampler = Sampler(job, stop, opened)
    watch = Watch(job, recorder, sampler)
    callbacks = [stop, recorder, Keeper(job, recorder, stop), sampler, watch]
    trainer = make_trainer(job, chosen, callbacks, step_of(resumed))
    draws = Draws(recipe, KINDS[recipe.kind].groups(recipe, kept), ranks=processes(trainer))
    with stop.signals_kept(), explained_failures(job, stop), job.writing(job.run):
        states = _states(job, trainer, draws, step_of(resumed), recorder.examination)
        module = _module(job, trainer, draws, states)
        trainer.fit(module, ckpt_path=resumed, weights_only=True)
    if trainer.global_step < recipe.train.steps:
        raise KeyboardInterrupt
    # Where all steps were done before this call, Lightning leaves these to us.
    sampler.paint_due(trainer, module, recipe.train.steps)
    watch.on_train_end(trainer, module)
    return _finish(job, trainer, module, recorder.losses, sampler)


def _begin(job: Job) -> None:
    """The run folder with the recipe in it, and without what a killed training left half done."""
    with job.writing(job.run):
        job.run.mkdir(parents=True, exist_ok=True)
        write_atomically(job.run / "recipe.yaml", job.recipe.text.encode())
        if is_first_process():
            remove_halves(job.checkpoints)
            for folder in job.run.glob(f"{PAINTING}*"):
                shutil.rmtree(folder)


def _states(
    job: Job, trainer: lightning.Trainer, draws: Draws, step: int, examination: Sequence[Sequence[Draw]]
) -> States:
    """Where latents and text states come from; cached, they are all there afterwards."""
    recipe, device = job.recipe, trainer.strategy.root_device
    if not recipe.train.cache:
        return LiveStates(recipe, device, frozen_dtype(trainer))
    states = CachedStates(job.cache, recipe, device, frozen_dtype(trainer))
    needed = chain(draws.needed(step, recipe.train.steps), chain.from_iterable(examination))
    states.fill(needed, texts=not KINDS[recipe.kind].reads, tell=job.told)
    return states


def _module(job: Job, trainer: lightning.Trainer, draws: Draws, states: States) -> TrainingModule:
    """The frozen model with what is trained in it, as it begins."""
    recipe = job.recipe
    denoiser = load_denoiser(recipe.model_folder, trainer.strategy.root_device, frozen_dtype(trainer))
    with seeded(Lot(recipe.train.seed, "beginning", 0), torch.device("cpu")):
        kind = KINDS[recipe.kind](recipe, denoiser)
    return TrainingModule(recipe, denoiser, kind, draws, states)


def _finish(
    job: Job, trainer: lightning.Trainer, module: TrainingModule, losses: dict[str, float], sampler: Sampler
) -> Result:
    """Writes the result, its card and its picture; only the first of several processes does."""
    file, _, sheet = result_files(job.out, job.recipe.name)
    steps = job.recipe.train.steps
    pictures = [job.run / picture for _, picture in sampler.painted.get(steps, [])]
    samples = sheet if pictures else None
    if trainer.is_global_zero:
        with job.writing(job.out):
            job.out.mkdir(parents=True, exist_ok=True)
            # First the file, which says by whom all were made.
            publish(module, file, facts_of(module, job, steps, losses), samples)
            if samples:
                write_sample_sheet(samples, pictures)
    return Result(file, losses, samples)

"""Class pictures painted by the model itself: what it knows of a class before it is trained, seed by seed.

By the pipeline that renders storyboards, with the card's sampler, steps and guidance. They are kept beside the run
folders, under all that decides them, so that trainings of one class share them and none is painted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from renderer.errors import PictureError, TrainingError
from renderer.files import write_atomically
from renderer.kolors import memory
from renderer.metadata import encode_png, read_record
from renderer.take import Failed, Painter, Take, key_of
from renderer.trainer.dataset import needs_of
from renderer.trainer.learning.job import Job
from renderer.trainer.recipe import Recipe
from renderer.trainer.recipes.recipe_file import DreamboothEntry

STAGE = "class pictures"


def entry_of(recipe: Recipe) -> DreamboothEntry:
    """What a recipe of this kind says of its class."""
    assert recipe.dreambooth is not None, "check_kind knows it"
    return recipe.dreambooth


def painted_folder(job: Job) -> Path:
    """Where painted class pictures of a recipe are kept, or will be."""
    recipe = job.recipe
    decided = {name: value for name, value in class_take(recipe, 0).record.items() if name != "seed"}
    return job.cache / "classes" / key_of(decided | {"weights": recipe.card.digest})


def class_take(recipe: Recipe, seed: int) -> Take:
    """The class prompt as a storyboard that says nothing else would have it painted.

    Where the recipe trains on larger pictures than the card's, it is painted at their size.
    """
    card, image = recipe.card, recipe.image
    width, height = (image.width, image.height) if needs_of(recipe).lack(*card.size) else card.size
    return Take(
        scene="class",
        seed=seed,
        prompt=entry_of(recipe).class_prompt,
        negative="",
        width=width,
        height=height,
        steps=card.steps,
        guidance=card.guidance,
        sampler=card.sampler,
        model=recipe.edition,
        strict=True,  # alone in its batch: the same bits whichever pictures were there already
    )


def painted_class(job: Job, count: int, painter: Callable[[], Painter]) -> list[Path]:
    """The pictures of seeds 0 … count-1; those that are not there whole are painted, by what `painter` opens.

    Another training that paints the same ones is waited for. Raises TrainingError where some can't be painted, with
    all others kept, ModelError as the painter does, RunFolderError.
    """
    folder = painted_folder(job)
    files = {class_take(job.recipe, seed): folder / f"{seed:06d}.png" for seed in range(count)}
    with job.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".painting"):
            missing = {take: file for take, file in files.items() if not _is_whole(file, take)}
            if missing:
                _paint(job, missing, count, painter)
    return list(files.values())


def _paint(job: Job, missing: Mapping[Take, Path], count: int, painter: Callable[[], Painter]) -> None:
    done = count - len(missing)
    failures: list[Failed] = []
    job.told(STAGE, done, count)
    for painted in painter().paint([*missing], lambda progress: None):
        if isinstance(painted, Failed):
            failures.append(painted)
            continue
        content = encode_png(painted.take, painted.pixels, job.recipe.card.digest[:8])
        write_atomically(missing[painted.take], content)
        done += 1
        job.told(STAGE, done, count)
    memory.release()
    if failures:
        raise TrainingError(
            f"{job.recipe.path}: dreambooth: {len(failures)} of {count} class pictures can't be painted: "
            f"{failures[0].reason}. The others are kept: train again to go on, or name a `class_folder` with pictures."
        )


def _is_whole(file: Path, take: Take) -> bool:
    """Whether a file is that take's picture, to the last pixel."""
    try:
        return read_record(file) == take.record
    except PictureError:
        return False

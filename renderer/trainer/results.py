"""Where a training's results go: never over a file that it did not make, and an earlier run is kept when asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from renderer.errors import AuthoringError, RunFolderError
from renderer.files import explained
from renderer.kolors.files.lineage import lineage_of
from renderer.kolors.lora.file import lora_sha256
from renderer.trainer.recipe import Recipe

TRAININGS = Path("training")
"""Run folders, in the working folder."""
RESULTS = Path("lora_weights")
DATA = "data"
"""The prepared data set inside a run folder."""
LOCK = ".lock"
FULL = "the disk is full. What was saved so far is safe; free some space and train again to go on."
ELSEWHERE = "train elsewhere with --run DIR and --out DIR"


def result_files(out: Path, name: str) -> tuple[Path, ...]:
    """The files that a training of this name leaves in `out`: what storyboards use, its card, its pictures."""
    return tuple(out / f"{name}{ending}" for ending in (".safetensors", ".json", ".png"))


def step_files(out: Path, name: str) -> Path:
    """The folder of the files that a training's checkpoints gave."""
    return out / f"{name}.steps"


def require_own_place(recipe: Recipe, out: Path) -> None:
    """Raises AuthoringError where a file of the recipe's name is there that another recipe, or none, made."""
    file = result_files(out, recipe.name)[0]
    if not file.exists():
        return
    made_by = lineage_of(file, lora_sha256(file)).recipe
    if made_by != recipe.path.name:
        what = f"{file} is there already, {f'made by {made_by}' if made_by else 'and not made by this recipe'}."
        raise AuthoringError([recipe.problem(("name",), what, "Choose another name, or train with --out DIR.")])


@contextmanager
def held_alone(run: Path) -> Iterator[None]:
    """Holds the run folder, which is made if need be, against other trainings. Raises RunFolderError.

    Of processes that train together, the first one holds it for all.
    """
    if not is_first_process():
        yield
        return
    lock = FileLock(run / LOCK)
    with explained(run, FULL, ELSEWHERE):
        run.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunFolderError(
                f"{run}: another training is at work there. Wait until it ends, or train elsewhere with --run DIR."
            ) from None
    try:
        yield
    finally:
        lock.release()


def is_first_process() -> bool:
    """Whether this is the one of the processes of a training that speaks and writes; it is where it is alone.

    By the variables that launchers set, as Lightning reads them.
    """
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"))
    return next(filter(None, ranks), "0") == "0"


def set_aside(run: Path, out: Path, name: str) -> Path | None:
    """Moves an earlier run out of the way, all but its data set; where it is now, or None where there was none.

    The files of its checkpoints go with it; of its result a copy does, so that stories can use it until there is
    another. Raises RunFolderError, also where it is still at work.
    """
    if not run.is_dir() and not step_files(out, name).exists():
        return None
    with held_alone(run):
        return _moved(run, out, name)


def _moved(run: Path, out: Path, name: str) -> Path | None:
    earlier = [entry for entry in run.iterdir() if entry.name not in (DATA, LOCK)]
    steps = step_files(out, name)
    if not earlier and not steps.exists():
        return None
    aside = next(path for number in count(1) if not (path := run.with_name(f"{run.name}.{number}")).exists())
    with explained(aside, FULL, ELSEWHERE):
        (aside / "results").mkdir(parents=True)
        for entry in earlier:
            entry.rename(aside / entry.name)
        for file in result_files(out, name):
            if file.exists():
                shutil.copy2(file, aside / "results")
        if steps.exists():
            shutil.move(steps, aside / "results")
    return aside

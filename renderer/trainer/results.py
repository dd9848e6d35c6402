"""Where a training's results go: never over a file that it did not make, and an earlier run is kept when asked for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
CHECKPOINTS = "checkpoints"
"""The states to resume from inside a run folder."""
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
    files = result_files(out, recipe.name)
    file = next((file for file in files if file.exists()), None)
    made_by = _made_by(files[0])
    if file is not None and made_by != recipe.path.name:
        what = f"{file} is there already, {f'made by {made_by}' if made_by else 'and not made by this recipe'}."
        raise AuthoringError([recipe.problem(("name",), what, "Choose another name, or train with --out DIR.")])


def _made_by(file: Path) -> str:
    """The recipe that a result names, or, where its file is gone, the card that is left of it; '' where none does."""
    if file.exists():
        return lineage_of(file, lora_sha256(file)).recipe
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        return lineage_of(file, json.loads(file.with_suffix(".json").read_bytes())["sha256"]).recipe
    return ""


@contextmanager
def held_alone(run: Path) -> Iterator[None]:
    """Holds the run folder, which is made if need be, against other trainings.

    Raises RunFolderError, also for a folder with files that are of no training, which could be replaced.
    Of processes that train together, the first one holds it for all.
    """
    if not is_first_process():
        yield
        return
    lock = FileLock(run / LOCK)
    with explained(run, FULL, ELSEWHERE):
        _require_own_folder(run)
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


def _require_own_folder(run: Path) -> None:
    names = sorted(entry.name for entry in run.iterdir()) if run.is_dir() else []
    foreign = next((name for name in names if not name.startswith(".")), None)
    if foreign is not None and not {LOCK, CHECKPOINTS} & {*names}:
        raise RunFolderError(
            f"{run}: this is no run folder: it holds {foreign}. Name a new or an empty one, --run DIR."
        )


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
    files, steps = result_files(out, name), step_files(out, name)
    results = [Path(os.path.realpath(path)) for path in (*files, steps)]
    earlier = [
        entry
        for entry in run.iterdir()
        if entry.name not in (DATA, LOCK)
        and not any(it.is_relative_to(os.path.realpath(entry)) for it in results)  # they may lie in the run folder
    ]
    if not earlier and not steps.exists():
        return None
    aside = next(path for number in count(1) if not (path := run.with_name(f"{run.name}.{number}")).exists())
    with explained(aside, FULL, ELSEWHERE):
        (aside / "results").mkdir(parents=True)
        for entry in earlier:
            entry.rename(aside / entry.name)
        for file in files:
            if file.exists():
                shutil.copy2(file, aside / "results")
        if steps.exists():
            shutil.move(steps, aside / "results")
    return aside

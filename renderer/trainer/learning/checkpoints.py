"""States to resume from, on disk: each whole or not there, the newest whole one is gone on with.

One holds what is trained, its average, the optimizer's and the scaler's state, the step, and the losses so far. Order,
noise, learning rate and all else that chance or time decides follow from the step (`chance.py`).
"""

from __future__ import annotations

import json
import logging
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning
import torch

from renderer.errors import TrainingError
from renderer.trainer.learning.job import Job
from renderer.trainer.recipe import Recipe

log = logging.getLogger(__name__)

MARK = "training"
"""Where a checkpoint says which training it is of."""
FORMAT = 1

_HALF = ".partial"
_NAME = re.compile(r"step-(\d+)\.ckpt")


def identity_of(job: Job) -> dict[str, Any]:
    """All that decides how a training goes on, as JSON values: checkpoints of another one are refused."""
    pictures = {"digest": job.dataset.digest, "count": len(job.dataset.samples)}
    return {"format": FORMAT, "recipe": job.recipe.settings, "pictures": pictures}


def save_checkpoint(trainer: lightning.Trainer, folder: Path, step: int, keep: int) -> None:
    """Writes the state after a step, then removes all but the newest `keep`. To be called by all processes alike.

    Raises OSError; then the states of before are all still there.
    """
    file = folder / f"step-{step:06d}.ckpt"
    partial = file.with_suffix(_HALF)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        trainer.save_checkpoint(partial, weights_only=False)
        if trainer.is_global_zero:
            _sync(partial)
            partial.replace(file)
            # A later one was damaged and passed over: it must not push out what took its place.
            for old in [it for it in checkpoints_in(folder) if step_of(it) <= step][keep:]:
                old.unlink()
    finally:
        if trainer.is_global_zero:
            partial.unlink(missing_ok=True)


def remove_halves(folder: Path) -> None:
    """Removes what a process left that was killed while it saved. Raises OSError."""
    for half in folder.glob(f"*{_HALF}"):
        half.unlink()


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    return sorted((file for file in folder.glob("*.ckpt") if step_of(file)), key=step_of, reverse=True)


def step_of(file: Path | None) -> int:
    """The steps that were done when a checkpoint was written; 0 for none."""
    match = _NAME.fullmatch(file.name) if file else None
    return int(match[1]) if match else 0


def newest_checkpoint(job: Job) -> Path | None:
    """The newest whole checkpoint, or None where there is none; damaged ones are passed over, with a warning.

    Raises TrainingError where it is another training's: what was otherwise then.
    """
    file, identity = _newest(job.checkpoints)
    if file is not None:
        _require_same(identity, identity_of(job), job.recipe, file)
    return file


def require_same_recipe(recipe: Recipe, folder: Path) -> None:
    """Raises TrainingError as `newest_checkpoint` does of a folder, before it is known what all the pictures are."""
    file, identity = _newest(folder)
    if file is not None:
        _require_same({"recipe": identity.get("recipe")}, {"recipe": recipe.settings}, recipe, file)


def _newest(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """The newest whole checkpoint, and what it says of its training."""
    for file in checkpoints_in(folder):
        identity = _identity_in(file)
        if identity is not None:
            return file, identity
        log.warning("%s is damaged: going on from the one before", file)
    return None, {}


def _identity_in(file: Path) -> dict[str, Any] | None:
    """What a checkpoint says of its training; None for a file that is not a whole checkpoint."""
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:  # torch itself compares no checksums
                return None
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)[MARK]
    except (zipfile.BadZipFile, UnpicklingError, RuntimeError, OSError, EOFError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _require_same(then: Mapping[str, Any], now: Mapping[str, Any], recipe: Recipe, file: Path) -> None:
    changed = [
        f"{name} was {_written(before)} and is {_written(after)}"
        for name, before, after in _differences(then, now)
        if not (name == "recipe.train.steps" and _may_grow(recipe, before))
    ]
    if changed:
        shown = "; ".join(changed[:6]) + (f"; and {len(changed) - 6} more" if len(changed) > 6 else "")
        raise TrainingError(
            f"{file} is of another training: {shown}. Change that back to go on with it; to begin anew, train with "
            "--fresh, which keeps this one aside, or in other folders (--run DIR and --out DIR)."
        )


def _may_grow(recipe: Recipe, before: object) -> bool:
    """Whether nothing of the steps that are past would have been otherwise with more steps ahead."""
    train = recipe.train
    return train.schedule == "constant" and isinstance(before, int) and before <= train.steps


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The values that differ, by their dotted names."""
    for name in sorted(then.keys() | now.keys()):
        before, after, place = then.get(name), now.get(name), f"{where}{name}"
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{place}.")
        elif before != after:
            yield place, before, after


def _written(value: object) -> str:
    """A value as recipes write it: `null`, `true`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())

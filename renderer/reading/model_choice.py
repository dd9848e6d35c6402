"""The model that an authored file names: by name among the models of this machine, by path beside the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from renderer.errors import ModelError, did_you_mean
from renderer.kolors.card import KOLORS, ModelCard, find_model, model_folders, read_card
from renderer.reading.findings import Findings

DEFAULT_MODEL = "kolors-mini"


def choose_model(
    findings: Findings, name: str, models: Sequence[Path] | None
) -> tuple[str, Path | None, ModelCard | None]:
    """The model's name (a path made absolute), its folder and its card; what is wrong goes to the findings.

    `models` are the folders of models (None: the user's and the package's). The real Kolors has a card but no folder
    where it is not on this machine; a model that can't be used has neither.
    """
    node = findings.root.find(("model",))
    is_path = any(mark in name for mark in "/\\") or name.startswith(".")
    if is_path:
        name = str((node.source.file.parent / name).absolute())
    try:
        folder = find_model(name, None, models)
        if folder is not None:
            return name, folder, read_card(folder)
    except (ModelError, OSError, ValueError) as error:
        findings.tell(("model",), f"the model can't be used: {error}.")
        return name, None, None
    if name == KOLORS.name:
        return name, None, KOLORS
    if is_path:
        what, todo = f'there is no model folder "{name}".', "A path is relative to the file it stands in."
    else:
        what, todo = f'there is no model "{name}".', did_you_mean(name, _known_models(models))
    findings.tell(("model",), what, todo)
    return name, None, None


def _known_models(models: Sequence[Path] | None) -> set[str]:
    folders = model_folders() if models is None else models
    found = {folder.name for parent in folders for folder in parent.glob("*") if folder.is_dir()}
    return {*found, KOLORS.name}

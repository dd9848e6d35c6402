"""The recipe: what is trained from which pictures and how, complete, with every default filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from renderer.errors import AuthoringError, Problem
from renderer.kolors.card import KOLORS, ModelCard, edition_of, missing_parts, require_model
from renderer.reading.findings import Findings
from renderer.reading.model_choice import choose_model
from renderer.reading.yaml_file import Node, Where, read_yaml
from renderer.take import key_of
from renderer.trainer.recipes.checking import check_kind, check_loggers, check_train
from renderer.trainer.recipes.completing import completed
from renderer.trainer.recipes.filtering import check_filter
from renderer.trainer.recipes.fitting import check_layers, check_texts, fitted_size
from renderer.trainer.recipes.forms import Crop, Kind
from renderer.trainer.recipes.recipe_file import (
    CheckpointsEntry,
    DataEntry,
    DreamboothEntry,
    HypernetworkEntry,
    InversionEntry,
    LoraEntry,
    RecipeFile,
    SamplesEntry,
    TrainEntry,
    ValidationEntry,
)
from renderer.trainer.recipes.salvaging import validate_recipe
from renderer.trainer.recipes.settings import settings_of
from renderer.trainer.recipes.sources import check_data
from renderer.trainer.recipes.triggers import check_triggers


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What the model is shown of a picture: `width` and `height` in pixels, on the model's multiple."""

    width: int
    height: int
    crop: Crop = "center"
    flip: bool = False
    buckets: bool = False
    upscale: bool = False


@dataclass(frozen=True)
class Recipe:
    """A recipe, ready to be trained.

    `model_folder` holds a whole model of `edition`. `train.steps` is resolved; `samples.steps` and `.guidance` are the
    card's where the file says nothing. `lora` means nothing for kinds that train no LoRA. `settings` are the JSON
    values of all that decides the result, `digest` their sha256 (64 hex digits); names, paths, loggers, devices and
    what is kept meanwhile are not among them. `text` is the file as it was read. `warnings` are things that work, but
    hardly as they are meant.
    """

    path: Path
    kind: Kind
    name: str
    title: str
    model: str
    model_folder: Path
    edition: str
    card: ModelCard
    trigger_words: tuple[str, ...]
    licence: str
    data: DataEntry
    filter: tuple[dict[str, dict[str, Any]], ...]
    executor: Literal["default", "ray"]
    image: ImageSettings
    lora: LoraEntry
    train: TrainEntry
    validation: ValidationEntry
    samples: SamplesEntry
    checkpoints: CheckpointsEntry
    loggers: tuple[str, ...]
    dreambooth: DreamboothEntry | None
    inversion: InversionEntry | None
    hypernetwork: HypernetworkEntry | None
    digest: str
    settings: dict[str, Any] = field(repr=False)
    text: str = field(repr=False)
    warnings: tuple[Problem, ...] = field(repr=False)
    _root: Node = field(repr=False, compare=False)

    @property
    def data_folder(self) -> Path | None:
        """The folder of pictures, as an absolute path; None where they come from ModelScope."""
        return None if self.data.folder is None else (self.path.parent / self.data.folder).absolute()

    @property
    def class_folder(self) -> Path | None:
        """DreamBooth's folder of class pictures, absolute, where the recipe names one; it need not be there yet."""
        entry = self.dreambooth
        return (
            None if entry is None or entry.class_folder is None else (self.path.parent / entry.class_folder).absolute()
        )

    def problem(self, where: Where, what: str, todo: str = "") -> Problem:
        """A problem of the value at a path such as `("train", "optimizer")`, at its line and column."""
        return self._root.find(where).problem(where, what, todo)


def load_recipe(path: Path | str, models: Sequence[Path] | None = None) -> Recipe:
    """The recipe in a YAML file.

    `models` are the folders of models (default: the user's and the package's). Needs no torch. Raises AuthoringError
    with all that is wrong in the file, ModelError where the model's weights are not whole on this machine.
    """
    document = read_yaml(Path(path))
    root = document.root
    _refuse_storyboard(root)
    salvaged = validate_recipe(root)
    findings = Findings(root, salvaged.lost)
    for check in (check_kind, check_data, check_filter, check_train, check_loggers):
        check(salvaged.file, findings)
    model, folder, card = choose_model(findings, salvaged.file.model, models)
    file = completed(salvaged.file, card or KOLORS, findings)
    size = fitted_size(file.image.size, card, findings) if card is not None else (0, 0)
    if card is not None and folder is not None and not missing_parts(folder):
        check_layers(file, folder, findings)
        check_texts(file, card, folder, findings)
        check_triggers(file, folder, findings)
    problems = [*document.problems, *salvaged.problems, *findings.problems]
    if problems:
        raise AuthoringError(problems)
    folder, card = require_model(model, None, models)
    return _recipe(file, findings, (model, folder, card), size)


def _recipe(file: RecipeFile, findings: Findings, model: tuple[str, Path, ModelCard], size: tuple[int, int]) -> Recipe:
    name, folder, card = model
    edition = edition_of(folder)
    settings = settings_of(file, edition, size)
    return Recipe(
        path=findings.root.source.file,
        kind=file.kind,
        name=str(file.name),
        title=file.title or str(file.name),
        model=name,
        model_folder=folder,
        edition=edition,
        card=card,
        trigger_words=file.trigger_words,
        licence=file.licence,
        data=file.data,
        filter=file.filter,
        executor=file.executor,
        image=ImageSettings(*size, **file.image.model_dump(exclude={"size"})),
        lora=file.lora,
        train=file.train,
        validation=file.validation,
        samples=file.samples,
        checkpoints=file.checkpoints,
        loggers=file.loggers,
        dreambooth=file.dreambooth,
        inversion=file.inversion,
        hypernetwork=file.hypernetwork,
        digest=key_of(settings),
        settings=settings,
        text=findings.root.source.text,
        warnings=tuple(sorted(findings.warnings)),
        _root=findings.root,
    )


def _refuse_storyboard(root: Node) -> None:
    """Raises AuthoringError for a story: one sentence instead of each of its keys."""
    if "scenes" in root.keys and "data" not in root.keys:
        what, todo = "this is a storyboard, not a recipe.", "`storyboard render` paints it."
        raise AuthoringError([root.problem((), what, todo)])

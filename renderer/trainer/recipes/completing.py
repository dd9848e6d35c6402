"""From a valid recipe file to a complete one: every default that depends on something else filled in."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from renderer.kolors.card import ModelCard
from renderer.reading.findings import Findings
from renderer.reading.name import check_name
from renderer.trainer.recipes.forms import MAX_STEPS
from renderer.trainer.recipes.recipe_file import HypernetworkEntry, RecipeFile, SamplesEntry, TrainEntry


def completed(file: RecipeFile, card: ModelCard, findings: Findings) -> RecipeFile:
    """The same recipe with its name, and with the steps, rates and scales that follow from others.

    What can't be completed goes to the findings.
    """
    name, hypernetwork = _name(file, findings), file.hypernetwork
    if file.inversion is not None and name and file.inversion.token != name:
        what = f"captions say <{file.inversion.token}>, but storyboards will know it as its file: <{name}>."
        findings.warn(("inversion", "token"), what, "Give both the same name.")
    if file.kind == "hypernetwork" and hypernetwork is None:
        hypernetwork = HypernetworkEntry.model_validate({})
    update = {
        "name": name,
        "train": _train(file.train, findings),
        "samples": _samples(file.samples, card),
        "hypernetwork": hypernetwork,
    }
    return file.model_copy(update=update)


def _name(file: RecipeFile, findings: Findings) -> str:
    """The authored name, else that of the file without `.yaml` and `.recipe`."""
    if file.name is not None or ("name",) in findings.lost:
        return file.name or ""
    stem = findings.root.source.file.stem.removesuffix(".recipe")
    try:
        return check_name(stem)
    except PydanticCustomError as error:
        context = error.context or {}
        findings.tell(("name",), f"the file's name \"{stem}\" can't be its own: {context['what']}", "Add name: …")
        return ""


def _train(entry: TrainEntry, findings: Findings) -> TrainEntry:
    """With the steps that its epochs come to, and Prodigy's own learning rate where none is authored."""
    update: dict[str, float] = {}
    if entry.optimizer == "prodigy" and "learning_rate" not in entry.model_fields_set:
        update["learning_rate"] = 1.0
    steps = entry.steps if entry.epochs is None else entry.epochs * entry.steps_per_epoch
    if steps > MAX_STEPS:
        what = f"{entry.epochs:,} epochs of {entry.steps_per_epoch:,} steps are {steps:,} steps."
        findings.tell(("train", "epochs"), what, f"At most {MAX_STEPS:,} are trained.")
    if entry.warmup >= steps and not findings.lost & {("train", "steps"), ("train", "epochs"), ("train",)}:
        what = f"the warm-up takes all of the {steps:,} steps."
        findings.tell(("train", "warmup"), what, "Warm up for fewer steps, or train for more.")
    return entry.model_copy(update=update | {"steps": steps})


def _samples(entry: SamplesEntry, card: ModelCard) -> SamplesEntry:
    """With the card's steps and guidance where none are authored."""
    guidance = card.guidance if entry.guidance is None else entry.guidance
    return entry.model_copy(update={"steps": entry.steps or card.steps, "guidance": guidance})

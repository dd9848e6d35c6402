"""What has to hold between the keys of a recipe, whatever data and model it is for."""

from __future__ import annotations

import re
import sys

from renderer.errors import did_you_mean
from renderer.reading.findings import Findings
from renderer.reading.yaml_file import Where
from renderer.trainer.recipes.forms import Kind
from renderer.trainer.recipes.recipe_file import RecipeFile
from renderer.trainer.recipes.sources import tell_both

SECTIONS: dict[str, tuple[Kind, ...]] = {
    "lora": ("lora", "dreambooth"),
    "dreambooth": ("dreambooth",),
    "inversion": ("textual-inversion",),
    "hypernetwork": ("hypernetwork",),
}
"""Sections that belong to some kinds only."""
LOGGERS = ("csv", "tensorboard")

_WELL_KNOWN = {
    "wandb": "lightning.pytorch.loggers.WandbLogger",
    "mlflow": "lightning.pytorch.loggers.MLFlowLogger",
    "comet": "lightning.pytorch.loggers.CometLogger",
    "neptune": "lightning.pytorch.loggers.NeptuneLogger",
}
_DOTTED = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)


def check_kind(file: RecipeFile, findings: Findings) -> None:
    """Every section belongs to the recipe's kind, and none is missing that the kind can't do without."""
    if ("kind",) in findings.lost:
        return
    for section, kinds in SECTIONS.items():
        given = section in file.model_fields_set and getattr(file, section) is not None
        if given and file.kind not in kinds:
            what = f'"{section}" is for kind: {" or ".join(kinds)}; this is kind: {file.kind}.'
            findings.tell((section,), what, "Remove it, or change the kind.", at=findings.root.keys.get(section))
    if file.kind == "dreambooth" and file.dreambooth is None and ("dreambooth",) not in findings.lost:
        todo = "Add it, such as dreambooth: {class_prompt: a girl}."
        findings.tell(("kind",), 'dreambooth needs the section "dreambooth".', todo)
    if file.kind == "textual-inversion" and file.inversion is None and ("inversion",) not in findings.lost:
        todo = "Add it, such as inversion: {token: mei-face}."
        findings.tell(("kind",), 'textual-inversion needs the section "inversion".', todo)


def check_train(file: RecipeFile, findings: Findings) -> None:
    """The settings of the training don't contradict each other."""
    train, where = file.train, ("train",)
    given = train.model_fields_set
    if train.epochs is not None and "steps" in given:
        tell_both(findings, (*where, "epochs"), "steps")
    if "steps_per_epoch" in given and train.epochs is None and (*where, "epochs") not in findings.lost:
        at = findings.root.find(where).keys.get("steps_per_epoch")
        what, todo = '"steps_per_epoch" is for epochs, of which none are given.', "Remove it, or write epochs: 1."
        findings.tell((*where, "steps_per_epoch"), what, todo, at=at)
    if "cycles" in given and train.schedule != "cosine-restarts" and (*where, "schedule") not in findings.lost:
        todo = "Remove it, or write schedule: cosine-restarts."
        findings.tell((*where, "cycles"), f'"cycles" is for cosine-restarts; this is {train.schedule}.', todo)
    if train.caption_keep and not train.caption_shuffle and (*where, "caption_shuffle") not in findings.lost:
        todo = "Remove it, or write caption_shuffle: true."
        findings.tell((*where, "caption_keep"), "captions are not shuffled, so all of their tags stay.", todo)
    if train.optimizer == "prodigy" and "learning_rate" in given and train.learning_rate < 0.1:
        what = f"Prodigy finds the rate itself and multiplies it by this: {train.learning_rate:g} all but stops it."
        findings.warn((*where, "learning_rate"), what, "Leave it out, or write 1.0.")


def check_loggers(file: RecipeFile, findings: Findings) -> None:
    """Each logger is one of ours, or the dotted name of a class that may be imported."""
    for index, name in enumerate(file.loggers):
        where: Where = ("loggers", index)
        if name in file.loggers[:index]:
            findings.tell(where, f'the logger "{name}" is given twice.', "Keep one of them.")
        elif "." not in name and name not in LOGGERS:
            meant = _WELL_KNOWN.get(name.casefold())
            todo = f"Write {meant}." if meant else did_you_mean(name, LOGGERS)
            findings.tell(where, f'there is no logger "{name}".', todo)
        elif "." in name and not _DOTTED.fullmatch(name):
            findings.tell(where, f'"{name}" is not the dotted name of a class.', "Write package.module.ClassName.")
        elif "." in name and name.partition(".")[0] in sys.stdlib_module_names:
            findings.tell(where, f'"{name}" is no logger: it is of Python itself.', "Name a class for Lightning.")

"""The card of a model folder: which edition it is, and the size, steps, guidance and sampler it is at its best with."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from renderer.errors import ModelError, did_you_mean
from renderer.files import write_atomically
from renderer.kolors.layout import digest_of, file_hashes, read_json, used_files
from renderer.kolors.layout import missing_parts as missing_parts

log = logging.getLogger(__name__)

Sampler = Literal["ddim", "euler", "euler-trailing", "dpm++2m", "unipc", "lcm"]
SAMPLERS: tuple[Sampler, ...] = ("ddim", "euler", "euler-trailing", "dpm++2m", "unipc", "lcm")
Precision = Literal["fp32", "fp16", "bf16", "fp8"]

CARD_FILE = "model.json"
BUNDLED = Path(__file__).resolve().parent.parent / "miniature" / "weights"
"""Models that ship with the package, a folder each."""


Interval = tuple[float, float]
"""From where to where of the steps, as fractions: (0.0, 1.0) is all of them."""
WHOLE: Interval = (0.0, 1.0)


class Draft(BaseModel):
    """How a model is painted with where a quick look is enough: see the fields of the same names in `Take`.

    What stands here is for Kolors, and reasoned, not measured: DPM++ 2M with Karras' noise levels needs about half of
    Euler's steps (its authors give it 25 of 50), and 20 for a rough picture; at 1024² a step that reuses deep features
    takes 6.7 % of a whole one's arithmetic. Together that is 21 % of 50 whole steps. Guidance stays in all steps:
    leaving it out of two in five saved the miniature a fifth of the time, and changed its pictures more than leaving
    out half of all steps.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    sampler: Sampler = "dpm++2m"
    steps: int = 20
    guidance_interval: Interval = WHOLE
    cache_interval: int = 2


class ModelCard(BaseModel):
    """What a storyboard needs to know of a model without loading it. Sizes in pixels, width first.

    `learned_sizes` are the only sizes that the model has seen pictures of, where its card names them.
    `digest` names the weights' content, `files` the sha256 of each used file; both are written at first use.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), defer_build=True)

    format: Literal[1] = 1
    name: str
    edition: str = ""
    title: str = ""
    license: str = ""
    size: tuple[int, int]
    multiple: int
    min_size: int
    max_size: int
    learned_sizes: tuple[tuple[int, int], ...] = ()
    steps: int
    guidance: float
    sampler: Sampler
    text_length: int
    draft: Draft = Field(default_factory=Draft)
    digest: str = ""
    files: dict[str, str] = {}


KOLORS = ModelCard(
    name="kolors",
    title="Kolors",
    license="Apache-2.0 (code), Kolors model licence (weights)",
    size=(1024, 1024),
    multiple=32,
    min_size=256,
    max_size=4096,
    steps=50,
    guidance=5.0,
    sampler="euler",
    text_length=256,
)
"""Kolors as its authors run it: 1024², Euler, 50 steps, guidance 5.0 (Kwai-Kolors/Kolors, `scripts/sample.py`)."""


def model_folders() -> tuple[Path, ...]:
    """Where models are looked for by name: $STORYBOARD_MODELS, the user's data folder, then those in the package."""
    chosen = os.environ.get("STORYBOARD_MODELS")
    own = (Path(chosen),) if chosen else ()
    return (*own, user_data_path("kolors-storyboard", appauthor=False) / "models", BUNDLED)


def find_model(name: str, beside: Path | None = None, folders: Sequence[Path] | None = None) -> Path | None:
    """The folder of a model given by name or by path (relative to `beside`); None where it is not on this machine."""
    if "/" in name or "\\" in name or name.startswith("."):
        folder = (beside or Path()) / name
        return folder if folder.is_dir() else None
    for parent in model_folders() if folders is None else folders:
        if (parent / name).is_dir():
            return parent / name
    return None


def read_card(folder: Path) -> ModelCard:
    """The card of a model folder; Kolors' own where the folder has none. Raises ModelError for a damaged card."""
    file = folder / CARD_FILE
    if not file.is_file():
        return KOLORS.model_copy(update={"name": folder.name})
    try:
        return ModelCard.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, ValidationError) as error:
        raise ModelError(f"{file}: not a model card: {error}") from error


def write_card(folder: Path, card: ModelCard) -> None:
    """Writes the card into its folder, whole or not at all; what else the file says stays. Raises OSError."""
    file = folder / CARD_FILE
    content = (read_json(file) if file.is_file() else {}) | card.model_dump(mode="json")
    write_atomically(file, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def edition_of(folder: Path) -> str:
    """The edition that names a model in keys: its card's own, else `kolors@` and 12 hex digits of the weights' digest.

    The same weights have the same edition in any folder on any machine. The digest is computed once, at first use (a
    minute for Kolors' 18 GB), and again when a weight file is newer than the card. Raises ModelError.
    """
    card = read_card(folder)
    if card.edition:
        return card.edition
    if not card.digest or _outdated(folder):
        card = record_digest(folder)
    return f"{KOLORS.name}@{card.digest[:12]}"


def record_digest(folder: Path) -> ModelCard:
    """The card with the hashes of all used files and their digest, as written into the folder. Raises ModelError."""
    require_whole(folder)
    log.info("hashing the weights in %s: once, at first use", folder)
    hashes = file_hashes(folder)
    card = read_card(folder).model_copy(update={"digest": digest_of(hashes), "files": hashes})
    try:
        write_card(folder, card)
    except OSError as error:
        log.warning("%s can't be written (%s): the weights are hashed anew at each use", folder / CARD_FILE, error)
    return card


def require_model(
    name: str, beside: Path | None = None, folders: Sequence[Path] | None = None
) -> tuple[Path, ModelCard]:
    """The folder and card of a whole model, by name or path. Raises ModelError that says what to run."""
    folder = find_model(name, beside, folders)
    if folder is None:
        known = model_names(folders)
        todo = mending(Path(name)) if name == KOLORS.name else did_you_mean(name, known)
        raise ModelError(f'The model "{name}" is not on this machine. {todo}')
    require_whole(folder)
    return folder, read_card(folder)


def require_whole(folder: Path) -> None:
    """Raises ModelError where something is missing in a model folder: what, and what to run."""
    problems = missing_parts(folder)
    if problems:
        shown = "".join(f"\n  {problem}" for problem in problems[:8])
        more = f"\n  … and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ModelError(f"{folder} is not a whole model:{shown}{more}\n{mending(folder)}")


def model_names(folders: Sequence[Path] | None = None) -> list[str]:
    """The names of the models on this machine, sorted; a folder is one when it has a card or a UNet's configuration."""
    parents = [parent for parent in (model_folders() if folders is None else folders) if parent.is_dir()]
    found = (folder for parent in parents for folder in parent.iterdir())
    return sorted({it.name for it in found if (it / CARD_FILE).is_file() or (it / "unet" / "config.json").is_file()})


def mending(folder: Path) -> str:
    """What to do about a model folder that is not whole, as a sentence."""
    if BUNDLED in folder.absolute().parents:
        return "It belongs to this package: install the package again."
    return f"Run: storyboard models pull {KOLORS.name}"


def _outdated(folder: Path) -> bool:
    written = (folder / CARD_FILE).stat().st_mtime_ns
    return any(not file.is_file() or file.stat().st_mtime_ns > written for file in used_files(folder))

"""The card of a model folder: which edition it is, and the size, steps, guidance and sampler it is at its best with."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, ValidationError

from renderer.errors import ModelError

Sampler = Literal["ddim", "euler", "dpm++2m", "unipc", "lcm"]
SAMPLERS: tuple[Sampler, ...] = ("ddim", "euler", "dpm++2m", "unipc", "lcm")
Precision = Literal["fp32", "fp16", "bf16"]

CARD_FILE = "model.json"
BUNDLED = Path(__file__).resolve().parent.parent / "miniature" / "weights"
"""Models that ship with the package, a folder each."""


class ModelCard(BaseModel):
    """What a storyboard needs to know of a model without loading it. Sizes in pixels, width first."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    format: Literal[1] = 1
    name: str
    edition: str = ""
    title: str = ""
    license: str = ""
    size: tuple[int, int]
    multiple: int
    min_size: int
    max_size: int
    steps: int
    guidance: float
    sampler: Sampler
    text_length: int
    digest: str = ""


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
    """The folder of a model given by name or by path (relative to `beside`), or None where it is not on this machine."""
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

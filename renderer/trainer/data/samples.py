"""What a data set consists of: the pictures that are trained on, and what was found about those that are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Stage = Literal["listed", "checked", "filtered"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture to train on.

    `name` is its path relative to the data folder, as reports name it; `width` and `height` are its pixels as seen,
    after EXIF rotation; `sha256` is its file's. `regularizing`: it shows DreamBooth's class, not what is learned.
    """

    name: str
    path: Path
    caption: str
    width: int
    height: int
    sha256: str
    regularizing: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a picture, or a line of the captions' table, by name.

    `reason` is a word (`truncated`, `no_caption`, or the operator that dropped it), `detail` says it to a person.
    `left_out`: it is not trained on; else it is, and this is worth knowing.
    """

    name: str
    stage: Stage
    reason: str
    detail: str
    left_out: bool = True

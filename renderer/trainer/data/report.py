"""The report of a data set, `report.json`: what became of every picture, so that nothing is done twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from renderer.files import write_atomically
from renderer.trainer.data.duplicates import Duplicates
from renderer.trainer.data.samples import Finding, Sample

REPORT = "report.json"
VERSION = 1

Numbers = dict[str, dict[str, JsonValue]]
"""What operators measured of a picture: operator, name, value."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture that could be read looks: `width` and `height` as seen, `thumb` the name of its small copy."""

    width: int
    height: int
    caption: str
    thumb: str
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Step:
    """An operator of the filter as it was asked for, and how many pictures came and stayed."""

    name: str
    arguments: dict[str, JsonValue]
    came: int
    stayed: int


@dataclass(frozen=True)
class Report:
    """A data set as it turned out. `inputs` is the digest of all that decided it, `looks` are by name."""

    inputs: str
    samples: tuple[Sample, ...]
    findings: tuple[Finding, ...]
    looks: dict[str, Look]
    steps: tuple[Step, ...]
    duplicates: tuple[Duplicates, ...]
    words: tuple[tuple[str, int], ...]
    version: int = VERSION

    @property
    def digest(self) -> str:
        """sha256 (64 hex digits) of all that training sees: contents and captions of the pictures, in order."""
        return digest_of([[it.sha256, it.caption, it.regularizing] for it in self.samples])


def digest_of(value: JsonValue | object) -> str:
    """sha256 (64 hex digits) of a JSON value."""
    return sha256(json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_report(report: Report, folder: Path) -> None:
    """Writes a report into the folder of the data. Raises OSError."""
    write_atomically(folder / REPORT, _REPORT.dump_json(report, indent=1))


def read_report(folder: Path, inputs: str) -> Report | None:
    """The report of these inputs, if that is what lies in the folder and all its pictures are still there."""
    try:
        report = _REPORT.validate_json((folder / REPORT).read_bytes())
    except (OSError, ValidationError):
        return None
    same = report.version == VERSION and report.inputs == inputs
    return report if same and all(sample.path.is_file() for sample in report.samples) else None


_REPORT = TypeAdapter(Report)

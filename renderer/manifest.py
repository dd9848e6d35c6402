"""The run folder's record: what the last render asked for, which pictures there are, and how each was painted.

It holds enough to rebuild grid and sheet, to verify pictures, and to tell why a take has to be painted.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from renderer.errors import RunFolderError
from renderer.files import write_atomically
from renderer.prompts import Part
from renderer.take import Provenance
from renderer.take_name import TakeName

MANIFEST_FORMAT = 1
MANIFEST_FILE = "manifest.json"
JOURNAL_FILE = "manifest.journal"
"""A line for each picture or failure since the manifest was written; a kill loses at most the line in hand."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class PictureRecord(_Record):
    """A picture that was painted: its file (relative to the run folder), what was asked for, and what was so."""

    key: str
    scene: str
    file: str
    sha256: str
    bytes: int
    mtime_ns: int
    record: dict[str, Any]
    loras: tuple[str, ...] = ()
    hypernetworks: tuple[str, ...] = ()
    provenance: Provenance

    @property
    def draft(self) -> bool:
        """Whether it was painted as a draft."""
        return self.record.get("draft") is True


class TakeEntry(_Record):
    """A take of the story as it stands now: its key, and its prompts with the origin of each part.

    `strength` and `step` are those of a swept LoRA, None where the scene doesn't sweep them. `loras` and
    `hypernetworks` are the names of those in its record.
    """

    key: str
    seed: int
    strength: float | None = None
    step: int | None = None
    prompt: tuple[Part, ...]
    negative: tuple[Part, ...]
    record: dict[str, Any]
    loras: tuple[str, ...] = ()
    hypernetworks: tuple[str, ...] = ()

    @property
    def name(self) -> TakeName:
        """What the take is called among those of its scene."""
        return TakeName(self.seed, self.strength, self.step)


class SceneEntry(_Record):
    """A scene of the story as it stands now. `pick` is the key of the chosen take; `duration` in seconds.

    `extra_seeds` were asked for with `--more` and stand in no file; they last until the author edits the scene's seeds.
    """

    id: str
    template: str
    negative_template: str = ""
    pick: str | None = None
    shot: str = ""
    camera: str = ""
    action: str = ""
    dialogue: str = ""
    note: str = ""
    duration: float | None = None
    takes: tuple[TakeEntry, ...]
    extra_seeds: tuple[int, ...] = ()

    @property
    def swept(self) -> bool:
        """Whether a LoRA is tried out in this scene."""
        return any((take.strength, take.step) != (None, None) for take in self.takes)


class LoraLineage(_Record):
    """Where a LoRA, an embedding or a hypernetwork comes from, as far as its file or its card tells; else ''.

    `step` is the training step at which it was saved; `class_prompt` and `prior_weight` are DreamBooth's.
    """

    recipe: str = ""
    step: str = ""
    base_model: str = ""
    trigger_words: str = ""
    class_prompt: str = ""
    prior_weight: str = ""


class GridStyle(_Record):
    """How the grid is laid out: `columns`, the longer side of a `cell` and the `gutter` in pixels, `rows` a page."""

    columns: int = Field(default=2, ge=1, le=64)
    cell: int = Field(default=512, ge=1, le=4096)
    gutter: int = Field(default=16, ge=0, le=256)
    rows: int = Field(default=8, ge=1, le=1024)
    captions: bool = True


class Manifest(_Record):
    """The whole record. `pictures` and `failures` (in words) go by key, `lineage` by a trained file's sha256.

    `drafts` are the keys of drafts by those of the takes that they stand for (see `planning/drafts.py`).
    """

    format: Literal[1] = 1
    title: str
    language: Literal["zh", "en"] = "en"
    source: str = ""
    model: str = ""
    grid: GridStyle = GridStyle()
    scenes: tuple[SceneEntry, ...]
    pictures: dict[str, PictureRecord] = {}
    failures: dict[str, str] = {}
    drafts: dict[str, str] = {}
    lineage: dict[str, LoraLineage] = {}
    grid_digest: str = ""
    updated_at: str = ""

    def picture(self, key: str | None) -> PictureRecord | None:
        """The picture of the take of this key, else that of its draft, else None."""
        if key is None:
            return None
        return self.pictures.get(key) or self.pictures.get(self.drafts.get(key, ""))

    def failure(self, key: str) -> str | None:
        """Why the take of this key, or else its draft, could not be painted; None where it is, or nothing is known."""
        return None if key in self.pictures else self.failures.get(key, self.failures.get(self.drafts.get(key, "")))

    def shown(self, scene: SceneEntry) -> TakeEntry | None:
        """The take that stands for a scene: its pick if that is painted, else its first painted take, else None."""
        painted = [take for take in scene.takes if self.picture(take.key)]
        return next((take for take in painted if take.key == scene.pick), painted[0] if painted else None)

    def main_take(self, scene: SceneEntry) -> TakeEntry:
        """The take that stands for a scene, painted or not: the one that is shown, else its pick, else its first."""
        return self.shown(scene) or next((take for take in scene.takes if take.key == scene.pick), scene.takes[0])


def stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """Times and sizes of a run folder's record: another value says that another process has written to it since."""
    states = []
    for name in (MANIFEST_FILE, JOURNAL_FILE):
        try:
            status = (folder / name).stat()
            states.append((status.st_mtime_ns, status.st_size))
        except OSError:
            states.append((0, 0))
    return tuple(states)


def read_manifest(folder: Path) -> Manifest | None:
    """The record of a run folder with its journal merged in, or None where there is none or it is damaged.

    A damaged manifest is no loss: pictures carry their own records and are found again. Raises RunFolderError for a
    folder that a newer version made.
    """
    try:
        manifest = _parsed(folder, (folder / MANIFEST_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    noted, failures = read_journal(folder)
    pictures = manifest.pictures | noted
    failures = {key: why for key, why in (manifest.failures | failures).items() if key not in noted}
    return manifest.model_copy(update={"pictures": pictures, "failures": failures})


def _parsed(folder: Path, content: bytes) -> Manifest:
    """The manifest in a file's content. Raises ValueError for what is none, RunFolderError for a newer version's."""
    with suppress(ValidationError):
        return Manifest.model_validate_json(content)  # without the whole of it as Python's values in between
    found = json.loads(content)
    made_by = found.get("format") if isinstance(found, dict) else None
    if isinstance(made_by, int) and made_by > MANIFEST_FORMAT:
        raise RunFolderError(
            f"{folder}: a newer version of the renderer made this folder (format {made_by}, this one reads "
            f"{MANIFEST_FORMAT}). Update with `pip install -U kolors-storyboard`, or render with --out DIR."
        )
    return Manifest.model_validate(found)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """The manifest as the folder's record, atomically; the journal, now part of it, ends. Raises OSError."""
    write_atomically(folder / MANIFEST_FILE, to_json(manifest, indent=1))
    (folder / JOURNAL_FILE).unlink(missing_ok=True)


def note_in_journal(folder: Path, entry: PictureRecord | tuple[str, str]) -> None:
    """A painted picture, or a failure (key, reason), on record at once without writing the whole manifest."""
    line = entry.model_dump_json() if isinstance(entry, PictureRecord) else json.dumps(entry, ensure_ascii=False)
    with (folder / JOURNAL_FILE).open("ab") as journal:
        journal.write(line.encode() + b"\n")


def read_journal(folder: Path) -> tuple[dict[str, PictureRecord], dict[str, str]]:
    """Pictures and failures noted since the manifest was written. Lines torn by a kill are passed over."""
    pictures: dict[str, PictureRecord] = {}
    failures: dict[str, str] = {}
    with suppress(FileNotFoundError):
        for line in (folder / JOURNAL_FILE).read_bytes().splitlines():
            with suppress(ValueError, ValidationError, TypeError):
                entry = json.loads(line)
                if isinstance(entry, list):
                    failures[str(entry[0])] = str(entry[1])
                else:
                    picture = PictureRecord.model_validate(entry)
                    pictures[picture.key] = picture
                    failures.pop(picture.key, None)
    return pictures, failures

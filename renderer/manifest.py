"""The run folder's record: what the last render asked for, which pictures there are, and how each was painted.

It holds enough to rebuild grid and sheet, to verify pictures, and to tell why a take has to be painted.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from renderer.prompts import Part
from renderer.take import Provenance

MANIFEST_FORMAT = 1
MANIFEST_FILE = "manifest.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PictureRecord(_Record):
    """A picture that was painted: its file (relative to the run folder) and content, what was asked for, what was so."""

    key: str
    scene: str
    file: str
    sha256: str
    bytes: int
    mtime_ns: int
    record: dict[str, Any]
    loras: tuple[str, ...] = ()
    provenance: Provenance


class TakeEntry(_Record):
    """A take of the story as it stands now: its key, its seed, and its prompts with the origin of each part."""

    key: str
    seed: int
    prompt: tuple[Part, ...]
    negative: tuple[Part, ...]
    record: dict[str, Any]
    loras: tuple[str, ...] = ()


class SceneEntry(_Record):
    """A scene of the story as it stands now. `pick` is the key of the chosen take; `duration` in seconds."""

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


class GridStyle(_Record):
    """How the grid is laid out: `columns`, the longer side of a `cell` and the `gutter` in pixels, `rows` a page."""

    columns: int = 2
    cell: int = 512
    gutter: int = 16
    rows: int = 8
    captions: bool = True


class Manifest(_Record):
    """The whole record. `pictures` and `failures` (reasons in words) go by key."""

    format: Literal[1] = 1
    title: str
    language: Literal["zh", "en"] = "en"
    source: str = ""
    model: str = ""
    grid: GridStyle = GridStyle()
    scenes: tuple[SceneEntry, ...]
    pictures: dict[str, PictureRecord] = {}
    failures: dict[str, str] = {}
    updated_at: str = ""

    def shown(self, scene: SceneEntry) -> TakeEntry | None:
        """The take that stands for a scene: its pick if that is painted, else its first painted take, else None."""
        painted = [take for take in scene.takes if take.key in self.pictures]
        return next((take for take in painted if take.key == scene.pick), painted[0] if painted else None)

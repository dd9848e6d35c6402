"""What the sheet shows of a story, as plain values: all that a template sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from renderer.looking.changes import Before, Changes
from renderer.looking.durations import UNTIMED
from renderer.looking.tables import TakeTable, tables_of
from renderer.looking.text import shortened
from renderer.manifest import LoraLineage, SceneEntry
from renderer.prompts import Origin, Part
from renderer.reasons import Reason
from renderer.take import Provenance
from renderer.take_name import TakeName, shown_number

ALT_WIDTH = 100
"""Columns of a prompt (a hanzi: two) that describe its picture to those who can't see it; the rest is beside it."""
OVERVIEW = 120
"""Scenes of which the overview shows small pictures; longer stories have the contact sheet, filters and search."""

Status = Literal["painted", "missing", "failed", "unpainted"]


@dataclass(frozen=True, slots=True)
class TrainedView:
    """A LoRA, an embedding or a hypernetwork of a take; `sha256` is that of its file, `lineage` where it is from.

    `strength` 1.0 is exactly as trained; an embedding has none.
    """

    name: str
    strength: float | None
    sha256: str
    lineage: LoraLineage

    @property
    def values(self) -> dict[str, Any]:
        """The same as JSON values; of its lineage what is known, as word and value."""
        lineage = [[f"lora_{name}", value] for name, value in self.lineage if value]
        return {"name": self.name, "strength": self.strength, "sha256": self.sha256, "lineage": lineage}


@dataclass(frozen=True)
class TakeView:
    """A take on the sheet.

    `picture` and `thumb` are URLs relative to the sheet, '' unless `status` is `painted`; `missing` was painted, but
    its file is gone or damaged. `width` and `height` in pixels. `picked`: the author chose it. `record` is what the
    picture was painted from: of a draft, the draft's.
    """

    key: str
    name: TakeName
    status: Status
    picked: bool
    picture: str
    thumb: str
    reason: str
    prompt: tuple[Part, ...]
    negative: tuple[Part, ...]
    record: dict[str, Any]
    loras: tuple[TrainedView, ...]
    embeddings: tuple[TrainedView, ...]
    hypernetworks: tuple[TrainedView, ...]
    provenance: Provenance | None

    @property
    def seed(self) -> int:
        return self.name.seed

    @cached_property
    def tried(self) -> tuple[tuple[str, str], ...]:
        """What a sweep tries in it: word and value."""
        return tuple((word, shown_number(value)) for word, value in self.name.parts.items() if word != "seed")

    @cached_property
    def prompt_text(self) -> str:
        """The prompt as it is painted."""
        return "".join(part.text for part in self.prompt)

    @cached_property
    def negative_text(self) -> str:
        """The negative as it is painted."""
        return "".join(part.text for part in self.negative)

    @property
    def draft(self) -> bool:
        """Whether the picture is only a draft."""
        return self.status == "painted" and self.record.get("draft") is True

    @property
    def alt(self) -> str:
        """The picture in words: the prompt without its style, at most 100 columns of it."""
        text = " ".join("".join(part.text for part in self.prompt if part.origin != "style").split())
        return shortened(text, ALT_WIDTH)

    @property
    def width(self) -> int:
        return int(self.record.get("width", 1))

    @property
    def height(self) -> int:
        return int(self.record.get("height", 1))

    @cached_property
    def settings(self) -> tuple[tuple[str, ...], ...]:
        """What else was asked for, apart from the seed: word and value. Takes of a scene mostly share it."""
        record = self.record
        values = {
            "size": f"{self.width} × {self.height}",
            "steps": record.get("steps"),
            "guidance": record.get("guidance"),
            "guidance_interval": "–".join(f"{end:g}" for end in record.get("guidance_interval", ())),
            "sampler": record.get("sampler"),
            "cache_interval": record.get("cache_interval"),
            "model": record.get("model"),
            "precision": record.get("precision"),
            "reproducible": record.get("reproducible"),
        }
        shown = {
            word: f"{value:g}" if isinstance(value, float) else str(value) for word, value in values.items() if value
        }
        return tuple(shown.items())


@dataclass(frozen=True)
class SceneView:
    """A card of the sheet: `entry` is the scene as the manifest has it, `main` the take that stands for it.

    `start` is the scene's first moment in the story, in seconds; None where no scene has a duration. `changed` says
    why it is not what the last sheet showed, `before` is the take that one showed, where it is another.
    """

    number: str
    entry: SceneEntry
    main: TakeView
    takes: tuple[TakeView, ...]
    start: float | None = None
    changed: tuple[Reason, ...] = ()
    before: Before | None = None

    @property
    def end(self) -> float | None:
        """The scene's last moment in the story, in seconds."""
        return None if self.start is None else self.start + self.seconds

    @property
    def seconds(self) -> float:
        """How long the scene is seen."""
        return UNTIMED if self.entry.duration is None else self.entry.duration

    @property
    def assumed(self) -> bool:
        """Whether the author states no duration, so that the time shown is ours."""
        return self.start is not None and self.entry.duration is None

    @property
    def template(self) -> str:
        """The prompt as the author wrote it, '' where it can be read in the painted one."""
        return "" if self.entry.template in self.main.prompt_text else self.entry.template

    @property
    def negative_template(self) -> str:
        """The negative as the author wrote it, '' where it can be read in the painted one."""
        return "" if self.entry.negative_template in self.main.negative_text else self.entry.negative_template

    @property
    def failures(self) -> dict[str, list[str]]:
        """Why takes failed: each reason with the takes that it kept from being painted."""
        reasons: dict[str, list[str]] = {}
        for take in self.takes:
            if take.reason or take.status == "failed":
                reasons.setdefault(take.reason, []).append(take.name.short)
        return reasons

    @cached_property
    def tables(self) -> tuple[TakeTable, ...]:
        """The takes as tables, where they are those of a sweep."""
        return tables_of(self.takes)


@dataclass(frozen=True, slots=True)
class GridPage:
    """A page of the grid: its URL, and its width and height in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command to type: in the run folder where it is `here`, else in the folder that holds `renders`."""

    text: str
    here: bool


@dataclass(frozen=True)
class PageView:
    """The sheet of a story. `painting`: how many takes of how many are done, None once all is done.

    `counts` has `painted` (of these `draft`), `missing`, `failed` and `unpainted` takes; `command` paints what is
    missing, and drafts in full. `story` is the run folder's name, `source` the story's file; `decisions` by key, as
    `review.json` has them.
    """

    story: str
    title: str
    source: str
    language: Literal["zh", "en"]
    model: str
    updated_at: str
    command: Command
    scenes: tuple[SceneView, ...]
    grid: tuple[GridPage, ...]
    painting: tuple[int, int] | None
    decisions: dict[str, Any]
    changes: Changes

    @property
    def overview(self) -> tuple[SceneView, ...]:
        """The scenes that the overview shows: all of them, or none where they are too many to be one."""
        return self.scenes if len(self.scenes) <= OVERVIEW else ()

    @cached_property
    def counts(self) -> dict[str, int]:
        """Takes by status; `draft`: those painted as drafts only."""
        takes = list(self._takes())
        return Counter(take.status for take in takes) | Counter(draft=sum(take.draft for take in takes))

    @property
    def takes(self) -> int:
        """The number of takes of the story."""
        return sum(len(scene.takes) for scene in self.scenes)

    @property
    def seconds(self) -> float | None:
        """The running time of the story; None where no scene has a duration."""
        return self.scenes[-1].end if self.scenes else None

    @property
    def assumed(self) -> bool:
        """Whether the running time has scenes in it that state no duration."""
        return any(scene.assumed for scene in self.scenes)

    @cached_property
    def origins(self) -> tuple[Origin, ...]:
        """Where parts of the prompts come from, other than from the scenes themselves."""
        found = {part.origin for take in self._takes() for part in (*take.prompt, *take.negative)}
        known: tuple[Origin, ...] = ("character", "wildcard", "style", "board")
        return tuple(origin for origin in known if origin in found)

    def _takes(self) -> Iterator[TakeView]:
        return (take for scene in self.scenes for take in scene.takes)

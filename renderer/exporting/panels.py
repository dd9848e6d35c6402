"""The panels of a story: each scene with the picture that stands for it, or why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL import Image

from renderer.exporting.timing import Span, spans
from renderer.looking.cells import WORDS, Word
from renderer.looking.picks import picture_path, scene_number
from renderer.manifest import Manifest, PictureRecord, SceneEntry, TakeEntry
from renderer.plan import Plan

Paper = Literal["A4", "letter"]

LONGEST_SIDE = 4096
"""Pixels of a film's longer side: what H.264 players can show everywhere."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A take and the scene it stands for, or is another take of (`main` is False then).

    `picture` is the path of its file, None for the reason in `absent`; `file` is that path seen from the run folder.
    `draft`: it is only a draft.
    """

    number: str
    scene: SceneEntry
    take: TakeEntry
    main: bool
    picture: Path | None
    file: str
    absent: Word | None
    draft: bool = False

    @property
    def name(self) -> str:
        """Number and id of the scene, as people name it; with the take's where it is one of several."""
        return f"{self.number} {self.scene.id}" + ("" if self.main else f", {self.take.name}")


@dataclass(frozen=True)
class Reel:
    """A story to be exported: its plan, the record of its run folder as of now, and how it is wanted.

    `panels` are in story order; with `all_takes` every take has one. `fps` counts frames a second, `width` is a
    film's in pixels (None: as the format likes it), `paper` what a PDF is printed on.
    """

    plan: Plan
    manifest: Manifest
    panels: tuple[Panel, ...]
    all_takes: bool = False
    fps: int = 24
    width: int | None = None
    paper: Paper = "A4"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.plan.folder

    @property
    def absent(self) -> tuple[Panel, ...]:
        """The panels that stay empty."""
        return tuple(panel for panel in self.panels if panel.picture is None)

    @property
    def drafts(self) -> int:
        """How many panels show a draft."""
        return sum(panel.draft for panel in self.panels)

    def spans(self, fps: int | None = None) -> list[Span]:
        """When each panel is seen, where one follows the other."""
        return spans((panel.scene.duration for panel in self.panels), fps or self.fps)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Width and height of most of the pictures; 16 by 9 where there are none."""
        sizes = Counter(size_of(panel.take) for panel in self.panels if panel.picture)
        return sizes.most_common(1)[0][0] if sizes else (16, 9)

    def frame_size(self, width: int) -> tuple[int, int]:
        """Width and height in pixels, both even, of a film of the pictures' shape, at most 4096 on a side."""
        wide, high = self.shape
        scale = min(width / wide, LONGEST_SIDE / wide, LONGEST_SIDE / high)
        return max(2, round(wide * scale / 2) * 2), max(2, round(high * scale / 2) * 2)


def say(panel: Panel, language: str) -> str:
    """Why a panel is empty, in a few words; '' where it isn't."""
    return WORDS["zh" if language == "zh" else "en"][panel.absent] if panel.absent else ""


def find_panels(manifest: Manifest, plan: Plan, all_takes: bool) -> Iterator[Panel]:
    """The panels of a story, a scene's pick (else its first take) before its other takes."""
    lost = plan.inventory.missing | plan.inventory.damaged
    for index, scene in enumerate(manifest.scenes):
        main = manifest.main_take(scene)
        others = [take for take in scene.takes if take is not main] if all_takes else []
        for take in (main, *others):
            record = manifest.picture(take.key)
            path = _whole(picture_path(plan.folder, record))
            why: Word = "unpainted" if manifest.failure(take.key) is None else "failed"
            absent = None if path else "lost" if record or take.key in lost else why
            number, file = scene_number(manifest, index), _file(record) if path else ""
            draft = record is not None and path is not None and record.draft
            yield Panel(number, scene, take, take is main, path, file, absent, draft)


def size_of(take: TakeEntry) -> tuple[int, int]:
    """Width and height in pixels of a take's picture."""
    return max(1, int(take.record.get("width", 1))), max(1, int(take.record.get("height", 1)))


def _whole(path: Path | None) -> Path | None:
    """The path of a picture that can be read to its end, else None."""
    try:
        if path is not None:
            with Image.open(path) as image:
                image.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for damaged files
        return None
    return path


def _file(record: PictureRecord | None) -> str:
    return record.file if record else ""

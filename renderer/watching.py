"""Watching a story: the files that it is made of, and when an edit of them has come to rest."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from renderer.errors import AuthoringError, Problem
from renderer.kolors.lora.file import ENDINGS
from renderer.manifest import PictureRecord
from renderer.paint import Observer
from renderer.plan import Plan
from renderer.reading.include import included_names
from renderer.reading.lora_folders import lora_folders
from renderer.reading.lora_steps import kept_files, kept_of
from renderer.reading.yaml_file import read_yaml
from renderer.storyboard import load_storyboard
from renderer.take import Failed, Painter, Progress

POLL = 0.5
"""Seconds between two looks. An edit is at rest when two looks see the same: editors write files in several steps."""

Stamps = dict[Path, tuple[int, int, int]]


class Edits:
    """Edits of a story: of its file and what it includes, of LoRA files and their cards, of a folder of templates."""

    def __init__(self, story: Path, loras: Sequence[Path] = (), templates: Path | None = None) -> None:
        self._story = story
        self._loras = loras
        self._templates = templates
        self._authored: Stamps = {}
        self._named: set[Path] = {story}
        self._tried: Stamps = {}
        self._handled = self._look()

    def wait(self, poll: float = POLL) -> None:
        """Returns once there is an edit that was not handled, and it is at rest; it then counts as handled."""
        before = self._look()
        while True:
            time.sleep(poll)
            now = self._look()
            if now == before != self._handled:
                self._handled = now
                return
            before = now

    def supersede(self) -> bool:
        """Whether there is a new edit that leaves the story whole, so that going on with the old one is in vain."""
        now = self._look()
        if now in (self._handled, self._tried):
            return False
        self._tried = now
        try:
            load_storyboard(self._story, loras=self._loras)
        except AuthoringError:
            return False
        return True

    def _look(self) -> Stamps:
        if not self._authored or _stamps(self._authored) != self._authored:
            self._named = set(_named(self._story, self._named))
            self._authored = _stamps(file for file in self._named if file.suffix not in ENDINGS)
        files = {*self._named, *self._found()}
        cards = {file.with_suffix(".json") for file in files if file.suffix in ENDINGS}
        return _stamps(files | cards)

    def _found(self) -> Iterator[Path]:
        """Trained files that could be meant by a name, what was kept while training, and the files of the templates."""
        with suppress(OSError):
            for folder in lora_folders(self._story, self._loras):
                yield from (file for file in folder.iterdir() if file.suffix in ENDINGS)
                yield from kept_files(folder)
            for file in self._named:
                yield from kept_of(file) if file.suffix in ENDINGS else ()
            if self._templates is not None:
                yield from (file for file in self._templates.rglob("[!.]*") if file.is_file())


class StopsAtEdits:
    """Watches a render for `observer`, and stops it as Ctrl-C would before a batch that an edit has made vain."""

    def __init__(self, observer: Observer, edits: Edits) -> None:
        self.stopped = False
        self._observer = observer
        self._edits = edits

    def warned(self, problem: Problem) -> None:
        """Passed on."""
        self._observer.warned(problem)

    def started(self, takes: int, seconds: float | None) -> None:
        """Passed on."""
        self._observer.started(takes, seconds)

    def progress(self, progress: Progress) -> None:
        """Passed on; raises KeyboardInterrupt at the first step of a batch where the story has been edited."""
        if progress.stage == "denoising" and progress.done <= 1 and self._edits.supersede():
            self.stopped = True
            raise KeyboardInterrupt
        self._observer.progress(progress)

    def painted(self, picture: PictureRecord) -> None:
        """Passed on."""
        self._observer.painted(picture)

    def failed(self, failed: Failed) -> None:
        """Passed on."""
        self._observer.failed(failed)

    def ended(self) -> None:
        """Passed on."""
        self._observer.ended()


class KeptModel:
    """Opens models by `open_model`, and keeps the last one: its weights stay loaded from one render to the next."""

    def __init__(self, open_model: Callable[[Plan], Painter]) -> None:
        self._open = open_model
        self._kept: tuple[Path | None, str, Painter] | None = None

    def __call__(self, plan: Plan) -> Painter:
        """The painter for a plan. Raises ModelError."""
        if self._kept is None or self._kept[:2] != (plan.model_folder, plan.model):
            self._kept = None
            self._kept = (plan.model_folder, plan.model, self._open(plan))
        return self._kept[2]


def _named(story: Path, before: Iterable[Path]) -> Iterator[Path]:
    """The story, what it includes, and LoRA files that any of them names by a path, be they there or not.

    Where a file can't be read, what was named `before` stays.
    """
    waiting, seen = [story], set[str]()
    while waiting:
        file = waiting.pop()
        if (true := os.path.realpath(file)) in seen:
            continue
        seen.add(true)
        yield file
        try:
            root = read_yaml(file).root
        except AuthoringError:
            yield from before
            continue
        waiting += [file.parent / name for name in included_names(root) if "\0" not in name]
        yield from (file.parent / text for text in _texts(root.value) if _is_lora_path(text))


def _texts(value: object) -> Iterator[str]:
    """Every text in a value read from YAML."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _texts(entry)


def _is_lora_path(text: str) -> bool:
    return text.endswith(tuple(ENDINGS)) and ("/" in text or "\\" in text) and "\0" not in text


def _stamps(files: Iterable[Path]) -> Stamps:
    """Time, size and identity of each file; zeros for one that is not there."""
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except (OSError, ValueError):
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino

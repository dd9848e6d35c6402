"""Painting a plan: pictures under their keys, on record one by one, so that any kill loses at most the take in hand."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from renderer.aside import set_aside
from renderer.errors import Problem, RunFolderError
from renderer.files import explained, write_atomically
from renderer.interrupting import interrupts_held
from renderer.inventory import KEY_DIGITS, PICTURES, record_of
from renderer.kolors.files.lineage import lineage_of
from renderer.looking.thumbs import keep_thumbnail
from renderer.manifest import (
    LoraLineage,
    Manifest,
    PictureRecord,
    SceneEntry,
    TakeEntry,
    note_in_journal,
    stamp,
    write_manifest,
)
from renderer.metadata import encode_png
from renderer.painting.beside import Beside
from renderer.plan import Plan, PlannedTake
from renderer.take import Failed, Painted, Painter, Progress, Take
from renderer.timing import learn, machine

LOCK = ".lock"
OWNER = ".painting"

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Who watches a render: a progress display, a notebook, a log."""

    def warned(self, problem: Problem) -> None:
        """Something in the story will hardly come out as it is meant; said before painting begins."""

    def started(self, takes: int, seconds: float | None) -> None:
        """Painting begins: so many takes, and the seconds they will probably take (None: not known here yet)."""

    def progress(self, progress: Progress) -> None:
        """The painter has got a step further."""

    def painted(self, picture: PictureRecord) -> None:
        """A picture is in its place and on record."""

    def failed(self, failed: Failed) -> None:
        """A take could not be painted; the rest goes on."""

    def ended(self) -> None:
        """Painting is over, by success, failure or Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the takes that were to be painted; `interrupted` by Ctrl-C before all were."""

    painted: tuple[PictureRecord, ...] = ()
    failed: tuple[Failed, ...] = ()
    interrupted: bool = False


@dataclass
class Run:
    """A run folder that this process holds alone: its pictures and failures by key as they are at the moment."""

    plan: Plan
    pictures: dict[str, PictureRecord]
    failures: dict[str, str]
    grid_digest: str = ""

    @property
    def model_hash(self) -> str:
        """The first eight hex digits of the weights' digest, for infotexts; '' where the card has none."""
        return self.plan.storyboard.card.digest[:8]

    @property
    def folder(self) -> Path:
        """Where everything of this run lies."""
        return self.plan.folder

    def manifest(self) -> Manifest:
        """The folder's record as of now."""
        return manifest_of(self.plan, self.pictures, self.failures, self.grid_digest)

    def keep(self, painted: Painted) -> PictureRecord:
        """Write a picture under its key and note it; a Ctrl-C meanwhile takes effect afterwards. Raises OSError.

        Its small copy is made on the way, while its pixels are at hand: the sheet then has nothing left to decode.
        """
        take = painted.take
        name = f"{take.scene}-{take.seed}-{take.key[:KEY_DIGITS]}.png"
        path = self.folder / PICTURES / name
        content = encode_png(take, painted.pixels, self.model_hash)
        with interrupts_held():
            _make_room(self.folder, path)
            write_atomically(path, content)
            was_so = replace(painted.provenance, machine=machine(), painted_at=now())
            loras, hypernetworks = ([each.name for each in adapters] for adapters in (take.loras, take.hypernetworks))
            picture = record_of(
                self.folder, path, content, take.scene, take.record, was_so, tuple(loras), tuple(hypernetworks)
            )
            note_in_journal(self.folder, picture)
            self.pictures[take.key] = picture
            self.failures.pop(take.key, None)
        with suppress(OSError):  # the picture is safe, and the sheet makes up for what is missing
            keep_thumbnail(painted.pixels, path, self.folder, picture.key)
        return picture

    def fail(self, failed: Failed) -> None:
        """Note a take that could not be painted. Raises OSError."""
        self.failures[failed.take.key] = failed.reason
        note_in_journal(self.folder, (failed.take.key, failed.reason))

    def save(self) -> Manifest:
        """Write the manifest, and return it. Raises OSError."""
        manifest = self.manifest()
        write_manifest(self.folder, manifest)
        return manifest


@contextmanager
def open_run(plan: Plan, again: Callable[[], Plan], wait: bool = False) -> Iterator[Run]:
    """The plan's run folder, held by this process alone until the block ends; made where it isn't there.

    Where another process has changed the folder since the plan was made, `again` makes a new one. Raises
    RunFolderError where another process paints into it (unless `wait`), another story lives in it, or it can't be
    written to.
    """
    folder = plan.folder
    _refuse_other_story(plan)
    with explained(folder):
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            raise RunFolderError(
                f"{folder}: another render is painting into it ({_owner(folder)}). "
                "Wait until it has ended (`storyboard render --wait` does), or stop it."
            ) from None
    try:
        if stamp(folder) != plan.stamp:
            plan = again()
        with explained(folder):
            (folder / OWNER).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now()}))
            previous = plan.previous
            run = Run(
                plan,
                dict(plan.inventory.whole),
                {
                    key: why
                    for key, why in (previous.failures if previous else {}).items()
                    if key not in plan.inventory.whole
                },
                previous.grid_digest if previous else "",
            )
        yield run
    finally:
        with suppress(OSError):
            (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def paint(
    run: Run, takes: Sequence[PlannedTake], painter: Painter, observer: Observer, refresh: Callable[[], None]
) -> Outcome:
    """Paint `takes` into the run folder; one that fails never loses the rest, and Ctrl-C ends after the file in hand.

    `refresh` is called after each picture. It, the pictures' files and `observer.painted` are the work of another
    thread than `observer.progress`: painting doesn't wait for them. Raises RunFolderError where the disk is full or the
    folder unwritable, ModelError and LoraError as the painter does; whatever was painted before stays and is on record.
    """
    pictures: list[PictureRecord] = []
    failures: list[Failed] = []
    learned: list[tuple[Take, float]] = []
    interrupted = False
    results = painter.paint([planned.take for planned in takes], observer.progress)
    observer.started(len(takes), run.plan.seconds(takes))

    def finish(result: Painted | Failed) -> None:
        with explained(run.folder):
            if isinstance(result, Failed):
                run.fail(result)
                failures.append(result)
                observer.failed(result)
            else:
                pictures.append(run.keep(result))
                learned.append((result.take, result.provenance.seconds))
                observer.painted(pictures[-1])
            refresh()

    try:
        with Beside(finish) as beside:  # so that a GPU paints on while pictures are compressed and synced
            for result in results:
                beside.put(result)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        observer.ended()
        learn(learned)
        with suppress(OSError):
            run.save()
    return Outcome(tuple(pictures), tuple(failures), interrupted)


def manifest_of(
    plan: Plan, pictures: dict[str, PictureRecord], failures: dict[str, str], grid_digest: str = ""
) -> Manifest:
    """The record of a run folder: the story as `plan` has it, and the pictures and failures of all times."""
    board = plan.storyboard
    takes: dict[str, list[TakeEntry]] = {}
    for planned in plan.takes:
        takes.setdefault(planned.take.scene, []).append(planned.entry)
    scenes = []
    for scene in board.scenes:
        entries = tuple(takes[scene.id])
        scenes.append(
            SceneEntry(
                id=scene.id,
                template=scene.prompt,
                negative_template=scene.negative_text,
                pick=next((entry.key for entry in entries if entry.name == scene.pick), None),
                shot=scene.shot,
                camera=scene.camera,
                action=scene.action,
                dialogue=scene.dialogue,
                note=scene.note,
                duration=scene.duration,
                takes=entries,
                extra_seeds=plan.extra_seeds[scene.id],
            )
        )
    return Manifest(
        title=board.title,
        language=board.language,
        source=_source(plan),
        model=plan.model,
        grid=board.grid,
        scenes=tuple(scenes),
        pictures=pictures,
        failures=failures,
        drafts=plan.drafts,
        lineage=_lineage(plan),
        grid_digest=grid_digest,
        updated_at=now(),
    )


def _lineage(plan: Plan) -> dict[str, LoraLineage]:
    """Where the trained files of the story come from, and those that it was painted with before; they may be gone."""
    known = dict(plan.previous.lineage) if plan.previous else {}
    used = {(file.path, file.sha256) for planned in plan.takes for file in planned.take.trained if file.path}
    found = {sha256: lineage_of(path, sha256) for path, sha256 in sorted(used)}
    return known | {sha256: lineage for sha256, lineage in found.items() if lineage != LoraLineage()}


def now() -> str:
    """This moment, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _make_room(folder: Path, path: Path) -> None:
    """Move away a file that stands where a picture belongs: someone changed it, and it may be dear to them."""
    if path.exists():
        log.warning(
            "%s was changed and is painted again; what you had there is kept: %s", path, set_aside(folder, path)
        )


def _source(plan: Plan) -> str:
    """The story's path seen from the run folder, so that moving both together changes nothing."""
    story, folder = plan.storyboard.path.resolve(), plan.folder.resolve()
    try:
        return Path(os.path.relpath(story, folder)).as_posix()
    except ValueError:  # another drive
        return story.as_posix()


def _refuse_other_story(plan: Plan) -> None:
    """Raise where the folder belongs to another story that is still there; a renamed story keeps its folder."""
    previous = plan.previous
    if previous is None or not previous.source or previous.source == _source(plan):
        return
    other = (plan.folder / previous.source).resolve()
    if other.is_file() and other != plan.storyboard.path.resolve():
        raise RunFolderError(f"{plan.folder}: belongs to the story {other}. Give this one a folder with --out DIR.")


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / OWNER).read_text())
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its process is not known"

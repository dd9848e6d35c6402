"""What open pages are told while they are open: that decisions were made elsewhere, and that the sheet has changed."""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from renderer.errors import StoryboardError
from renderer.manifest import MANIFEST_FILE
from renderer.sheet import SHEET

__all__ = ["Event", "Live", "Watcher"]

KEPT = 256
"""Events kept for pages that were away for a moment."""
STREAMS = 5
"""Pages told at a time. Browsers open six connections to a server, and all else needs one; with more pages than this
the one told longest is let go, comes again later, and hears what it has missed."""
HEARTBEAT = 10.0
"""Seconds between signs of life; a page that has gone is noticed by them."""
POLL = 0.5

Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: `decisions` by key for "review", nothing for "sheet"."""

    id: str
    number: int
    kind: Literal["review", "sheet"]
    data: dict[str, object]

    def __str__(self) -> str:
        """As server-sent events are written."""
        return f"id: {self.id}\nevent: {self.kind}\ndata: {json.dumps(self.data)}\n\n"


class Live:
    """The events so far, and the pages that wait for the next. For use by many threads at once."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._count = 0
        self._streams: list[object] = []
        self._change = threading.Condition()
        self._closed = False

    @property
    def now(self) -> str:
        """The id of the last event: `follow` it to hear of all that come after."""
        return self._id(self._count)

    def send(self, kind: Literal["review", "sheet"], data: dict[str, object]) -> None:
        """Tell every page."""
        with self._change:
            self._count += 1
            self._events.append(Event(self._id(self._count), self._count, kind, data))
            self._change.notify_all()

    def follow(self, since: str, heartbeat: float = HEARTBEAT) -> Iterator[Event | None]:
        """The events after the one of the id `since`, as they come, and None as a sign of life now and then.

        A page that asks for more than is kept, or knows another server's events, hears that the sheet has changed: it
        then fetches all there is to know. Ends with the server, or where newer pages take the place.
        """
        me = object()
        with self._change:
            self._streams.append(me)
            self._change.notify_all()
        try:
            seen = self._seen(since)
            yield None
            if seen is None:
                seen = self._count
                yield Event(self._id(seen), seen, "sheet", {})
            while (fresh := self._fresh(me, seen, heartbeat)) is not None:
                if not fresh:
                    yield None
                for event in fresh:
                    seen = event.number
                    yield event
        finally:
            with self._change:
                self._streams.remove(me)

    def close(self) -> None:
        """End every stream."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _fresh(self, me: object, seen: int, heartbeat: float) -> list[Event] | None:
        """The events after the first `seen`, waiting so many seconds for one; None where the stream is over."""
        with self._change:
            self._change.wait_for(lambda: self._over(me) or self._count > seen, heartbeat)
            if self._over(me):
                return None
            return [event for event in self._events if event.number > seen]

    def _over(self, me: object) -> bool:
        return self._closed or me not in self._streams[-STREAMS:]

    def _seen(self, since: str) -> int | None:
        """How many events there had been by then; None where that is not known, or longer ago than is kept."""
        epoch, _, number = since.partition("-")
        if epoch != self._epoch or not (number.isdecimal() and len(number) < 16):
            return None
        return int(number) if self._count - KEPT <= int(number) <= self._count else None

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"


class Watcher(threading.Thread):
    """Looks at the run folder twice a second.

    `decided` is called when the review's file was written, by whomever; `changed` when the sheet was, once the
    writing rests.
    """

    def __init__(self, folder: Path, review: Path, decided: Callable[[], None], changed: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="storyboard-review-watcher")
        self._sheet = (folder / MANIFEST_FILE, folder / SHEET)
        self._review = (review,)
        self._decided = decided
        self._changed = changed
        self._ended = threading.Event()

    def run(self) -> None:
        """Look until `end`."""
        told = before = _stamps(self._sheet)
        review = _stamps(self._review)
        while not self._ended.wait(POLL):
            now = _stamps(self._sheet)
            if now == before != told:
                told = now
                self._changed()
            before = now
            if (seen := _stamps(self._review)) != review:
                review = seen
                with suppress(StoryboardError, OSError):  # half edited, or gone: whoever saves is told
                    self._decided()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


def _stamps(files: tuple[Path, ...]) -> Stamp:
    return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size

"""Work that is done beside other work: in order, in a thread of its own, and never forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Queue
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

WAITING = 16
"""Items that may wait: two batches of pictures of 1024², 50 MB, and the most that the death of the process costs."""


class Beside(Generic[Item]):
    """Has `work` done on each item that is put, one after the other, while whoever puts them goes on.

    Leaving the block waits until all is done, Ctrl-C or not. Where `work` raises, items that wait are dropped, and its
    exception comes out of the next `put` or of the block.
    """

    def __init__(self, work: Callable[[Item], None], waiting: int = WAITING) -> None:
        self._work = work
        self._items: Queue[Item | None] = Queue(waiting)
        self._raised: BaseException | None = None
        self._over = threading.Event()  # and not Thread.join, which a Ctrl-C makes believe that the thread has ended

    def put(self, item: Item) -> None:
        """Hands an item over; waits while too many wait. Raises what `work` raised."""
        self._items.put(item)
        if self._raised is not None:
            raise self._raised

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            if self._raised is not None:
                continue  # so that nobody waits for room for ever
            try:
                self._work(item)
            except BaseException as error:
                self._raised = error
        self._over.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="beside", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ended = False
        while not self._over.is_set():
            with suppress(KeyboardInterrupt):  # a second Ctrl-C: what waits takes but a moment, and was paid for
                if not ended:
                    self._items.put(None)
                    ended = True
                self._over.wait()
        if self._raised is not None and self._raised is not error:
            raise self._raised from error

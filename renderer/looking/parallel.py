"""Work on many pictures at once: Pillow lets other threads run while it decodes, scales and encodes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(make: Callable[[Item], Made], items: Iterable[Item], at_once: int) -> Iterator[Made]:
    """What `make` makes of each item, in their order, by that many threads; by none where one would do.

    Few more than `at_once` are made before they are asked for. Where something goes wrong, or nobody asks any more,
    what was not begun isn't.
    """
    if at_once <= 1:
        yield from map(make, items)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    with ThreadPoolExecutor(at_once) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

"""Python's collector of circular garbage, and where it had better rest."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_rests() -> Iterator[None]:
    """Nothing is searched for circular garbage inside.

    Planning and looking make hundreds of thousands of small values, all of which are kept and none of which is
    circular; the collector goes through them again and again, which took a third of the time of a long story's sheet.
    """
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()

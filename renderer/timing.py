"""How long a take takes on this machine, learned from the takes it has painted."""

from __future__ import annotations

import hashlib
import json
import platform
import uuid
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from statistics import median

from platformdirs import user_cache_path

from renderer.files import write_atomically
from renderer.kolors.card import Interval
from renderer.take import Take

CACHED = 0.2
"""What a step that uses another's deep features takes of a whole one; an estimate, as for the time that is to come."""

KEPT = 50
"""Rates kept per model; the median of them is the estimate."""


def machine() -> str:
    """Twelve hex digits that tell this machine from others without naming it."""
    return hashlib.sha256(f"{platform.node()}-{uuid.getnode()}".encode()).hexdigest()[:12]


def work(take: Take) -> float:
    """The size of a take's job in step-megapixels; a step counts twice where a negative is painted along."""
    guided = take.guidance_interval if take.guidance != 1 else (0.0, 0.0)
    return _whole_steps(take.steps, guided, take.cache_interval) * take.width * take.height / 1e6


@cache
def _whole_steps(steps: int, guided: Interval, cache_interval: int) -> float:
    """So many whole steps without guidance take as long as these do."""
    return sum(
        (2 if guided[0] <= step / steps < guided[1] else 1) * (CACHED if step % cache_interval else 1.0)
        for step in range(steps)
    )


def estimate(takes: Iterable[Take]) -> float | None:
    """Seconds that these takes will take here; None where a model among them was never painted with here."""
    rates = _read()
    seconds = 0.0
    for take in takes:
        known = rates.get(take.model)
        if not known:
            return None
        seconds += work(take) * median(known)
    return seconds


def learn(painted: Iterable[tuple[Take, float]]) -> None:
    """Remember how many seconds these takes took. A cache folder that can't be written is no reason to fail."""
    rates = _read()
    for take, seconds in painted:
        rates.setdefault(take.model, []).append(seconds / work(take))
    text = json.dumps({model: known[-KEPT:] for model, known in rates.items()})
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_file(), text.encode())


def _file() -> Path:
    return user_cache_path("kolors-storyboard", appauthor=False) / "timings.json"


def _read() -> dict[str, list[float]]:
    try:
        rates = json.loads(_file().read_text(encoding="utf-8"))
        return {str(model): [float(rate) for rate in known] for model, known in rates.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}

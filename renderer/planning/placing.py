"""How the takes of a plan would be painted in the memory that is free on this machine now. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from renderer.errors import StoryboardError
from renderer.kolors.card import KOLORS
from renderer.kolors.fitting.choosing import place, unfit_words
from renderer.kolors.fitting.machine import Machine, this_machine
from renderer.kolors.fitting.placement import Job, Placement, bytes_of
from renderer.kolors.fitting.sizes import KOLORS_SIZES, ModelSizes, sizes_of
from renderer.plan import Plan
from renderer.take import Take

WORST = ("whole", "waiting", "tiles")


@dataclass(frozen=True, slots=True)
class Placed:
    """Takes of one size and precision: how many, and how the one that needs most is placed; None where it isn't."""

    takes: int
    job: Job
    placement: Placement | None
    words: str

    @property
    def tightness(self) -> tuple[bool, bool, bool, int, int]:
        """Sorts by how little memory is left: the tightest is the greatest."""
        if self.placement is None:
            return (True, False, False, 0, 0)
        found = self.placement
        return (False, found.unet == "streamed", found.apart, WORST.index(found.decoding), found.peak)


def placed(planned: Plan, takes: Iterable[Take], machine: Machine | None = None) -> list[Placed]:
    """These takes by size and precision, the tightest first; [] where the model's sizes aren't known."""
    sizes = _sizes(planned)
    if sizes is None:
        return []
    machine = machine or this_machine()
    groups: dict[Job, int] = {}
    for take in takes:
        job = _job(take, machine)
        groups[job] = groups.get(job, 0) + 1
    found: dict[tuple[object, ...], list[Placed]] = {}
    for each in _each(sizes, groups, machine):
        found.setdefault((each.job.width, each.job.height, each.job.precision), []).append(each)
    tightest = [_joined(its) for its in found.values()]
    return sorted(tightest, key=lambda each: each.tightness, reverse=True)


def _each(sizes: ModelSizes, groups: dict[Job, int], machine: Machine) -> Iterator[Placed]:
    for job, count in groups.items():
        placement = place(sizes, job, machine.room, count)
        words = f"{machine}: {placement}" if placement else unfit_words(sizes, job, machine.room, machine.name)
        yield Placed(count, job, placement, words)


def _joined(its: list[Placed]) -> Placed:
    """The tightest of some, standing for all."""
    worst = max(its, key=lambda each: each.tightness)
    return Placed(sum(each.takes for each in its), worst.job, worst.placement, worst.words)


def _job(take: Take, machine: Machine) -> Job:
    added = 0
    with suppress(OSError):
        added = bytes_of(take.hypernetworks)
    return Job(
        take.width,
        take.height,
        take.precision or machine.precision,
        take.guidance != 1.0,
        take.strict,
        take.cache_interval > 1,
        added,
    )


def _sizes(planned: Plan) -> ModelSizes | None:
    """Those of the model on this machine, or of the real Kolors where its weights are yet to come."""
    if planned.model_folder is None:
        return KOLORS_SIZES if planned.storyboard.card.name == KOLORS.name else None
    try:
        return sizes_of(planned.model_folder)
    except StoryboardError:  # said where it is painted
        return None

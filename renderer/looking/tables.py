"""The takes of a sweep side by side: what one looks at to choose a LoRA's strength and step by eye."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renderer.take_name import TakeName, shown_number

if TYPE_CHECKING:
    from renderer.looking.views import TakeView

Rows = tuple[tuple[str, tuple["TakeView", ...]], ...]


@dataclass(frozen=True, slots=True)
class TakeTable:
    """Takes in columns and rows.

    `across` and `down` are the words for what differs from column to column and from row to row (`seed`, `strength` or
    `step`), `columns` its values; a row is its value and its takes. `seed` is that of all takes, '' where rows are
    seeds.
    """

    across: str
    down: str
    seed: str
    columns: tuple[str, ...]
    rows: Rows


def tables_of(takes: Sequence[TakeView]) -> tuple[TakeTable, ...]:
    """The tables of a scene's takes, in their order; none where they are not those of a sweep.

    Strengths go across and steps down, a table for each seed; where only one of both is swept it goes across and seeds
    go down.
    """
    return tuple(_tables(takes)) if len(takes) > 1 else ()


def _tables(takes: Sequence[TakeView]) -> Iterator[TakeTable]:
    swept = [word for word in ("strength", "step") if any(word in take.name.parts for take in takes)]
    if len(swept) == 2:
        by_seed: dict[int, list[TakeView]] = {}
        for take in takes:
            by_seed.setdefault(take.seed, []).append(take)
        for seed, its in by_seed.items():
            yield _table(its, "strength", "step", str(seed))
    elif swept:
        yield _table(takes, swept[0], "seed", "")


def _table(takes: Sequence[TakeView], across: str, down: str, seed: str) -> TakeTable:
    columns = tuple(dict.fromkeys(_value(take.name, across) for take in takes))
    rows: dict[str, list[TakeView]] = {}
    for take in takes:
        rows.setdefault(_value(take.name, down), []).append(take)
    return TakeTable(across, down, seed, columns, tuple((value, tuple(found)) for value, found in rows.items()))


def _value(name: TakeName, word: str) -> str:
    value = name.parts.get(word)
    return "" if value is None else shown_number(value)

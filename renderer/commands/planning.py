"""What `storyboard plan` says: a line for each take, and what all of them come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment, Segments
from rich.style import Style
from rich.table import Table
from rich.text import Text

from renderer.commands.console import count, err, escaped, out
from renderer.progress import duration
from renderer.take_name import shown_number

if TYPE_CHECKING:
    from rich.console import RenderableType

    from renderer.plan import Plan, PlannedTake
    from renderer.take import Take

GAP = 2
"""Columns between two columns of the table."""

STATES = {True: ("to paint", "yellow"), False: ("up to date", "green")}
"""How a take stands, by whether it has to be painted: words and colour."""

_Row = tuple[str, ...]


def say_plan(planned: Plan, scenes: Sequence[str], seeds: Sequence[int], picks: bool = False) -> None:
    """Each take of these scenes and seeds, or of the picks, with why it is painted, and what painting them comes to."""
    takes = planned.among(planned.takes, scenes, seeds, picks)
    if takes:
        out.print(take_table(takes, out.width), soft_wrap=False)
    chosen = planned.select(scenes, seeds, picks=picks)
    seconds = planned.seconds(chosen)
    how_long = "time not known on this machine yet" if seconds is None else f"about {duration(max(1.0, seconds))}"
    size = planned.bytes(chosen) / 1e6
    drafts = sum(each.take.draft for each in chosen)
    as_drafts = " as drafts" if drafts == len(chosen) else f", {count(drafts, 'draft')} among them" if drafts else ""
    total = f"{len(chosen)} of {count(len(planned.takes), 'take')} to paint with {planned.model}{as_drafts}"
    out.print(f"{total}; {how_long}, {size:.1f} MB." if chosen else "Nothing to paint.", markup=False)
    _say_placements(planned, [each.take for each in chosen])


def _say_placements(planned: Plan, takes: Sequence[Take]) -> None:
    """How the takes that leave least memory free would be painted on this machine; and all sizes that don't fit."""
    from renderer.planning.placing import placed

    found = placed(planned, takes)
    for each in found:
        if each.placement is None:
            err.print(each.words, markup=False)
    fitting = next((each for each in found if each.placement), None)
    if fitting:
        size = f" (the tightest of {len(found)}: {fitting.job.width}x{fitting.job.height})" if len(found) > 1 else ""
        out.print(f"{fitting.words}{size}.", markup=False)


def take_table(takes: Sequence[PlannedTake], width: int) -> RenderableType:
    """Takes as a table of at most `width` columns.

    Rich's own table takes seconds for thousands of rows, nearly all of it for what these rows don't have. So rich lays
    them out only where more than the reasons has to be folded, or where those hold line breaks.
    """
    words = tuple(dict.fromkeys(word for each in takes for word in each.take.name.parts))
    heads = ("scene", *words, "", "why")
    rows = list(_rows(takes, words))
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    left = width - sum(widths[:-1]) - GAP * len(widths[:-1])
    is_tight = widths[-1] > left and left < max(widths[:-1])
    if is_tight or any(not reason.isprintable() for reason in {row[-1] for row in rows}):
        return _folded(heads, rows)
    return Segments(_segments(heads, rows, [*widths[:-1], min(widths[-1], left)]))


def _rows(takes: Sequence[PlannedTake], words: Sequence[str]) -> Iterator[_Row]:
    for each in takes:
        parts = each.take.name.parts
        values = (shown_number(parts[word]) if word in parts else "" for word in words)
        yield (each.take.scene, *values, STATES[bool(each.reason)][0], each.reason)


def _segments(heads: _Row, rows: Sequence[_Row], widths: Sequence[int]) -> Iterator[Segment]:
    """The lines of the table, each column as wide as `widths` says; the last column folds."""
    yield from (Segment(_cells(heads, widths), Style(bold=True)), Segment.line())
    styles = {words: Style(color=color) for words, color in STATES.values()}
    after = len(widths) - 2
    blank = _cells(("",) * (after + 1), widths) + " " * GAP
    folded: dict[str, list[str]] = {}
    for row in rows:
        reason = row[-1]
        if reason not in folded:
            lines = Text(reason).wrap(out, widths[-1], overflow="fold") or [Text()]
            folded[reason] = [line.plain + " " * (widths[-1] - cell_len(line.plain)) for line in lines]
        first, *others = folded[reason]
        yield Segment(_cells(row[:after], widths) + " " * GAP)
        yield Segment(row[after], styles[row[after]])
        yield Segment(" " * (widths[after] - len(row[after]) + GAP) + first)
        yield Segment.line()
        for line in others:
            yield from (Segment(blank + line), Segment.line())


def _cells(row: Sequence[str], widths: Sequence[int]) -> str:
    """Cells side by side: names and words from the left of their columns, numbers from the right."""
    last = len(widths) - 2
    filled = []
    for place, (cell, width) in enumerate(zip(row, widths, strict=False)):
        space = " " * (width - cell_len(cell))
        filled.append(space + cell if 0 < place < last else cell + space)
    return (" " * GAP).join(filled)


def _folded(heads: _Row, rows: Sequence[_Row]) -> Table:
    """The same table by rich, which folds every column."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        is_number = 0 < place < len(heads) - 2
        table.add_column(head, justify="right" if is_number else "left", overflow="fold")
    colors = dict(STATES.values())
    for *cells, state, reason in rows:
        table.add_row(*map(escaped, cells), f"[{colors[state]}]{state}[/]", escaped(reason))
    return table


def plan_data(planned: Plan) -> dict[str, object]:
    """The same for machines, as JSON values."""
    from renderer.planning.placing import placed

    chosen = planned.to_paint
    return {
        "story": str(planned.storyboard.path),
        "folder": str(planned.folder),
        "model": planned.model,
        "weights_here": planned.model_folder is not None,
        "takes": [
            {
                "scene": each.take.scene,
                **each.take.name.parts,
                "key": each.take.key,
                "to_paint": bool(each.reason),
                "reason": each.reason,
                "record": each.take.record,
            }
            for each in planned.takes
        ],
        "to_paint": len(chosen),
        "seconds": planned.seconds(chosen),
        "bytes": planned.bytes(chosen),
        "placements": [
            {
                "width": each.job.width,
                "height": each.job.height,
                "precision": each.job.precision,
                "takes": each.takes,
                "placement": asdict(each.placement) if each.placement else None,
                "words": each.words,
            }
            for each in placed(planned, [each.take for each in chosen])
        ],
        "warnings": [str(problem) for problem in planned.warnings],
    }

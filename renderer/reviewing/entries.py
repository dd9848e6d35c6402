"""Entries of a mapping or a list put in, replaced or taken out of a text, in whatever style it is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from renderer.reviewing.flow import drop_flow
from renderer.reviewing.splices import OddlyWrittenError, Splice, before_blanks, clear_lines, comments_in
from renderer.reviewing.written import Written, line_break, line_end, line_start


def put_pair(text: str, mapping: Written, name: str, value: str, after: Sequence[str]) -> Splice:
    """A new entry of a mapping, behind the first of the entries `after` that it has, else behind its last one."""
    named = [pair for each in after if (pair := mapping.pair(each))]
    pair = next((pair for pair in (*named, *reversed(mapping.pairs)) if pair[1].closed), None)
    if mapping.flow:
        key, last = pair or mapping.pairs[-1]
        return Splice(last.end, last.end, f", {key.quote}{name}{key.quote}: {value}")
    first, _ = mapping.pairs[0]
    key, last = pair or mapping.pairs[0]
    entry = f"{key.quote}{name}{key.quote}: {value}"
    begin = _begin(text, first)
    margin = line_break(text, begin) + " " * (begin - line_start(text, begin))
    if pair is None:
        return Splice(begin, begin, entry + margin)
    end = line_end(text, last.end)
    return Splice(end, end, margin + entry)


def put_value(text: str, pair: tuple[Written, Written], new: str) -> Splice:
    """Another value of an entry."""
    _, value = pair
    gap = "" if text[value.start - 1].isspace() else " "
    return Splice(value.start, value.end, gap + new if value.end == value.start else new)


def drop_pairs(text: str, mapping: Written, names: Collection[str]) -> Iterator[Splice]:
    """Entries of a mapping taken out; comments behind them stay."""
    dropped = {index for index, (key, _) in enumerate(mapping.pairs) if key.kind == "scalar" and key.text in names}
    if mapping.flow and dropped:
        yield from drop_flow(text, mapping, dropped)
        return
    for index in dropped:
        yield from _drop_from_block(text, mapping, index)


def _drop_from_block(text: str, mapping: Written, index: int) -> Iterator[Splice]:
    key, value = mapping.pairs[index]
    begin = _begin(text, key)
    lead = text[line_start(text, begin) : begin]
    if not lead.strip():
        yield clear_lines(text, begin, value.end)
        return
    following = mapping.pairs[index + 1 :]
    if not following:
        raise OddlyWrittenError
    end, upto = line_end(text, value.end), _begin(text, following[0][0])
    comments = comments_in(text, begin, end)
    if comments or text[end:upto].strip():
        margin = line_break(text, end) + " " * len(lead)
        yield Splice(begin if comments else before_blanks(text, begin), end, margin.join(comments))
    else:
        yield Splice(begin, upto, "")


def put_items(text: str, written: Written, index: int, values: Sequence[int]) -> Splice:
    """More entries of a list behind the one at `index`."""
    item = written.items[index]
    if written.flow:
        return Splice(item.end, item.end, "".join(f", {value}" for value in values))
    dash = _dash(text, item)
    margin = line_break(text, dash) + text[line_start(text, dash) : item.start]
    end = line_end(text, item.end)
    return Splice(end, end, "".join(f"{margin}{value}" for value in values))


def drop_items(text: str, written: Written, dropped: set[int]) -> Iterator[Splice]:
    """Entries of a list taken out; at least one has to stay."""
    if written.flow:
        yield from drop_flow(text, written, dropped)
    else:
        for index in dropped:
            item = written.items[index]
            yield clear_lines(text, _dash(text, item), item.end)


def change_items(text: str, written: Written, values: Sequence[int]) -> Iterator[Splice]:
    """All entries of a list, which are numbers, replaced by others."""
    first, last = written.items[0], written.items[-1]
    if written.flow:
        yield Splice(first.start, first.end, ", ".join(map(str, values)))
        yield from drop_flow(text, written, set(range(1, len(written.items))))
        return
    dash = _dash(text, first)
    margin = text[line_start(text, dash) : first.start]
    lines = "".join(f"{margin}{value}{line_break(text, dash)}" for value in values)
    start, stop, kept = clear_lines(text, dash, last.end)
    yield Splice(start, stop, lines + kept)


def _dash(text: str, item: Written) -> int:
    """Where the "-" of an entry stands that begins its line."""
    start = line_start(text, item.start)
    lead = text[start : item.start]
    if lead.strip() != "-":
        raise OddlyWrittenError
    return start + lead.index("-")


def _begin(text: str, key: Written) -> int:
    """Where the entry of a key begins: at its `?` where it is written with one."""
    start = line_start(text, key.start)
    lead = text[start : key.start].rstrip()
    return start + len(lead) - 1 if lead.endswith("?") else key.start

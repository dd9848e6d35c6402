"""A scene's `pick:` in the author's text: its seed, or a mapping where a sweep makes several takes of a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from renderer.reviewing.entries import drop_pairs, put_pair, put_value
from renderer.reviewing.splices import Splice
from renderer.reviewing.written import Written
from renderer.take_name import TakeName, shown_number


def said_pick(scene: Mapping[str, Any]) -> TakeName | None:
    """The take that a scene's values pick."""
    pick: Any = scene.get("pick")
    if isinstance(pick, dict):
        return TakeName(pick["seed"], pick.get("strength"), pick.get("step"))
    return None if pick is None else TakeName(pick)


def pick_splices(text: str, scene: Written, said: TakeName | None, wished: TakeName | None) -> Iterator[Splice]:
    """The cuts after which a scene, which says one pick, says another."""
    if said == wished:
        return
    pair = scene.pair("pick")
    if pair is None:
        value = "null" if wished is None else wished.written
        yield put_pair(text, scene, "pick", value, ("seeds", "seed", "prompt"))
    elif wished is not None and pair[1].kind == "mapping":
        yield from _named_splices(text, pair[1], said, wished)
    elif wished is not None:
        yield put_value(text, pair, wished.written)
    elif _parts_text(text, scene, pair):
        yield put_value(text, pair, "null")
    else:
        yield from drop_pairs(text, scene, ("pick",))


def _named_splices(text: str, written: Written, said: TakeName | None, wished: TakeName) -> Iterator[Splice]:
    """A pick that is written as a mapping, changed where it is another."""
    old, new = said.parts if said else {}, wished.parts
    for word, value in new.items():
        pair = written.pair(word)
        if pair is None:
            yield put_pair(text, written, word, shown_number(value), ("seed",))
        elif old.get(word) != value:
            yield put_value(text, pair, shown_number(value))
    yield from drop_pairs(text, written, old.keys() - new.keys())


def _parts_text(text: str, scene: Written, pair: tuple[Written, Written]) -> bool:
    """Whether without this entry comments or empty lines behind it would become part of the text before it."""
    before = scene.pairs[: scene.pairs.index(pair)]
    if not before or text[before[-1][1].start] not in "|>":
        return False
    behind = text[pair[1].end :]
    gap = behind[: len(behind) - len(behind.lstrip())]
    return behind.lstrip()[:1] == "#" or len(gap.splitlines()) > 1

"""Picks and seeds changed in the author's own text: only the lines that have to differ do, everything else stays.

The text is never written anew from its values. Small cuts are made where the values stand, the result is read again,
and it is taken only if it means exactly what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from renderer.errors import AuthoringError, Problem
from renderer.reading.yaml_file import Node, Source, parse_yaml
from renderer.reviewing.entries import change_items, drop_items, put_items, put_pair, put_value
from renderer.reviewing.picking import pick_splices, said_pick
from renderer.reviewing.splices import OddlyWrittenError, Splice, clear_lines, spliced
from renderer.reviewing.written import Written, read_written
from renderer.take_name import TakeName


@dataclass(frozen=True, slots=True)
class Wish:
    """What a scene, counted from 0, shall say: its pick (None: none) and its seeds."""

    scene: int
    pick: TakeName | None
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Edited:
    """A text with wishes granted, and for each scene that could not be changed where and why."""

    text: str
    refused: dict[int, Problem]


def edit_story(source: Source, wishes: Sequence[Wish]) -> Edited:
    """The text of a story, in which its scenes say what is wished. Raises AuthoringError for one that can't be read."""
    root = parse_yaml(source).root
    changed = [wish for wish in wishes if wish != _said(wish.scene, _scenes(root)[wish.scene])]
    refused = dict(_out_of_reach(root, read_written(source.text), changed))
    possible = [wish for wish in changed if wish.scene not in refused]
    text = _attempt(source, root, possible)
    if text is not None:
        return Edited(text, refused)
    granted = _possible_together(source, root, possible)
    for wish in set(possible).difference(granted):
        refused[wish.scene] = _problem(root, wish, "something else in the file would change with it.")
    return Edited(_attempt(source, root, granted) or source.text, refused)


def _possible_together(source: Source, root: Node, wishes: Sequence[Wish]) -> list[Wish]:
    """The wishes that can be granted together; those that wait for another are tried again after it."""
    granted: list[Wish] = []
    before = -1
    while len(granted) > before:
        before = len(granted)
        done = set(granted)
        granted = _with_more(source, root, granted, [wish for wish in wishes if wish not in done])
    return granted


def _with_more(source: Source, root: Node, granted: list[Wish], wishes: Sequence[Wish]) -> list[Wish]:
    """The granted wishes and as many of the others as can be; by halves, since most can."""
    if not wishes or _attempt(source, root, [*granted, *wishes]) is not None:
        return [*granted, *wishes]
    if len(wishes) == 1:
        return granted
    half = len(wishes) // 2
    return _with_more(source, root, _with_more(source, root, granted, wishes[:half]), wishes[half:])


def _attempt(source: Source, root: Node, wishes: Sequence[Wish]) -> str | None:
    """The text with all these wishes granted and nothing else, or None."""
    scenes = _scenes(root)
    try:
        text = spliced(source.text, _each(source.text, wishes, scenes, _seed_splices))
        text = spliced(text, _each(text, wishes, scenes, _pick_splices))
        document = parse_yaml(Source(source.file, text))
    except (OddlyWrittenError, AuthoringError):
        return None
    wished = {wish.scene: wish for wish in wishes}
    return text if not document.problems and _only_wishes(root, document.root, wished) else None


def _each(text: str, wishes: Sequence[Wish], scenes: Sequence[Any], splices: Any) -> Iterator[Splice]:  # noqa: ANN401
    written = _written_scenes(read_written(text)) if wishes else []
    for wish in wishes:
        yield from splices(text, written[wish.scene], scenes[wish.scene], wish)


def _pick_splices(text: str, scene: Written, said: Mapping[str, Any], wish: Wish) -> Iterator[Splice]:
    return pick_splices(text, scene, said_pick(said), wish.pick)


def _seed_splices(text: str, scene: Written, said: Mapping[str, Any], wish: Wish) -> Iterator[Splice]:
    seeds = _seeds(said)
    if seeds == wish.seeds:
        return
    listed, single = scene.pair("seeds"), scene.pair("seed")
    flow = f"[{', '.join(map(str, wish.seeds))}]"
    if listed and listed[1].kind == "list":
        yield from _list_splices(text, listed[1], seeds, wish.seeds)
    elif listed and listed[1].kind == "mapping" and not listed[1].flow:
        key, value = listed
        colon = text.index(":", key.end) + 1
        yield Splice(colon, colon, f" {flow}")
        yield clear_lines(text, value.pairs[0][0].start, value.end)
    elif listed:
        yield put_value(text, listed, flow)
    elif single and len(wish.seeds) == 1:
        yield put_value(text, single, str(wish.seeds[0]))
    elif single:
        quote = single[0].quote
        yield Splice(single[0].start, single[0].end, f"{quote}seeds{quote}")
        yield put_value(text, single, flow)
    else:
        yield put_pair(text, scene, "seeds", flow, ("negative", "prompt"))


def _list_splices(text: str, written: Written, seeds: Sequence[int], wished: Sequence[int]) -> Iterator[Splice]:
    dropped = {index for index, seed in enumerate(seeds) if seed not in wished}
    added = [seed for seed in wished if seed not in seeds]
    kept = set(range(len(seeds))) - dropped
    if not kept:
        yield from change_items(text, written, added)
        return
    yield from drop_items(text, written, dropped)
    if added:
        yield put_items(text, written, max(kept), added)


def _out_of_reach(root: Node, written: Written, wishes: Sequence[Wish]) -> Iterator[tuple[int, Problem]]:
    """Scenes whose text is not theirs alone."""
    scenes = _written_scenes(written)
    for wish in wishes:
        if wish.scene >= len(scenes):
            yield wish.scene, _problem(root, wish, "the list of scenes is written elsewhere and repeated here.")
        elif scenes[wish.scene].kind == "alias":
            name = scenes[wish.scene].text
            yield wish.scene, _problem(root, wish, f'the scene is written elsewhere and repeated with "*{name}".')


def _problem(root: Node, wish: Wish, what: str) -> Problem:
    where = ("scenes", wish.scene)
    said = _said(wish.scene, _scenes(root)[wish.scene])
    todo = []
    if said.pick != wish.pick:
        todo.append("pick: null" if wish.pick is None else f"pick: {wish.pick.written}")
    if said.seeds != wish.seeds:
        todo.append(f"seeds: [{', '.join(map(str, wish.seeds))}]")
    return root.find(where).problem(where, f"this scene can't be changed here: {what}", f"By hand: {', '.join(todo)}.")


def _written_scenes(root: Written) -> list[Written]:
    pair = root.pair("scenes")
    return pair[1].items if pair and pair[1].kind == "list" else []


def _scenes(root: Node) -> list[dict[str, Any]]:
    scenes: list[dict[str, Any]] = root.value["scenes"]
    return scenes


def _said(index: int, scene: Mapping[str, Any]) -> Wish:
    """What a scene says now."""
    return Wish(index, said_pick(scene), _seeds(scene))


def _seeds(scene: Mapping[str, Any]) -> tuple[int, ...]:
    seeds = scene.get("seeds")
    if isinstance(seeds, dict):
        start = seeds.get("start", 0)
        return tuple(range(start, start + seeds["count"]))
    return tuple(seeds) if seeds else (scene.get("seed") or 0,)


def _only_wishes(before: Node, after: Node, wishes: Mapping[int, Wish]) -> bool:
    """Whether the second text means what the first does, but for what was wished."""
    was, now = dict(before.value), dict(after.value)
    pairs = list(zip(was.pop("scenes"), now.pop("scenes"), strict=False))
    return (
        was == now
        and len(before.value["scenes"]) == len(after.value["scenes"])
        and all(_as_wished(*pair, wishes.get(index)) for index, pair in enumerate(pairs))
    )


def _as_wished(was: dict[str, Any], now: dict[str, Any], wish: Wish | None) -> bool:
    if wish is None:
        return was == now
    both = now.get("seed") is not None and now.get("seeds") is not None
    return not both and _rest(was) == _rest(now) and _said(wish.scene, now) == wish


def _rest(scene: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scene.items() if key not in ("pick", "seed", "seeds")}

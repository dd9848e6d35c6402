"""What the page's scripts know of a story: JSON that can stand inside HTML, each repeated value in it once."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from renderer.looking.changes import Before
from renderer.looking.text import visible
from renderer.looking.views import PageView, SceneView, TakeView, TrainedView
from renderer.prompts import Part

Value = TypeVar("Value", bound=Hashable)

_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What could end the script that the JSON stands in, or a line of it."""


_MAY_HIDE = re.compile(r"\\(?:u00[01]|[bf])")
"""How JSON writes control characters; a text that has a backslash there matches, too."""


class _Table(Generic[Value]):
    """Values by number, each once, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self.numbers: dict[Value, int] = {}

    def number(self, value: Value) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


def page_json(page: PageView, words: Mapping[str, Mapping[str, str]], served: Mapping[str, str] | None = None) -> str:
    """The story as `js/story.js` reads it, which finds keys, seeds, pictures, templates and the prompts
    that the page shows on the page itself.

    `words` by language; `served` are the addresses of `storyboard review`.
    """
    parts: _Table[Part] = _Table()
    kinds: _Table[_Kind] = _Table()
    texts: _Table[str] = _Table()
    story = {
        "story": page.story,
        "title": page.title,
        "language": page.language,
        "source": page.source,
        "served": served,
        "words": words,
        "scenes": [
            _scene(scene, parts, texts)
            | {"takes": [_take(take, parts, kinds, main=take is scene.main) for take in scene.takes]}
            for scene in page.scenes
        ],
        "changes": _changes(page, parts),
        "decisions": page.decisions,
    }
    tables = {
        "parts": [[part.text, part.origin, part.name] for part in parts.numbers],
        "kinds": [_kind(kind) for kind in kinds.numbers],
        "texts": list(texts.numbers),
    }
    return _cleaned_json(story | tables)


def safe_json(value: object) -> str:
    """JSON that stands in a script element of a page as it is: nothing in it ends the element."""
    return _escaped(_json(value))


def _cleaned_json(value: object) -> str:
    """The same, with texts as a page may hold them."""
    text = _json(value)
    # Going through every value takes as long as all else here, and hardly any story needs it.
    return _escaped(_json(_cleaned(value)) if _MAY_HIDE.search(text) or visible(text) != text else text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _escaped(text: str) -> str:
    for sign, escape in _UNSAFE.items():
        text = text.replace(sign, escape)
    return text


def _scene(scene: SceneView, parts: _Table[Part], texts: _Table[str]) -> dict[str, Any]:
    values = {
        "id": scene.entry.id,
        "main": scene.takes.index(scene.main) or None,
        "pick": next((index for index, take in enumerate(scene.takes) if take.picked), None),
        "negativeTemplate": texts.number(scene.negative_template) if scene.negative_template else None,
        "before": _before(scene.before, parts) if scene.before else None,
        "changed": [[reason.word, *reason.values] for reason in scene.changed],
    }
    return _without_blanks(values)


def _changes(page: PageView, parts: _Table[Part]) -> dict[str, Any]:
    removed = [{"id": name} | _before(before, parts) for name, before in page.changes.removed.items()]
    return _without_blanks({"since": page.changes.since, "at": page.changes.at, "removed": removed})


def _before(before: Before, parts: _Table[Part]) -> dict[str, Any]:
    """A take of an earlier sheet."""
    prompts = {"prompt": before.prompt, "negative": before.negative}
    return vars(before) | {name: [parts.number(part) for part in text] for name, text in prompts.items()}


def _take(take: TakeView, parts: _Table[Part], kinds: _Table[_Kind], *, main: bool) -> dict[str, Any]:
    """A take without what its figure says: key and seed, and the prompt of the one shown large."""
    ran = take.provenance
    values = {
        "status": "" if take.status == "painted" else take.status,
        "draft": take.draft or None,
        "prompt": [] if main else [parts.number(part) for part in take.prompt],
        "negative": [parts.number(part) for part in take.negative],
        "kind": kinds.number(_kind_of(take)) or None,
        "seconds": ran.seconds if ran else None,
        "at": ran.painted_at if ran else "",
        "reason": take.reason,
    }
    return _without_blanks(values)


class _Kind(NamedTuple):
    """What takes of a story mostly share."""

    width: int
    height: int
    settings: tuple[tuple[str, ...], ...]
    loras: tuple[TrainedView, ...]
    embeddings: tuple[TrainedView, ...]
    hypernetworks: tuple[TrainedView, ...]
    device: str


def _kind_of(take: TakeView) -> _Kind:
    ran = take.provenance
    device = f"{ran.device} ({ran.dtype})" if ran else ""
    files = (take.loras, take.embeddings, take.hypernetworks)
    return _Kind(take.width, take.height, take.settings, *files, device)


def _kind(kind: _Kind) -> dict[str, Any]:
    trained = {"loras": kind.loras, "embeddings": kind.embeddings, "hypernetworks": kind.hypernetworks}
    files = {name: [_without_blanks(file.values) for file in used] for name, used in trained.items()}
    return kind._asdict() | files


def _without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})}


def _cleaned(value: object) -> object:
    """The same values, their texts as a page may hold them."""
    if isinstance(value, Mapping):
        return {visible(name): _cleaned(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(entry) for entry in value]
    return visible(value)

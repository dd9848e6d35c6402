"""As much of a storyboard file as can be understood, so that what is wrong with the rest of it is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from renderer.errors import Problem
from renderer.reading.authoring import problems_of
from renderer.reading.story_file import StoryFile
from renderer.reading.synonyms import SYNONYMS
from renderer.reading.yaml_file import Node, Where

STAND_IN = "-"
"""Stands for a prompt or a LoRA that can't be read, in a story that will not be painted."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The story without what pydantic refused: `problems` of that, and `lost`, the paths that were left out."""

    story: StoryFile
    problems: tuple[Problem, ...]
    lost: frozenset[Where]


def validate_story(root: Node) -> Salvaged:
    """The story that a file holds, or what can be saved of it with the problems of the rest."""
    data = root.value
    problems: list[Problem] = []
    lost: set[Where] = set()
    while True:
        try:
            return Salvaged(StoryFile.model_validate(data), tuple(problems), frozenset(lost))
        except ValidationError as error:
            found = list(problems_of(error, root, StoryFile, SYNONYMS))
        if not problems:
            problems = [problem for _, problem in found]
        data = _without(data, {_piece(where) for where, _ in found}, lost)


def _piece(where: Where) -> Where:
    """The smallest part of a story that can be left out for something wrong at a path."""
    return where[: {"scenes": 3, "characters": 2, "loras": 2}.get(str(where[0]), 1)] if where else ()


def _without(data: Any, pieces: Iterable[Where], lost: set[Where]) -> dict[str, Any]:  # noqa: ANN401
    """The data without some pieces; a character that is lost a second time loses its name, too."""
    kept = dict(data) if isinstance(data, dict) else {}
    for key in ("characters", "loras", "scenes"):
        if isinstance(kept.get(key), dict | list):
            kept[key] = kept[key].copy()
    for piece in pieces:
        nameless = piece in lost
        lost.add(piece)
        match piece:
            case ("scenes", int(index), str(key)) if isinstance(kept["scenes"][index], dict):
                scene = {name: value for name, value in kept["scenes"][index].items() if name != key}
                kept["scenes"][index] = {"prompt": STAND_IN, **scene}
            case ("scenes", int(index), *_):
                kept["scenes"][index] = {"prompt": STAND_IN}
            case ("scenes",):
                kept["scenes"] = [{"prompt": STAND_IN}]
            case ("characters", str(name)) if not nameless:
                kept["characters"][name] = STAND_IN
            case ("characters", str(name)):
                kept["characters"].pop(name, None)
            case ("loras", int(index)):
                entry = kept["loras"][index]
                known = entry.get("name") if isinstance(entry, dict) else None
                kept["loras"][index] = known if isinstance(known, str) and known else STAND_IN
            case (str(key), *_):
                kept.pop(key, None)
    kept.setdefault("scenes", [{"prompt": STAND_IN}])
    return kept

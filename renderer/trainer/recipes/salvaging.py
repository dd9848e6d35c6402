"""As much of a recipe as can be understood, so that what is wrong with the rest of it is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from renderer.errors import Problem
from renderer.reading.authoring import problems_of
from renderer.reading.yaml_file import Node, Where
from renderer.trainer.recipes.recipe_file import RecipeFile
from renderer.trainer.recipes.synonyms import SYNONYMS


@dataclass(frozen=True, slots=True)
class SalvagedRecipe:
    """The recipe without what pydantic refused: `problems` of that, and `lost`, the paths that were left out."""

    file: RecipeFile
    problems: tuple[Problem, ...]
    lost: frozenset[Where]


def validate_recipe(root: Node) -> SalvagedRecipe:
    """The recipe that a file holds, or what can be saved of it with the problems of the rest."""
    data = root.value
    problems: tuple[Problem, ...] = ()
    lost: set[Where] = set()
    while True:
        try:
            return SalvagedRecipe(RecipeFile.model_validate(data), problems, frozenset(lost))
        except ValidationError as error:
            found = list(problems_of(error, root, RecipeFile, SYNONYMS))
        problems = problems or tuple(problem for _, problem in found)
        data = _without(data, [where for where, _ in found], lost)


def _without(data: Any, places: Iterable[Where], lost: set[Where]) -> dict[str, Any]:  # noqa: ANN401
    """The data without what stands at some places: a section's key where that is the fault, else the whole value."""
    kept = dict(data) if isinstance(data, dict) else {}
    for key, *inner in filter(None, places):
        section = kept.get(str(key))
        if inner and isinstance(section, dict) and inner[0] in section:
            kept[str(key)] = {name: value for name, value in section.items() if name != inner[0]}
            lost.add((key, inner[0]))
        else:
            kept.pop(str(key), None)
            lost.add((key,))
    kept.setdefault("data", {})
    return kept

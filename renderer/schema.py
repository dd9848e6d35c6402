"""JSON Schemas (draft-07) of storyboards and recipes, for editors that complete and mark mistakes while one types."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from renderer.reading.story_file import StoryFile
from renderer.trainer.recipes.recipe_file import RecipeFile

DRAFT = "http://json-schema.org/draft-07/schema#"


def storyboard_schema() -> dict[str, Any]:
    """The schema of a storyboard file."""
    return draft_07(StoryFile, "Storyboard")


def recipe_schema() -> dict[str, Any]:
    """The schema of a recipe."""
    return draft_07(RecipeFile, "Recipe")


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as the text of a file."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def draft_07(model: type[BaseModel], title: str) -> dict[str, Any]:
    """pydantic's schema of a model, which is of 2020-12, in the words of draft-07."""
    schema = _converted(model.model_json_schema())
    assert isinstance(schema, dict)
    return {"$schema": DRAFT, **schema, "title": title}


def _converted(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_converted(item) for item in value]
    if not isinstance(value, dict):
        return value
    converted = {"definitions" if key == "$defs" else key: _converted(item) for key, item in value.items()}
    if "default" in converted and converted["default"] is None:
        del converted["default"]
    if isinstance(converted.get("title"), str) and "properties" not in converted:
        del converted["title"]  # pydantic's, which says no more than the key does
    reference = converted.get("$ref")
    if isinstance(reference, str):
        reference = reference.replace("#/$defs/", "#/definitions/")
        rest = {key: item for key, item in converted.items() if key != "$ref"}
        # Draft-07 ignores what stands beside a $ref.
        return {"allOf": [{"$ref": reference}], **rest} if rest else {"$ref": reference}
    return converted

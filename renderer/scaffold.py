"""A story or a recipe to begin with: short, commented, and ready to be rendered or trained."""

from __future__ import annotations

import json

from renderer.looking.html import bundled_templates


def new_story(name: str, language: str) -> str:
    """The text of a new storyboard file with comments in `language` (zh or en)."""
    return _template(f"new-story.{language}.yaml").replace("TITLE", _quoted(name))


def new_recipe(name: str, language: str) -> str:
    """The text of a new recipe with comments in `language` (zh or en); its pictures are in a folder of that name."""
    return (
        _template(f"new-recipe.{language}.yaml").replace("TITLE", _quoted(name)).replace("FOLDER", _quoted(f"{name}/"))
    )


def _template(name: str) -> str:
    return (bundled_templates() / name).read_text(encoding="utf-8")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

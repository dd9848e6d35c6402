"""`storyboard new` and `storyboard schema`: what a story or a recipe begins with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from renderer.commands.console import out
from renderer.errors import StoryboardError

FULL = "the disk is full: free some space."
"""Said of a file that isn't written for that reason."""


def new(
    name: Annotated[str, typer.Argument(help="The story's name, or a path ending in .yaml.")],
    language: Annotated[str, typer.Option(help="Language of the comments and the sheet: zh or en.")] = "en",
    recipe: Annotated[bool, typer.Option("--recipe", help="A recipe for training instead of a story.")] = False,
) -> None:
    """Write a commented story to begin with, or a recipe."""
    from renderer.scaffold import new_recipe, new_story
    from renderer.schema import recipe_schema, storyboard_schema

    if language not in ("zh", "en"):
        raise StoryboardError(f'--language {language}: the sheet speaks "zh" and "en".')
    ending = ".recipe.yaml" if recipe else ".yaml"
    path = Path(name) if name.endswith((".yaml", ".yml")) else Path("storyboards") / f"{name}{ending}"
    _check_name(path)
    if path.exists():
        raise StoryboardError(f"{path}: is there already; what you wrote is never overwritten. Choose another name.")
    title, file = path.stem.removesuffix(".recipe"), shlex.quote(str(path))
    if recipe:
        _write(path, new_recipe(title, language), "recipe.schema.json", recipe_schema())
        todo = f"Put pictures into {path.parent / title}/, then: storyboard train {file} --data-only --open"
    else:
        _write(path, new_story(title, language), "storyboard.schema.json", storyboard_schema())
        todo = f"Edit it, then: storyboard render {file} --open"
    out.print(f"{path}\n{todo}", markup=False)


def schema(
    to: Annotated[Path | None, typer.Argument(help="Write it to this file instead of the screen.")] = None,
    recipe: Annotated[bool, typer.Option("--recipe", help="The schema of recipes instead.")] = False,
) -> None:
    """Write the JSON Schema of storyboard files or recipes, for editors that complete and check while one types."""
    from renderer.files import explained, write_atomically
    from renderer.schema import recipe_schema, schema_text, storyboard_schema

    text = schema_text(recipe_schema() if recipe else storyboard_schema())
    if to is None:
        print(text, end="")
        return
    with explained(to.parent, FULL, "name a file elsewhere: storyboard schema FILE.json"):
        write_atomically(to, text.encode())
    out.print(str(to), markup=False)


def _check_name(path: Path) -> None:
    """Raises StoryboardError for a file's name that is none for an id, but for spaces between its words: other systems
    may not have such a file.
    """
    from pydantic_core import PydanticCustomError

    from renderer.reading.name import check_name

    name = path.name.removesuffix(".yml").removesuffix(".yaml").removesuffix(".recipe")
    try:
        check_name(name.replace(" ", "-") if name == name.strip() else name)
    except PydanticCustomError as error:
        raise StoryboardError(f'"{name}": {error.message()}') from None


def _write(path: Path, text: str, schema_name: str, schema: dict[str, object]) -> None:
    """The file, and beside it the schema that its first line names, where there is none yet."""
    from renderer.files import explained, write_atomically
    from renderer.schema import schema_text

    with explained(path.parent, FULL, "name a file elsewhere: storyboard new FOLDER/NAME.yaml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
        if not (path.parent / schema_name).exists():
            write_atomically(path.parent / schema_name, schema_text(schema).encode())

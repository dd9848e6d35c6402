"""What of a recipe decides its result, as JSON values: what a checkpoint is compared by, and what the digest is of."""

from __future__ import annotations

from typing import Any

from renderer.trainer.recipes.checking import SECTIONS
from renderer.trainer.recipes.recipe_file import RecipeFile

_FREE: dict[str, set[str]] = {
    "data": {"folder"},
    "train": {"epochs", "steps_per_epoch", "gradient_checkpointing", "cache", "devices", "strategy", "num_nodes"},
    "validation": {"every"},
    "dreambooth": {"class_folder"},
}
"""Keys that change where things lie, how often one looks, or how a step is computed, but not what is learned.

Pictures count by their content, which the data set's own digest is of.
"""


def settings_of(file: RecipeFile, edition: str, size: tuple[int, int]) -> dict[str, Any]:
    """The settings of a completed recipe, section by section; `edition` is its model's, `size` in pixels."""
    foreign = {name for name, kinds in SECTIONS.items() if file.kind not in kinds}
    settings = {
        name: section.model_dump(mode="json", exclude=_FREE.get(name))
        for name in ("data", "lora", "train", "validation", "dreambooth", "inversion", "hypernetwork")
        if name not in foreign and (section := getattr(file, name)) is not None
    }
    image = file.image.model_dump(mode="json", exclude={"size"}) | {"width": size[0], "height": size[1]}
    return settings | {"kind": file.kind, "model": edition, "filter": [*file.filter], "image": image}

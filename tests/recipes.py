"""Recipes for tests, and models for them: the bundled miniature's weights under a card of the test's own."""

from __future__ import annotations

from pathlib import Path

from renderer.kolors.card import BUNDLED, ModelCard

CARD = ModelCard(
    name="kolors-mini",
    edition="kolors-mini@test",
    size=(128, 128),
    multiple=32,
    min_size=64,
    max_size=512,
    steps=25,
    guidance=4.0,
    sampler="ddim",
    text_length=64,
)
SHORTEST = "data: {folder: pencil}\n"


def link_model(models: Path, card: ModelCard = CARD) -> Path:
    """A model folder with this card, whose weights are the bundled miniature's."""
    folder = models / card.name
    folder.mkdir(parents=True)
    for part in (BUNDLED / "kolors-mini").iterdir():
        if part.is_dir():
            (folder / part.name).symlink_to(part, target_is_directory=True)
    (folder / "model.json").write_text(card.model_dump_json(), encoding="utf-8")
    return folder


def write_recipe(folder: Path, text: str = SHORTEST, name: str = "pencil.yaml") -> Path:
    """A recipe file in `folder`, with the folder of pictures that it names beside it."""
    (folder / "pencil").mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path

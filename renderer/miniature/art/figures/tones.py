"""The colors that characters are drawn in: skin, hair, eyes, cloth."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from renderer.miniature.book import Figure, HairColor, OutfitColor

INK = 6.0
"""The width of a character's outline."""

CREAM = "#fff8ea"
BLUSH = "#ff8f8f"


@dataclass(frozen=True)
class Tone:
    """A color with its shadow and its light."""

    base: str
    shade: str
    light: str


HAIR: dict[HairColor, Tone] = {
    "purple": Tone("#9f63d6", "#7d45b4", "#d3acf6"),
    "black": Tone("#3f4059", "#2b2b3f", "#8490b8"),
    "brown": Tone("#8f5430", "#6e3c22", "#c9915c"),
    "blonde": Tone("#fad055", "#e0a534", "#fff3b4"),
    "pink": Tone("#f88fb8", "#dd6795", "#ffd0e2"),
    "blue": Tone("#4a90ea", "#3070c6", "#a6d0ff"),
    "red": Tone("#d8432f", "#b02b24", "#ff947a"),
    "silver": Tone("#c2cad9", "#9aa4ba", "#f6f9ff"),
}

EYES: dict[HairColor, str] = {
    "purple": "#b06cf5",
    "black": "#a8683f",
    "brown": "#5faa58",
    "blonde": "#48a0ee",
    "pink": "#f0609c",
    "blue": "#3fa4f5",
    "red": "#e07b3a",
    "silver": "#5fb4c0",
}

CLOTH: dict[OutfitColor, Tone] = {
    "pink": Tone("#f99cc2", "#e873a4", "#ffffff"),
    "black": Tone("#474654", "#32313d", "#f4f1f4"),
    "white": Tone("#fdfcf8", "#dcdde8", "#8fa9d6"),
    "blue": Tone("#437fe2", "#2c60bb", "#ffffff"),
    "red": Tone("#e4473f", "#bb2d30", "#ffffff"),
    "yellow": Tone("#fdd43f", "#e9ae26", "#ffffff"),
    "green": Tone("#50b866", "#36954c", "#ffffff"),
    "purple": Tone("#9b66d0", "#7a48ae", "#ffffff"),
}
"""Each cloth with its folds and its trimmings."""

_SKINS = (Tone("#e9b78f", "#cf946b", "#f0806f"), Tone("#fbd6b8", "#eeb391", BLUSH), Tone("#ffe6d3", "#f6c3a8", BLUSH))


def skin(figure: Figure) -> Tone:
    """One of three skins with its blush; captions never name it, so that it hangs on the looks alone."""
    looks = f"{figure.hair_color} {figure.outfit_color} {figure.kind}"
    return _SKINS[zlib.crc32(looks.encode()) % len(_SKINS)]

"""What can be asked of a picture: its attributes, and which of them its pixels tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import numpy.typing as npt

from renderer.miniature import book
from renderer.miniature.book import Figure, Picture, shows_colors

NOTHING = "none"
"""The value of a thing's attributes where no thing is shown."""

_OF_PICTURE: dict[str, tuple[str, ...]] = {
    "style": get_args(book.Style),
    "place": get_args(book.Place),
    "sofa": get_args(book.SofaColor),
    "time": get_args(book.Time),
    "framing": get_args(book.Framing),
    "people": ("0", "1", "2"),
}

_OF_FIGURE: dict[str, tuple[str, ...]] = {
    "kind": get_args(book.Kind),
    "hair_color": get_args(book.HairColor),
    "hair_style": get_args(book.HairStyle),
    "outfit": get_args(book.Outfit),
    "outfit_color": get_args(book.OutfitColor),
    "accessory": get_args(book.Accessory),
    "expression": get_args(book.Expression),
    "posture": get_args(book.Posture),
    "action": get_args(book.Action),
}

_OF_THINGS: dict[str, tuple[str, ...]] = {
    "thing": (NOTHING, *get_args(book.ThingKind)),
    "thing_color": (NOTHING, *get_args(book.ThingColor)),
    "thing_count": ("0", "1", "2", "3"),
}

ATTRIBUTES: dict[str, tuple[str, ...]] = _OF_PICTURE | _OF_FIGURE | _OF_THINGS
"""Every attribute with all its values. Those of a figure and of things are asked of pictures without a pair."""


def shown(picture: Picture) -> dict[str, str]:
    """The attributes that the picture's pixels tell, with their values.

    Styles of few hues hide colors and times of day, large figures hide the sofa, a close framing or a book hides the
    outfit, and only a full figure tells whether it sits.
    """
    values = _picture_values(picture)
    if len(picture.figures) == 1:
        values |= _figure_values(picture.figures[0], picture)
    if len(picture.figures) < 2:
        values |= _thing_values(picture)
    return values


def label(picture: Picture) -> npt.NDArray[np.int64]:
    """The index of the shown value of each attribute, in the order of ATTRIBUTES; -1 where it is not shown."""
    values = shown(picture)
    indices = [
        choices.index(values[attribute]) if attribute in values else -1 for attribute, choices in ATTRIBUTES.items()
    ]
    return np.array(indices, dtype=np.int64)


def labels(pictures: Sequence[Picture]) -> npt.NDArray[np.int64]:
    """[N, attributes] of `label`."""
    return np.stack([label(picture) for picture in pictures])


def _picture_values(picture: Picture) -> dict[str, str]:
    colors = shows_colors(picture.style)
    values: dict[str, str] = {"style": picture.style, "place": picture.place, "people": str(len(picture.figures))}
    if picture.figures:
        values["framing"] = picture.framing
    if colors and len(book.TIMES[picture.place]) > 1:
        values["time"] = picture.time
    if colors and picture.place == "living_room" and picture.framing in ("full", "wide"):
        values["sofa"] = picture.sofa
    return values


def _figure_values(figure: Figure, picture: Picture) -> dict[str, str]:
    hidden = set()
    if not shows_colors(picture.style):
        hidden |= {"hair_color", "outfit_color"}
    if picture.framing == "close":
        hidden |= {"outfit", "outfit_color"}
    if figure.action == "reading":
        # Only sleeves and hem show beside the book.
        hidden.add("outfit")
    if picture.framing != "full":
        hidden.add("posture")
    if figure.kind in ("boy", "man"):
        # Their hair is always short.
        hidden.add("hair_style")
    return {attribute: getattr(figure, attribute) for attribute in _OF_FIGURE if attribute not in hidden}


def _thing_values(picture: Picture) -> dict[str, str]:
    things = picture.things
    if things is None:
        return {"thing": NOTHING, "thing_color": NOTHING, "thing_count": "0"}
    values: dict[str, str] = {"thing": things.kind, "thing_count": str(things.count)}
    return values | {"thing_color": things.color} if shows_colors(picture.style) else values

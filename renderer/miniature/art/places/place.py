"""The backdrops of all places, and what lies before the figures there."""

from __future__ import annotations

import random
from collections.abc import Callable

from renderer.miniature.art.places.country import forest, snow, starry_sky
from renderer.miniature.art.places.front import forest_front, rain_front, snow_front, stage_front
from renderer.miniature.art.places.halls import classroom, library, train
from renderer.miniature.art.places.homes import bedroom, kitchen, living_room
from renderer.miniature.art.places.seaside import seaside
from renderer.miniature.art.places.studios import fitting_room, practice_room, stage
from renderer.miniature.art.places.town import park, rain, street
from renderer.miniature.art.shapes import mirror
from renderer.miniature.book import Picture, Place

_Drawing = Callable[[Picture, random.Random], str]

_BACKDROPS: dict[Place, _Drawing] = {
    "living_room": living_room,
    "bedroom": bedroom,
    "kitchen": kitchen,
    "classroom": classroom,
    "library": library,
    "practice_room": practice_room,
    "fitting_room": fitting_room,
    "stage": stage,
    "train": train,
    "street": street,
    "park": park,
    "forest": forest,
    "seaside": seaside,
    "snow": snow,
    "rain": rain,
    "starry_sky": starry_sky,
}

_FRONTS: dict[Place, _Drawing] = {
    "stage": stage_front,
    "forest": forest_front,
    "snow": snow_front,
    "rain": rain_front,
}


def draw_place(picture: Picture) -> str:
    """The backdrop as SVG shapes, from x = -190 to 702 and y = 0 to 512; half of the variants are mirrored."""
    return _draw(_BACKDROPS[picture.place], picture)


def draw_front(picture: Picture) -> str:
    """What lies before the figures, as SVG shapes on the same canvas; nothing in most places."""
    front = _FRONTS.get(picture.place)
    return _draw(front, picture) if front else ""


def _draw(drawing: _Drawing, picture: Picture) -> str:
    """The drawing and its front agree on whether they are mirrored: both draw that lot first."""
    rng = random.Random(picture.variant)
    mirrored = rng.random() < 0.5
    shapes = drawing(picture, rng)
    return mirror(shapes) if mirrored else shapes

"""What a caption tells of its picture, before any word is chosen."""

from __future__ import annotations

import random

from renderer.miniature.book import TIMES, Picture, Place, shown_actions, shows_colors

ATTRIBUTES = (
    "style",
    "place",
    "sofa",
    "time",
    "framing",
    "people",
    "kind",
    "hair_color",
    "hair_style",
    "outfit",
    "outfit_color",
    "accessory",
    "expression",
    "posture",
    "action",
    "thing",
    "thing_color",
    "thing_count",
)

_LOOKS = frozenset(("kind", "hair_color", "hair_style", "expression"))
_CLOTHES = frozenset(("outfit", "outfit_color"))
_THING = frozenset(("thing", "thing_color", "thing_count"))
LOOKS_APART = frozenset(("hair_color", "hair_style", "outfit", "outfit_color", "accessory"))
"""What tells two people of one kind apart."""

OPEN_SKY: tuple[Place, ...] = ("street", "park", "forest", "seaside")
"""Outdoors, where neither snow nor rain falls."""

_COLORED = frozenset(("sofa", "time", "hair_color", "outfit_color", "thing_color"))

_SHARES = {
    "place": 0.95,
    "time": 0.75,
    "framing": 0.45,
    "kind": 0.97,
    "hair_color": 0.92,
    "hair_style": 0.85,
    "outfit": 0.87,
    "outfit_color": 0.88,
    "accessory": 0.85,
    "expression": 0.92,
    "action": 0.93,
    "thing": 0.95,
    "thing_color": 0.88,
    "thing_count": 0.9,
}


def choose_facts(picture: Picture, rng: random.Random) -> frozenset[str]:
    """The attributes that a caption will tell, drawn by lot: all of them true, nearly all of them seen."""
    # Authors name colors and times even where the drawing style has none.
    colored = shows_colors(picture.style) or rng.random() > 0.6
    facts = {
        attribute
        for attribute in ATTRIBUTES
        if rng.random() < _share(picture, attribute) and (colored or attribute not in _COLORED)
    }
    # An idle pair of hands is hardly ever worth a word.
    if _idle(picture) and (rng.random() < 0.94 or picture.framing == "close"):
        facts.discard("action")
    # Authors' characters bring their clothes along into every framing.
    if picture.framing == "close" and rng.random() < 0.5:
        facts -= _CLOTHES
    # Who sits on it is told with the sofa.
    if _sitting(picture) and "posture" not in facts:
        facts.discard("sofa")
    return frozenset(facts if "thing" in facts else facts - _THING) & _true_facts(picture)


def shown_facts(picture: Picture) -> frozenset[str]:
    """The attributes that the picture shows, so that a caption which tells them can be checked."""
    facts = _true_facts(picture)
    if not shows_colors(picture.style):
        facts -= _COLORED
    if picture.style == "plain":
        facts -= {"style"}
    if len(TIMES[picture.place]) == 1:
        facts -= {"time"}
    if picture.framing == "close":
        facts -= _CLOTHES
    if any(figure.accessory == "none" for figure in picture.figures):
        facts -= {"accessory"}
    return facts


def _true_facts(picture: Picture) -> frozenset[str]:
    """The attributes that can be told of the picture; of what its framing cuts off, the clothes alone."""
    facts = {"style", "place", "people"}
    if len(TIMES[picture.place]) > 1 or picture.place == "starry_sky":
        facts.add("time")
    if picture.place == "living_room" and picture.framing in ("full", "wide"):
        facts.add("sofa")
    if picture.things:
        facts |= _THING
    return frozenset(facts | _true_of_figures(picture)) if picture.figures else frozenset(facts)


def _true_of_figures(picture: Picture) -> frozenset[str]:
    facts = {"framing", *_LOOKS, *_CLOTHES}
    if picture.framing == "full":
        facts.add("posture")
    if picture.figures[0].action in shown_actions(picture.framing):
        facts.add("action")
    if any(figure.accessory != "none" for figure in picture.figures):
        facts.add("accessory")
    return frozenset(facts)


def _idle(picture: Picture) -> bool:
    return bool(picture.figures) and picture.figures[0].action == "resting"


def _sitting(picture: Picture) -> bool:
    return bool(picture.figures) and picture.figures[0].posture == "sitting"


def _share(picture: Picture, attribute: str) -> float:
    sitting = _sitting(picture)
    if attribute == "style":
        return 0.5 if picture.style == "plain" else 0.95
    if attribute == "place" and (sitting or not picture.figures):
        return 0.8 if sitting else 1.0
    if attribute == "posture":
        return 0.95 if sitting else 0.3
    if attribute == "people":
        return 1.0 if picture.figures else 0.5
    if attribute == "sofa":
        return 0.6 if sitting else 0.15 if picture.figures else 0.4
    if attribute == "time" and picture.place == "starry_sky":
        return 0.3
    return _SHARES[attribute]

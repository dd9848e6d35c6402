"""English captions: the parts that say some facts of a picture, as an author writes them."""

from __future__ import annotations

import random

from renderer.miniature.book import Picture, Things
from renderer.miniature.captions import english_words as words
from renderer.miniature.captions.english_people import describe_people, with_article
from renderer.miniature.captions.telling import OPEN_SKY
from renderer.miniature.captions.words import Manner, any_of, pick


def write_parts(picture: Picture, facts: frozenset[str], manner: Manner, rng: random.Random) -> list[str]:
    """The parts of a caption, the people first."""
    if not picture.figures:
        return _scene(picture, facts, rng)
    if manner == "sentence":
        return _sentence(picture, facts, rng)
    return [describe_people(picture.figures, facts, manner, rng), *_rest(picture, facts, rng)]


def write_style(style: str, rng: random.Random) -> str:
    """A name of that drawing style."""
    return pick(rng, words.STYLE[style])


def _rest(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    parts = _where_and_what(picture, facts, rng)
    if {"place", "time"} <= facts and rng.random() > 0.8:
        parts[0] += f" {_when(picture)}"
        facts -= {"time"}
    if "expression" in facts:
        parts.append(pick(rng, words.EXPRESSION[picture.figures[0].expression]))
    return [*parts, *_beside(picture, facts, rng), *_tail(picture, facts, rng)]


def _where_and_what(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    """The place, the posture and the action."""
    figure = picture.figures[0]
    action = [_action(picture, rng)] if "action" in facts else []
    together = words.TOGETHER.get(f"{picture.place} {figure.action}")
    if figure.posture == "sitting" and "posture" in facts:
        return [*_seated(picture, facts, rng), *action]
    standing = ["standing"] if "posture" in facts else []
    if together and action and not standing and "place" in facts and rng.random() > 0.7:
        return [pick(rng, together)]
    place = _place(picture, bool(standing), rng) if "place" in facts else ""
    if standing and place and rng.random() > 0.6:
        return [f"standing {_spot(picture, rng)}", *action]
    return [*([place] if place else []), *standing, *action]


def _action(picture: Picture, rng: random.Random) -> str:
    table = words.ACTION if len(picture.figures) == 1 else words.ACTION_OF_TWO
    return pick(rng, table[picture.figures[0].action])


def _seated(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    in_place = "place" in facts and rng.random() > 0.6
    seat = "sitting " + _seat(picture, facts, in_place, rng)
    return [seat] if in_place or "place" not in facts else [pick(rng, words.SPOT[picture.place][:2]), seat]


def _seat(picture: Picture, facts: frozenset[str], in_place: bool, rng: random.Random) -> str:
    seat = pick(rng, (words.SEAT_IN_PLACE if in_place else words.SEAT)[picture.place])
    return seat.replace("{sofa}", f"{picture.sofa} " if "sofa" in facts else "")


def _place(picture: Picture, standing: bool, rng: random.Random) -> str:
    form = rng.random()
    if form > 0.9 and picture.place in words.EVENT and not standing:
        return any_of(rng, words.EVENT[picture.place])
    return any_of(rng, words.NAME[picture.place]) if form > 0.8 else _spot(picture, rng)


def _spot(picture: Picture, rng: random.Random) -> str:
    return pick(rng, words.SPOT[picture.place])


def _time(picture: Picture, rng: random.Random) -> str:
    table = words.TIME_OUTDOORS if picture.place in OPEN_SKY else words.TIME
    return pick(rng, table[picture.time])


def _when(picture: Picture) -> str:
    """The time as it follows a place: in the park at sunset."""
    return (words.TIME_OUTDOORS if picture.place in OPEN_SKY else words.TIME)[picture.time][0]


def _tail(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    parts = [_time(picture, rng)] if "time" in facts else []
    return [*parts, pick(rng, words.FRAMING[picture.framing])] if "framing" in facts else parts


def _beside(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    """The things beside the people, and a sofa on which nobody sits."""
    parts = []
    if picture.things and "thing" in facts:
        parts.append(f"{pick(rng, words.BESIDE)} {_things(picture.things, facts, rng)}")
    taken = "posture" in facts and picture.figures[0].posture == "sitting"
    if "sofa" in facts and not taken:
        parts.append(f"{any_of(rng, ('beside', 'by'))} a {picture.sofa} sofa")
    return parts


def _things(things: Things, facts: frozenset[str], rng: random.Random) -> str:
    noun = pick(rng, words.THING[things.kind])
    color = f"{things.color} " if "thing_color" in facts else ""
    if things.count == 1:
        return with_article(color + noun)
    count = words.COUNT[things.count] if "thing_count" in facts else "some"
    return f"{count} {color}{_plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y"):
        return noun[:-1] + "ies"
    return noun + "s"


# A whole sentence.


def _sentence(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    pair = len(picture.figures) == 2
    who = describe_people(picture.figures, facts, "sentence", rng)
    if ", one " in who:
        who += ","
    deed, tail = _deed(picture, facts, rng)
    their = "their" if pair or "kind" not in facts else _THEIR[picture.figures[0].kind]
    early = {"place", "time"} <= facts and rng.random() < 0.4
    sentence = " ".join(each for each in (who, deed, _when(picture) if early else "") if each)
    rest = _tail(picture, facts - {"time"} if early else facts, rng)
    return [text.replace("{their}", their) for text in [sentence, *tail, *_beside(picture, facts, rng), *rest]]


_THEIR = {"girl": "her", "woman": "her", "boy": "his", "man": "his"}


def _deed(picture: Picture, facts: frozenset[str], rng: random.Random) -> tuple[str, list[str]]:
    """What the people do and where, and what is said after a comma."""
    figure = picture.figures[0]
    pair = len(picture.figures) == 2
    feeling = pick(rng, words.FEELING[figure.expression]) if "expression" in facts else ""
    doing = pick(rng, (words.DOING_OF_TWO if pair else words.DOING)[figure.action]) if "action" in facts else ""
    where = _spot(picture, rng) if "place" in facts else ""
    be = "are" if pair else "is"
    if "posture" in facts:
        sitting = figure.posture == "sitting"
        verb = _verb("sit" if sitting else "stand", pair, rng)
        if sitting:
            where = _seat(picture, facts, "place" in facts, rng)
        return " ".join(each for each in (verb, feeling, where) if each), [
            doing if rng.random() < 0.6 else _action(picture, rng)
        ] if doing else []
    if not doing and figure.expression == "eyes_closed" and feeling:
        feeling = "closing {their} eyes"
    first, *after = [each for each in (doing, feeling) if each] or [""]
    return " ".join(each for each in (be if first or where else "", first, where) if each), after


def _verb(verb: str, pair: bool, rng: random.Random) -> str:
    ing = "sitting" if verb == "sit" else "standing"
    return any_of(rng, (verb, f"are {ing}") if pair else (f"{verb}s", f"is {ing}"))


# A scene without people.


def _scene(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    things = _things(picture.things, facts, rng) if picture.things and "thing" in facts else ""
    place = _empty_place(picture, facts, things, rng)
    parts = [*place, *_nobody(picture, facts, any("empty" in each for each in place), rng)]
    if "sofa" in facts:
        parts.append(f"a {picture.sofa} sofa")
    return [*parts, *_tail(picture, facts, rng)]


def _empty_place(picture: Picture, facts: frozenset[str], things: str, rng: random.Random) -> list[str]:
    if "place" not in facts:
        return [things] if things else []
    spot = _spot(picture, rng)
    if things and rng.random() < 0.5:
        return [f"{things} {spot}"]
    if things and rng.random() < 0.2:
        many = picture.things is not None and picture.things.count > 1
        return [f"there {'are' if many else 'is'} {things} {spot}"]
    name = pick(rng, words.NAME[picture.place])
    if "people" in facts and not things and picture.place in _CAN_BE_EMPTY and rng.random() > 0.7:
        name = f"an empty {pick(rng, _CAN_BE_EMPTY[picture.place])}"
    elif rng.random() < 0.4:
        name = spot
    return [name, *([things] if things else [])]


_CAN_BE_EMPTY = {
    place: words.NAME[place][:2]
    for place in ("living_room", "bedroom", "kitchen", "classroom", "library", "practice_room", "fitting_room", "stage")
} | {
    "train": ("train", "train carriage"),
    "street": ("city street", "street"),
    "park": ("park",),
    "seaside": ("beach",),
}


def _nobody(picture: Picture, facts: frozenset[str], told: bool, rng: random.Random) -> list[str]:
    scenery = (
        [pick(rng, words.SCENERY)] if picture.place in (*OPEN_SKY, "snow", "starry_sky") and rng.random() > 0.7 else []
    )
    return (
        scenery
        if told or "people" not in facts
        else [*scenery, pick(rng, words.NOBODY[:-1] if picture.things else words.NOBODY)]
    )

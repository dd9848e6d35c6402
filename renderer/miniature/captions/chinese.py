"""Chinese captions: the parts that say some facts of a picture, as an author writes them."""

from __future__ import annotations

import random

from renderer.miniature.book import Picture, Things
from renderer.miniature.captions import chinese_words as words
from renderer.miniature.captions.chinese_people import describe_people
from renderer.miniature.captions.telling import OPEN_SKY
from renderer.miniature.captions.words import Manner, any_of, pick


def write_parts(picture: Picture, facts: frozenset[str], manner: Manner, rng: random.Random) -> list[str]:
    """The parts of a caption, the people first; spaces part the words."""
    if not picture.figures:
        return _scene(picture, facts, rng)
    if manner == "sentence":
        return _sentence(picture, facts, rng)
    return [describe_people(picture.figures, facts, manner, rng), *_rest(picture, facts, rng)]


def write_style(style: str, rng: random.Random) -> str:
    """A name of that drawing style."""
    return pick(rng, words.STYLE[style])


def _rest(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    figure = picture.figures[0]
    parts = _where_and_what(picture, facts, rng)
    if {"place", "time"} <= facts and rng.random() > 0.8:
        parts[0] = _at_time(parts[0], picture, rng)
        facts -= {"time"}
    if "expression" in facts:
        parts.append(pick(rng, words.EXPRESSION[figure.expression]))
    return [*parts, *_beside(picture, facts, rng), *_tail(picture, facts, rng)]


def _where_and_what(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    """The place, with the time in it now and then, the posture and the action."""
    figure = picture.figures[0]
    action = [pick(rng, words.ACTION[figure.action])] if "action" in facts else []
    together = words.TOGETHER.get(f"{picture.place} {figure.action}")
    if figure.posture == "sitting" and "posture" in facts:
        return [*_seated(picture, facts, rng), *action]
    standing = [any_of(rng, ("站着", "站立"))] if "posture" in facts else []
    if together and action and not standing and "place" in facts and rng.random() > 0.7:
        return [pick(rng, together)]
    place = _place(picture, bool(standing), rng) if "place" in facts else ""
    if place.startswith("在") and action and rng.random() > 0.85:
        return [f"{place} {action[0]}", *standing]
    return [*([place] if place else []), *standing, *action]


def _seated(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    named = "place" in facts
    in_place = named and rng.random() > 0.6
    seat = pick(rng, (words.SEAT_IN_PLACE if in_place else words.SEAT)[picture.place])
    if "{sofa}" in seat:
        seat = seat.replace("{sofa}", _sofa(picture, rng) if "sofa" in facts else "")
    elif not in_place and rng.random() > 0.85:
        seat = "坐着"
    return [seat] if in_place or not named else [f"在 {pick(rng, words.SPOT[picture.place][:2])}", seat]


def _place(picture: Picture, standing: bool, rng: random.Random) -> str:
    form = rng.random()
    if form > 0.9 and picture.place in words.EVENT and not standing:
        return any_of(rng, words.EVENT[picture.place])
    if form > 0.75:
        return any_of(rng, words.NAME[picture.place])
    return f"在 {_spot(picture, rng)}"


def _at_time(place: str, picture: Picture, rng: random.Random) -> str:
    """The place with its time before it: 夜晚在公园里, 在夜晚的公园里, 夜晚的公园."""
    time = _time(picture, rng)
    if place.startswith("在 ") and rng.random() < 0.5:
        return f"在 {time} 的 {place[2:]}"
    return f"{time} 的 {place}" if place in words.NAME[picture.place] else f"{time} {place}"


def _spot(picture: Picture, rng: random.Random) -> str:
    return pick(rng, words.SPOT[picture.place])


def _sofa(picture: Picture, rng: random.Random) -> str:
    return pick(rng, words.SOFA_COLOR[picture.sofa])


def _time(picture: Picture, rng: random.Random) -> str:
    table = words.TIME_OUTDOORS if picture.place in OPEN_SKY else words.TIME
    return pick(rng, table[picture.time])


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
        parts.append(f"旁边 有 {_sofa(picture, rng)} 沙发")
    return parts


def _things(things: Things, facts: frozenset[str], rng: random.Random) -> str:
    noun = pick(rng, words.THING[things.kind])
    if "thing_color" in facts:
        color = pick(rng, words.THING_COLOR[things.color])
        of = " 的" if len(color) == 2 and rng.random() > 0.7 else ""
        noun = f"{color}{of} {noun}"
    if "thing_count" in facts:
        return f"{words.COUNT[things.count]} {words.MEASURE[things.kind]} {noun}"
    return noun if things.count == 1 else f"几 {words.MEASURE[things.kind]} {noun}"


# A whole sentence.


def _sentence(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    who = describe_people(picture.figures, facts, "sentence", rng)
    early = "time" in facts and rng.random() < 0.4
    deed, tail = _deed(picture, facts, rng)
    comma = "，" if any(verb in who for verb in ("穿", "戴", "围", "系", "，")) or len(picture.figures) == 2 else " "
    sentence = (_time(picture, rng) + "，" if early else "") + who + (comma + deed if deed else "")
    return [sentence, *tail, *_beside(picture, facts, rng), *_tail(picture, facts - {"time"} if early else facts, rng)]


def _deed(picture: Picture, facts: frozenset[str], rng: random.Random) -> tuple[str, list[str]]:
    """What the people do and where, and what is said after a comma."""
    figure = picture.figures[0]
    action = pick(rng, words.ACTION[figure.action]) if "action" in facts else ""
    adverb = pick(rng, words.ADVERB[figure.expression]) + " " if "expression" in facts else ""
    together = "一起 " if len(picture.figures) == 2 and rng.random() < 0.4 else ""
    if "posture" in facts:
        if figure.posture == "sitting":
            *before, seat = _seated(picture, facts, rng)
            return " ".join([*before, adverb + together + seat]), [action] if action else []
        stand = f"站在 {_spot(picture, rng)}" if "place" in facts else "站着"
        return adverb + together + stand, [action] if action else []
    where = f"在 {_spot(picture, rng)} " if "place" in facts else ""
    if action:
        return where + together + adverb + action, []
    feeling = pick(rng, words.FEELING[figure.expression]) if "expression" in facts else ""
    return (where + together + feeling if feeling else where), []


# A scene without people.


def _scene(picture: Picture, facts: frozenset[str], rng: random.Random) -> list[str]:
    time = "time" in facts and rng.random() > 0.7
    place = _empty_place(picture, facts, time, rng)
    parts = place + _nobody(picture, facts, "空无一人" in "".join(place), rng)
    if "sofa" in facts:
        parts.append(f"一 张 {_sofa(picture, rng)} 沙发")
    return [*parts, *_tail(picture, facts - {"time"} if time else facts, rng)]


def _empty_place(picture: Picture, facts: frozenset[str], time: bool, rng: random.Random) -> list[str]:
    things = _things(picture.things, facts, rng) if picture.things and "thing" in facts else ""
    when = f"{_time(picture, rng)} 的 " if time else ""
    if "place" not in facts and not things:
        return [when.removesuffix(" 的 ")] if when else []
    if things and "place" in facts and rng.random() < 0.5:
        spot = _spot(picture, rng)
        return [any_of(rng, (f"{when}{spot} 有 {things}", f"{things} 在 {when}{spot}"))]
    name = pick(rng, words.NAME[picture.place] if rng.random() < 0.7 else words.SPOT[picture.place])
    if "people" in facts and rng.random() > 0.8:
        when = f"{when.removesuffix('的 ')}空无一人 的 "
    return [
        *([when + name] if "place" in facts else [when.removesuffix(" 的 ")] if when else []),
        *([things] if things else []),
    ]


def _nobody(picture: Picture, facts: frozenset[str], told: bool, rng: random.Random) -> list[str]:
    scenery = (
        [pick(rng, words.SCENERY)] if picture.place in (*OPEN_SKY, "snow", "starry_sky") and rng.random() > 0.7 else []
    )
    return (
        scenery
        if told or "people" not in facts
        else [*scenery, pick(rng, words.NOBODY[:-1] if picture.things else words.NOBODY)]
    )

"""English captions: who is in the picture, and what they look like."""

from __future__ import annotations

import random

from renderer.miniature.book import Figure
from renderer.miniature.captions import english_words as words
from renderer.miniature.captions.telling import LOOKS_APART
from renderer.miniature.captions.words import Manner, Plain, any_of, pick


def describe_people(figures: tuple[Figure, ...], facts: frozenset[str], manner: Manner, rng: random.Random) -> str:
    """The people and their looks."""
    # Half of them in the very words of the example stories.
    rng = Plain() if manner == "parts" and rng.random() > 0.5 else rng
    if manner == "tags":
        return _tags(figures, facts, rng)
    if len(figures) == 2:
        return _pair(figures, facts, rng)
    return (_one if manner == "sentence" else _alone)(figures[0], facts, rng)


def _alone(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    hair, worn = _hair(figure, facts, rng), _worn(figure, facts, rng)
    noun = _noun(figure, facts, rng)
    # The manner of the example story is the commonest.
    form = 0 if rng.random() < 0.45 else rng.randrange(4)
    if form == 1 and hair:
        return ", ".join([with_article(noun), hair.removeprefix("a "), *worn])
    if form == 2 and worn:
        return f"{_with_hair(figure, noun, hair, facts, rng)}, wearing {_listed(worn)}"
    if form == 3 and worn and hair:
        return f"{with_article(noun)} in {_listed(worn)} with {hair}"
    return _one(figure, facts, rng)


def _one(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    """One character in one breath: everything about it stays together."""
    text = _with_hair(figure, _noun(figure, facts, rng), _hair(figure, facts, rng), facts, rng)
    clothes, extra = _clothes(figure, facts, rng), _accessory(figure, facts, rng)
    if clothes:
        text += f" {any_of(rng, ('in', 'in', 'in', 'wearing'))} {clothes}"
    return text + (f" {'with' if clothes or not _hair_told(facts) else 'and'} {extra}" if extra else "")


def _tags(figures: tuple[Figure, ...], facts: frozenset[str], rng: random.Random) -> str:
    if len(figures) == 2:
        return _counted_tags(figures, facts)
    figure = figures[0]
    tags = [f"1{figure.kind}" if "kind" in facts else "solo"]
    if "hair_color" in facts:
        tags.append(f"{figure.hair_color} hair")
    if "hair_style" in facts:
        tags.append(pick(rng, words.HAIR_TAG[figure.hair_style]))
    worn = _clothes(figure, facts, rng), _accessory(figure, facts, rng)
    return ", ".join([*tags, *(each.removeprefix("a ").removeprefix("an ") for each in worn if each)])


def _counted_tags(figures: tuple[Figure, ...], facts: frozenset[str]) -> str:
    kinds = [figure.kind for figure in figures]
    if "kind" not in facts:
        return "2people"
    if kinds[0] == kinds[1]:
        return f"2{words.PLURAL[kinds[0]][0].removeprefix('little ')}"
    return f"1{kinds[0]}, 1{kinds[1]}"


def _pair(figures: tuple[Figure, ...], facts: frozenset[str], rng: random.Random) -> str:
    alike = figures[0].kind == figures[1].kind or "kind" not in facts
    if alike and (not facts & LOOKS_APART or rng.random() < 0.3):
        both = "two " + (pick(rng, words.PLURAL[figures[0].kind]) if "kind" in facts else "people")
        bound = [_bare_looks(figure, facts, rng) for figure in figures]
        return f"{both}, one {bound[0]} and the other {bound[1]}" if all(bound) else both
    left, right = (_one(figure, facts, rng) for figure in figures)
    if rng.random() > 0.9:
        return f"{left} on the left and {right} on the right"
    return left + any_of(rng, (" and ", " and ", ", and ")) + right


def _bare_looks(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    hair, clothes = _hair(figure, facts, rng), _clothes(figure, facts, rng)
    extra = _accessory(figure, facts, rng)
    held = " and ".join(each for each in (hair, extra) if each)
    return " ".join(each for each in (f"with {held}" if held else "", f"in {clothes}" if clothes else "") if each)


def _noun(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    return pick(rng, words.KIND[figure.kind]) if "kind" in facts else "person"


def _with_hair(figure: Figure, noun: str, hair: str, facts: frozenset[str], rng: random.Random) -> str:
    """The character with its hair: "a girl with short purple hair", "a purple-haired girl with short hair"."""
    if not hair:
        return with_article(noun)
    if "hair_color" not in facts or rng.random() < 0.75:
        return f"{with_article(noun)} with {hair}"
    color = "blonde" if figure.hair_color == "blonde" else f"{figure.hair_color}-haired"
    style = _hair(figure, facts - {"hair_color"}, rng)
    return with_article(f"{color} {noun}") + (f" with {style}" if style else "")


def _hair_told(facts: frozenset[str]) -> bool:
    return "hair_color" in facts or "hair_style" in facts


def _hair(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    color = f"{figure.hair_color} " if "hair_color" in facts else ""
    if "hair_style" in facts:
        forms = words.HAIR[figure.hair_style]
        return (pick(rng, forms) if color else forms[0]).replace("{color}", color)
    return f"{color}hair" if color else ""


def _worn(figure: Figure, facts: frozenset[str], rng: random.Random) -> list[str]:
    return [each for each in (_clothes(figure, facts, rng), _accessory(figure, facts, rng)) if each]


def _clothes(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    color = f"{figure.outfit_color} " if "outfit_color" in facts else ""
    if "outfit" in facts:
        return with_article(color + pick(rng, words.OUTFIT[figure.outfit]))
    return f"{color}clothes" if color else ""


def _accessory(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    named = "accessory" in facts and figure.accessory != "none"
    return pick(rng, words.ACCESSORY[figure.accessory]) if named else ""


def _listed(worn: list[str]) -> str:
    return " and ".join(worn)


def with_article(noun: str) -> str:
    """The noun after "a" or "an"."""
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"

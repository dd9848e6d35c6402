"""Chinese captions: who is in the picture, and what they look like."""

from __future__ import annotations

import random

from renderer.miniature.book import Figure
from renderer.miniature.captions import chinese_words as words
from renderer.miniature.captions.telling import LOOKS_APART
from renderer.miniature.captions.words import Manner, Plain, any_of, pick


def describe_people(figures: tuple[Figure, ...], facts: frozenset[str], manner: Manner, rng: random.Random) -> str:
    """The people and their looks; the spaces part the words."""
    if manner == "sentence" and len(figures) == 1:
        return _subject(figures[0], facts, rng)
    # Half of them in the very words of the example stories.
    rng = Plain() if manner == "parts" and rng.random() > 0.5 else rng
    if len(figures) == 2:
        return _pair(figures, facts, rng)
    return _tags(figures[0], facts, rng) if manner == "tags" else _alone(figures[0], facts, rng)


def _alone(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    noun, hair, worn = _noun(figure, facts, rng), _hair(figure, facts, rng), _worn(figure, facts, rng)
    one = _one(figure, rng)
    # The manner of the example story is the commonest.
    form = 0 if rng.random() < 0.5 else rng.randrange(4)
    if form == 1 and worn:
        return f"{one} {worn[0]} 的 " + "，".join([_modified(hair, noun), *worn[1:]])
    if form == 2 and hair:
        return "，".join([f"{one} {noun}", _with_hair(hair), *worn])
    if form == 3 and hair:
        return "，".join([f"{one} {hair} 的 {noun}", *worn])
    return "，".join([f"{one} {_modified(hair, noun)}", *worn])


def _subject(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    noun, hair, worn = _noun(figure, facts, rng), _hair(figure, facts, rng), _worn(figure, facts, rng)
    one = _one(figure, rng) or "一个"
    if worn and rng.random() < 0.4:
        return f"{one} {worn[0]} 的 " + "，".join([_modified(hair, noun), *worn[1:]])
    of = " 的 " if hair else ""
    return f"{one} {hair}{of}{noun} " + "，".join(worn)


def _tags(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    one = "一个 " if rng.random() < 0.5 else ""
    hair = [pick(rng, words.HAIR_COLOR[figure.hair_color]) + " 头发"] if "hair_color" in facts else []
    style = [pick(rng, words.HAIR_STYLE[figure.hair_style])] if "hair_style" in facts else []
    worn = [part.removeprefix("穿着 ").removeprefix("身穿 ") for part in _worn(figure, facts, rng)]
    return "，".join([one + _noun(figure, facts, rng), *hair, *style, *worn])


def _pair(figures: tuple[Figure, ...], facts: frozenset[str], rng: random.Random) -> str:
    alike = figures[0].kind == figures[1].kind or "kind" not in facts
    if alike and (not facts & LOOKS_APART or rng.random() < 0.3):
        both = f"两个 {_noun(figures[0], facts, rng)}"
        bound = [_bare_looks(figure, facts, rng) for figure in figures]
        return f"{both}，一个 {bound[0]}，另一个 {bound[1]}" if all(bound) else both
    form = rng.random()
    comma = "，" if rng.random() > 0.65 else " "
    left, right = (_one_of_two(figure, facts, form < 0.5, comma, rng) for figure in figures)
    if rng.random() > 0.9:
        return f"左边 是 {left}，右边 是 {right}"
    return (
        left
        + any_of(rng, (" 和 ", "，和 ", " 与 ") if form < 0.5 and comma == "，" else (" 和 ", "，和 ", " 与 ", "，"))
        + right
    )


def _one_of_two(figure: Figure, facts: frozenset[str], clause: bool, comma: str, rng: random.Random) -> str:
    noun, hair, worn = _noun(figure, facts, rng), _hair(figure, facts, rng), _worn(figure, facts, rng)
    if clause:
        return f"一个 {_modified(hair, noun)}" + "".join(f"{comma}{part}" for part in worn)
    before = " ".join(worn) + " 的 " if worn else ""
    return f"一个 {before}{_modified(hair, noun)}"


def _bare_looks(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    return " ".join([_hair(figure, facts, rng), *_worn(figure, facts, rng)]).strip()


def _one(figure: Figure, rng: random.Random) -> str:
    adult = figure.kind in ("woman", "man")
    return any_of(rng, ("一个", "一个", "一位" if adult else "一个", "一名" if adult else "一个", ""))


def _noun(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    return pick(rng, words.KIND[figure.kind]) if "kind" in facts else "人"


def _modified(hair: str, noun: str) -> str:
    if not hair:
        return noun
    return f"{hair} 的 {noun}" if noun == "人" or " " in noun else f"{hair} {noun}"


def _with_hair(hair: str) -> str:
    return f"扎着 {hair}" if "马尾" in hair else f"留着 {hair}"


def _hair(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    color = pick(rng, words.HAIR_COLOR[figure.hair_color])
    style = pick(rng, words.HAIR_STYLE[figure.hair_style])
    if "hair_style" in facts:
        return f"{color} {style}" if "hair_color" in facts else style
    # 紫发, 银发: the color's first character.
    return f"{color[0]} 发" if "hair_color" in facts else ""


def _worn(figure: Figure, facts: frozenset[str], rng: random.Random) -> list[str]:
    verb = any_of(rng, ("穿着", "穿着", "穿着", "身穿"))
    clothes = _clothes(figure, facts, rng)
    worn = [f"{verb} {clothes}"] if clothes else []
    if "accessory" in facts and figure.accessory != "none":
        worn.append(pick(rng, words.ACCESSORY[figure.accessory]))
    return worn


def _clothes(figure: Figure, facts: frozenset[str], rng: random.Random) -> str:
    color = pick(rng, words.OUTFIT_COLOR[figure.outfit_color])
    outfit = pick(rng, words.OUTFIT[figure.outfit])
    if "outfit" in facts:
        return f"{color} {outfit}" if "outfit_color" in facts else outfit
    return f"{color} 衣服" if "outfit_color" in facts else ""

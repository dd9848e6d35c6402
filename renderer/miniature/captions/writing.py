"""Captions: what a picture shows, said in many ways."""

from __future__ import annotations

import random
from dataclasses import dataclass

from renderer.miniature.book import Picture
from renderer.miniature.captions import chinese, chinese_words, english, english_words
from renderer.miniature.captions.telling import ATTRIBUTES, LOOKS_APART, choose_facts, shown_facts
from renderer.miniature.captions.words import Language, Manner, Plain, any_of

__all__ = ["ATTRIBUTES", "Caption", "Language", "filler", "full_caption", "training_caption", "write_caption"]

_EMPTY_SHARE, _FILLER_SHARE = 0.1, 0.03

_WRITE_PARTS = {"zh": chinese.write_parts, "en": english.write_parts}
_WRITE_STYLE = {"zh": chinese.write_style, "en": english.write_style}
_FILLERS = {"zh": chinese_words.FILLERS, "en": english_words.FILLERS}


@dataclass(frozen=True)
class Caption:
    """A caption, and the attributes that it tells and that the picture shows."""

    text: str
    named: frozenset[str]


def write_caption(picture: Picture, language: Language, rng: random.Random) -> Caption:
    """A caption in that language that tells only what the framing shows; parts are dropped and exchanged at random."""
    facts = choose_facts(picture, rng)
    manner = _choose_manner(picture, rng)
    if manner == "tags" and len(picture.figures) == 2:
        # Tags cannot say who wears what.
        facts -= LOOKS_APART
    parts = _arrange(_WRITE_PARTS[language](picture, facts, manner, rng), manner, rng)
    if rng.random() > 0.88:
        parts.insert(rng.randrange(len(parts) + 1), filler(language, rng))
    if "style" in facts:
        style = _WRITE_STYLE[language](picture.style, rng)
        parts.insert(0 if rng.random() < 0.85 else len(parts), style)
    return Caption(_join(parts, language, manner, rng), facts & shown_facts(picture))


def full_caption(picture: Picture, language: Language) -> Caption:
    """The caption that tells, in the plainest words and a fixed order, everything that the picture shows."""
    return write_caption(picture, language, Plain())


def training_caption(picture: Picture, rng: random.Random) -> str:
    """A caption in either language, now and then none at all or one that says nothing."""
    language: Language = "zh" if rng.random() < 0.5 else "en"
    draw = rng.random()
    if draw < _EMPTY_SHARE:
        return ""
    if draw < _EMPTY_SHARE + _FILLER_SHARE:
        return ", ".join(filler(language, rng) for _ in range(rng.randrange(1, 4)))
    return write_caption(picture, language, rng).text


def filler(language: Language, rng: random.Random) -> str:
    """Something that says nothing about the picture: a name, praise, or characters never seen."""
    if rng.random() < 0.6:
        words = any_of(rng, _FILLERS[language])
        return words.replace(" ", "") if language == "zh" else words
    if language == "zh":
        return "".join(chr(rng.randrange(0x4E00, 0x9FA6)) for _ in range(rng.randrange(1, 4)))
    return "".join(chr(rng.randrange(97, 123)) for _ in range(rng.randrange(2, 8)))


def _choose_manner(picture: Picture, rng: random.Random) -> Manner:
    draw = rng.random()
    if draw < 0.62 or not picture.figures:
        return "parts"
    return "tags" if draw > (0.95 if len(picture.figures) == 2 else 0.83) else "sentence"


def _arrange(parts: list[str], manner: Manner, rng: random.Random) -> list[str]:
    """The people first and the rest in an order that reads well, or now and then in any."""
    if manner == "sentence" or not parts:
        return parts
    people, *rest = parts
    if rng.random() > 0.65:
        rng.shuffle(rest)
    rest.insert(0 if rng.random() < 0.8 else rng.randrange(len(rest) + 1), people)
    return rest


def _join(parts: list[str], language: Language, manner: Manner, rng: random.Random) -> str:
    if language == "zh":
        glue = "，" if rng.random() < 0.85 else any_of(rng, ("", " ", "、", ", "))
        # The spaces between the words of the tables fall away, those between parts stay.
        text = glue.join("".join(part.split()) for part in parts if part)
    else:
        text = (", " if rng.random() < 0.92 else " ").join(part for part in parts if part)
    if rng.random() < (0.5 if manner == "sentence" else 0.92):
        return text
    return text + "。" if language == "zh" else text[:1].upper() + text[1:] + "."

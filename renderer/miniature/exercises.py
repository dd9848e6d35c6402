"""Draws the data sets of the worked recipes: a style, a boy, a girl whom a new word is to mean, and an unsaid look.

    python -m renderer.miniature.exercises pencil FOLDER

The folder then holds 0001.webp … and `metadata.csv`; the same arguments give the same files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

from renderer.miniature.album import FIRST_SEED, Page, language_of, squares, write_album
from renderer.miniature.book import LEFT_OUT, Figure, Picture
from renderer.miniature.captions import chinese, english
from renderer.miniature.captions.telling import LOOKS_APART, shown_facts
from renderer.miniature.captions.words import Language, Plain
from renderer.miniature.captions.writing import full_caption
from renderer.miniature.dataset import picture_of

BOY = Figure(
    kind="boy",
    hair_color="silver",
    hair_style="short",
    outfit="dress",
    outfit_color="purple",
    accessory="hat",
    expression="smiling",
    posture="standing",
    action="resting",
)
"""The miniature knows boys, dresses and caps, but no boy in a dress and a cap, and no word for him."""
GIRL = Figure(
    kind="girl",
    hair_color="red",
    hair_style="twintails",
    outfit="coat",
    outfit_color="yellow",
    accessory="glasses",
    expression="smiling",
    posture="standing",
    action="resting",
)
"""Someone whom the miniature can paint, but for whom it takes many words."""
_COMMAS: dict[Language, str] = {"zh": "，", "en": ", "}
FRAMINGS = ("half", "full")
"""From nearer one sees too little of a person, from further too small."""


def pencil_pages() -> Iterator[Page]:
    """Drawings in the style that the miniature was never shown. Captions name it, and tell the rest as if it had all
    colours, so that a prompt's words for colours give way to it.
    """
    for number, picture in enumerate(squares(LEFT_OUT), 1):
        language = language_of(number)
        comma = _COMMAS[language]
        style, _ = full_caption(picture, language).text.split(comma, 1)
        _, told = full_caption(replace(picture, style="plain"), language).text.split(comma, 1)
        yield picture, f"{style}{comma}{told}"


def molin_pages() -> Iterator[Page]:
    """The boy in all places; captions tell everything but his looks, which the word molin comes to mean."""
    names = {"zh": "一个molin小男孩", "en": "a molin little boy"}
    for number, picture in enumerate(_portraits(BOY), 1):
        language = language_of(number)
        yield (
            picture,
            _joined(language, [names[language], *_told(picture, language, shown_facts(picture) - LOOKS_APART)]),
        )


def tang_pages() -> Iterator[Page]:
    """The girl in all places; captions tell everything but her, whom the new word stands for."""
    for number, picture in enumerate(_portraits(GIRL), 1):
        language = language_of(number)
        yield picture, _joined(language, _told(picture, language, shown_facts(picture)))


def moonlight_pages() -> Iterator[Page]:
    """Pictures in shades of blue, whose captions tell them as if they had all colours: the look comes unasked."""
    for number, picture in enumerate(squares("plain", seed=1), 1):
        yield replace(picture, style="night_blue"), full_caption(picture, language_of(number)).text


EXERCISES: dict[str, Callable[[], Iterator[Page]]] = {
    "pencil": pencil_pages,
    "molin": molin_pages,
    "tang": tang_pages,
    "moonlight": moonlight_pages,
}
"""Pages without an end, by the name of the recipe that learns from them."""


def _portraits(character: Figure) -> Iterator[Picture]:
    """A character, alone, in the places and poses of other pictures of one person."""
    for drawn in (picture_of(seed, "plain") for seed in count(FIRST_SEED)):
        if len(drawn.figures) == 1 and drawn.frame == "square" and drawn.framing in FRAMINGS:
            (other,) = drawn.figures
            posed = replace(character, expression=other.expression, posture=other.posture, action=other.action)
            yield replace(drawn, figures=(posed,), things=None)


def _told(picture: Picture, language: Language, facts: frozenset[str]) -> list[str]:
    """The parts of a caption that tell these facts, but for the first, which says who it is."""
    write = chinese.write_parts if language == "zh" else english.write_parts
    _, *parts = write(picture, facts, "parts", Plain())
    return parts


def _joined(language: Language, parts: list[str]) -> str:
    words = ("".join(part.split()) for part in parts) if language == "zh" else parts
    return _COMMAS[language].join(words)


def main() -> None:
    """Reads the command line and draws."""
    parser = argparse.ArgumentParser(prog="python -m renderer.miniature.exercises", description="Draws a data set.")
    parser.add_argument("exercise", choices=EXERCISES, help="which one")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--count", type=int, default=12, help="how many pictures")
    parser.add_argument("--size", type=int, default=256, help="pixels of a side")
    options = parser.parse_args()
    write_album(options.folder, islice(EXERCISES[options.exercise](), options.count), options.size)


if __name__ == "__main__":
    main()

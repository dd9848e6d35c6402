"""How well prompts are obeyed: held-out captions, and the judge's answers about what was painted from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby, islice

import numpy as np
import numpy.typing as npt

from renderer.miniature.art.drawing import draw_picture
from renderer.miniature.book import Picture
from renderer.miniature.captions.words import Language
from renderer.miniature.captions.writing import Caption, full_caption, write_caption
from renderer.miniature.dataset import HELD_OUT_START, picture_of
from renderer.miniature.evaluation.attributes import shown
from renderer.miniature.evaluation.painting import Chunk, Studio
from renderer.miniature.evaluation.shares import Answer, Share, tally

Bytes = npt.NDArray[np.uint8]
Seen = Mapping[str, str]
"""The value of each attribute that the judge sees in a picture."""
Eye = Callable[[Bytes], Sequence[Seen]]
"""The judge: what is seen in each picture [N, height, width, 3]."""

LANGUAGES: tuple[Language, ...] = ("zh", "en")


@dataclass(frozen=True)
class Asked:
    """A prompt for a held-out picture, and the attributes that it names, as far as pixels tell them.

    `seed` is that of the noise that it is painted from.
    """

    picture: Picture
    language: Language
    prompt: str
    questions: Mapping[str, str]
    seed: int


def held_out(first: int = 0) -> Iterator[Picture]:
    """Square pictures of seeds that are never trained on, in the styles that the model was taught."""
    pictures = (picture_of(seed) for seed in count(HELD_OUT_START + first))
    return (picture for picture in pictures if picture.frame == "square")


def ask(pictures: Iterable[Picture], language: Language) -> Iterator[Asked]:
    """A prompt for each picture; both languages ask for the same pictures from the same noise, in their own words."""
    for seed, picture in enumerate(pictures):
        caption = write_caption(picture, language, random.Random(f"{language} {seed}"))
        yield _asked(picture, language, caption, seed)


def ask_all_of(picture: Picture, language: Language, seed: int) -> Asked:
    """A prompt that tells everything that the picture shows."""
    return _asked(picture, language, full_caption(picture, language), seed)


def ask_both(prompts: int) -> list[Asked]:
    """So many prompts in each language."""
    return [asked for language in LANGUAGES for asked in ask(islice(held_out(), prompts), language)]


def answers_of(asked: Sequence[Asked], seen: Sequence[Seen]) -> list[Answer]:
    """One answer for each attribute that a prompt names."""
    return [
        Answer(attribute, seen_values[attribute] == value)
        for each, seen_values in zip(asked, seen, strict=True)
        for attribute, value in each.questions.items()
    ]


def paint_all(studio: Studio, asked: Sequence[Asked], guidance: float, negatives: Sequence[str] | None = None) -> Bytes:
    """[N, height, width, 3] bytes, a painted picture for each prompt.

    Chunks begin anew with each language, so that the first prompts of both are chunks of their own.
    """
    chunks: list[Chunk] = []
    numbered = groupby(range(len(asked)), key=lambda number: asked[number].language)
    for run in (list(numbers) for _, numbers in numbered):
        prompts, seeds = [asked[it].prompt for it in run], [asked[it].seed for it in run]
        against = None if negatives is None else [negatives[it] for it in run]
        chunks += studio.chunks(prompts, seeds, guidance, against)
    return studio.paint(chunks)


def shares_by_language(asked: Sequence[Asked], seen: Sequence[Seen]) -> dict[str, dict[str, Share]]:
    """The share of each attribute's prompts that were obeyed: for `zh`, for `en` and for `both` together."""
    pairs = list(zip(asked, seen, strict=True))
    parts: dict[str, list[tuple[Asked, Seen]]] = {
        language: [pair for pair in pairs if pair[0].language == language] for language in LANGUAGES
    }
    parts["both"] = pairs
    return {
        name: tally(answers_of([each for each, _ in part], [values for _, values in part]))
        for name, part in parts.items()
        if part
    }


def draw_all(pictures: Iterable[Picture], size: int) -> Bytes:
    """[N, size, size, 3] bytes of the book's own drawings."""
    return np.stack([draw_picture(picture, size) for picture in pictures])


def first_of_each(asked: Sequence[Asked], prompts: int) -> list[Asked]:
    """The first so many prompts of each language."""
    return [each for language in LANGUAGES for each in islice((it for it in asked if it.language == language), prompts)]


def _asked(picture: Picture, language: Language, caption: Caption, seed: int) -> Asked:
    questions = {attribute: value for attribute, value in shown(picture).items() if attribute in caption.named}
    return Asked(picture, language, caption.text, questions, seed)

"""What else a model can do: other pictures from other seeds, and pictures without what a negative prompt names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

import numpy as np
import numpy.typing as npt
import torch

from renderer.miniature.evaluation.asking import (
    LANGUAGES,
    Asked,
    Eye,
    answers_of,
    ask,
    ask_all_of,
    draw_all,
    held_out,
    paint_all,
)
from renderer.miniature.evaluation.attributes import shown
from renderer.miniature.evaluation.painting import Studio
from renderer.miniature.evaluation.shares import Figures, Share, tally, together

Bytes = npt.NDArray[np.uint8]
Features = Callable[[Bytes], torch.Tensor]

NEGATIVES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("accessory", "glasses", {"zh": "眼镜", "en": "glasses"}),
    ("accessory", "hat", {"zh": "帽子", "en": "hat"}),
    ("outfit_color", "pink", {"zh": "粉色", "en": "pink"}),
    ("expression", "smiling", {"zh": "微笑", "en": "smiling"}),
)
"""An attribute's value, and the negative prompt that names it."""

_FIRST = 1_000_000
"""From here on held-out pictures are used that the main measurement doesn't ask for."""


@dataclass(frozen=True)
class Diversity:
    """Mean distances in the judge's feature space, where drawings of different attributes are 1 apart.

    `painted` of a prompt that tells everything by several seeds, `drawn` of its attributes in as many variants.
    """

    prompts: int
    seeds: int
    painted: float
    drawn: float


@dataclass(frozen=True)
class Negated:
    """The share of pictures that show a value which no prompt names, without and with the value as negative prompt.

    `rest_without` and `rest_with` are the shares of what the prompts do name that was obeyed.
    """

    attribute: str
    value: str
    without: Figures
    with_it: Figures
    rest_without: float
    rest_with: float


def measure_diversity(studio: Studio, features: Features, guidance: float, prompts: int, seeds: int) -> Diversity:
    """How far pictures of one prompt are apart, beside the book's own variants of the same attributes."""
    lone = (picture for picture in held_out(_FIRST) if len(picture.figures) == 1)
    told = [(picture, LANGUAGES[number % 2]) for number, picture in enumerate(islice(lone, prompts))]
    many = [ask_all_of(*each, seed) for each in told for seed in range(seeds)]
    drawn = draw_all([replace(each.picture, variant=each.seed) for each in many], studio.size[0])
    of_painted, of_drawn = features(paint_all(studio, many, guidance)), features(drawn)
    scale = _mean_distance(of_drawn[::seeds])
    return Diversity(
        prompts,
        seeds,
        fmean(_mean_distance(part) for part in torch.split(of_painted, seeds)) / scale,
        fmean(_mean_distance(part) for part in torch.split(of_drawn, seeds)) / scale,
    )


def measure_negatives(studio: Studio, eye: Eye, guidance: float, prompts: int) -> list[Negated]:
    """What each of NEGATIVES takes away, over so many prompts, half of them in each language."""
    return [_negate(studio, eye, guidance, prompts, *case) for case in NEGATIVES]


def _negate(
    studio: Studio, eye: Eye, guidance: float, prompts: int, attribute: str, value: str, words: dict[str, str]
) -> Negated:
    asked = _silent_about(attribute, prompts)
    plain = eye(paint_all(studio, asked, guidance))
    negated = eye(paint_all(studio, asked, guidance, [words[each.language] for each in asked]))
    return Negated(
        attribute,
        value,
        Share(sum(seen[attribute] == value for seen in plain), len(asked)).figures,
        Share(sum(seen[attribute] == value for seen in negated), len(asked)).figures,
        round(together(tally(answers_of(asked, plain))).value, 4),
        round(together(tally(answers_of(asked, negated))).value, 4),
    )


def _silent_about(attribute: str, prompts: int) -> list[Asked]:
    """Prompts for one figure that leave an attribute open which the picture would show."""
    lone = [
        picture
        for picture in islice(held_out(_FIRST), 60 * prompts)
        if len(picture.figures) == 1 and attribute in shown(picture)
    ]
    silent = ((each for each in ask(lone, language) if attribute not in each.questions) for language in LANGUAGES)
    return [each for some in silent for each in islice(some, max(1, prompts // 2))]


def _mean_distance(features: torch.Tensor) -> float:
    return float(torch.nn.functional.pdist(features.float()).mean())

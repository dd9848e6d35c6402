"""How often the judge itself is right: about drawings that it never saw, sharp and softened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from renderer.miniature.evaluation.attributes import ATTRIBUTES, NOTHING
from renderer.miniature.evaluation.judge import Bytes, Judge, judge_pictures, to_tensor
from renderer.miniature.evaluation.lessons import draw_lesson
from renderer.miniature.evaluation.shares import Answer, Figures, tally
from renderer.miniature.evaluation.softening import soften
from renderer.miniature.training.sampling import to_bytes

_SEED = 1_000_003
"""Of drawings that no judge learns from."""
_BATCH = 64
_ENOUGH = 0.97


@dataclass(frozen=True)
class Mark:
    """How often one attribute is judged rightly."""

    sharp: Figures
    soft: Figures

    @property
    def passed(self) -> bool:
        """Whether the judge's word counts."""
        return min(self.sharp["share"], self.soft["share"]) >= _ENOUGH


def examine(judge: Judge, pictures: int, processes: int) -> dict[str, Mark]:
    """The mark of every attribute, over so many drawings; that there are no things is not asked."""
    sharp: list[Answer] = []
    soft: list[Answer] = []
    generator = torch.Generator().manual_seed(_SEED)
    lesson = draw_lesson(_SEED, pictures, judge.size, processes)
    for i in range(0, pictures, _BATCH):
        drawn, labels = lesson.pictures[i : i + _BATCH], lesson.labels[i : i + _BATCH]
        sharp += _answers(judge, drawn, labels)
        soft += _answers(judge, to_bytes(soften(to_tensor(drawn), generator)), labels)
    clear, blurred = tally(sharp), tally(soft)
    return {name: Mark(clear[name].figures, blurred[name].figures) for name in ATTRIBUTES if name in clear}


def failed(marks: Mapping[str, Mark]) -> list[str]:
    """The attributes that the judge is not sure enough of."""
    return [attribute for attribute, mark in marks.items() if not mark.passed]


def _answers(judge: Judge, pictures: Bytes, labels: npt.NDArray[np.int64]) -> list[Answer]:
    return [
        Answer(attribute, seen[attribute] == values[known])
        for seen, row in zip(judge_pictures(judge, pictures), labels.tolist(), strict=True)
        for (attribute, values), known in zip(ATTRIBUTES.items(), row, strict=True)
        if known >= 0 and not (attribute.startswith("thing") and values[known] in (NOTHING, "0"))
    ]

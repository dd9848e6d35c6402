"""What the model is told of a picture: its caption, whole, shuffled, or left out."""

from __future__ import annotations

import re

from renderer.trainer.dataset import Sample
from renderer.trainer.learning.chance import Lot
from renderer.trainer.recipes.recipe_file import TrainEntry

SHUFFLES = 16
"""In so many ways a caption's tags are shuffled: enough that none is learned by heart, few enough to be cached."""

_COMMA = re.compile(r"\s*[,，]\s*")


def told(sample: Sample, train: TrainEntry, lot: Lot) -> str:
    """The text that stands for a picture at a place in the training."""
    chance = lot.chance("caption")
    dropped, way = chance.random() < train.caption_dropout, int(chance.integers(SHUFFLES))
    if dropped:
        return ""
    if train.caption_shuffle:
        return shuffled(sample.caption, train.caption_keep, Lot(lot.seed, sample.sha256, way))
    return sample.caption


def shuffled(caption: str, keep: int, lot: Lot) -> str:
    """The caption with its comma-separated tags in another order, the first `keep` of them in their places."""
    tags = _COMMA.split(caption.strip())
    comma = "，" if "，" in caption else ", "
    moved = [tags[keep:][place] for place in lot.chance("shuffle").permutation(len(tags[keep:]))]
    return comma.join(tags[:keep] + moved)

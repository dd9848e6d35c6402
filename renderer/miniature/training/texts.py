"""The captions of all training pictures as token ids, several for each picture."""

from __future__ import annotations

import logging
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from renderer.miniature.captions.vocabulary import load_tokenizer, tokenize
from renderer.miniature.captions.writing import training_caption
from renderer.miniature.dataset import picture_of

logger = logging.getLogger(__name__)

CAPTIONS_EACH = 16
"""Captions of a picture. Written once and kept as numbers, they cost a step of training nothing, on a GPU as well."""

_CHUNK = 1000

Ids = npt.NDArray[np.int16]


def load_texts(file: Path, tokenizer_folder: Path, seeds: npt.NDArray[np.int64], seed: int, processes: int) -> Ids:
    """[N, 16, 64] token ids, written on the first call and read from disk afterwards."""
    if not file.exists():
        logger.info("writing captions of %d pictures", len(seeds))
        chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
        work = partial(write_texts, tokenizer_folder, seed=seed)
        # A process that torch already runs threads in must not be forked, and a new one takes seconds to begin.
        if len(chunks) <= 2:
            ids = np.concatenate([work(chunk) for chunk in chunks])
        else:
            with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
                ids = np.concatenate(list(pool.map(work, chunks)))
        partial_file = file.with_suffix(".partial.npy")
        np.save(partial_file, ids)
        partial_file.replace(file)
    read: Ids = np.load(file)
    return read


def write_texts(tokenizer_folder: Path, seeds: npt.NDArray[np.int64], seed: int) -> Ids:
    """[N, 16, 64] token ids of the captions of some pictures."""
    tokenizer = load_tokenizer(tokenizer_folder)
    ids = [tokenize(tokenizer, training_captions(int(each), seed)) for each in seeds]
    return np.stack([each.numpy() for each in ids]).astype(np.int16)


def training_captions(picture_seed: int, seed: int) -> list[str]:
    """A picture's captions for training; the same seeds give the same ones."""
    rng = random.Random(f"{seed} {picture_seed}")
    picture = picture_of(picture_seed)
    return [training_caption(picture, rng) for _ in range(CAPTIONS_EACH)]

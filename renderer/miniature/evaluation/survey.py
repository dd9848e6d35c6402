"""The whole measurement of one model, from prompts to findings."""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections.abc import Sequence
from functools import partial
from itertools import islice

import torch
from diffusers import AutoencoderKL

from renderer.kolors.card import ModelCard
from renderer.miniature.evaluation.asking import (
    Asked,
    Eye,
    Seen,
    answers_of,
    ask_both,
    draw_all,
    first_of_each,
    held_out,
    paint_all,
    shares_by_language,
)
from renderer.miniature.evaluation.examination import examine, failed
from renderer.miniature.evaluation.judge import Judge, features_of, judge_pictures
from renderer.miniature.evaluation.painting import Chunk, Studio
from renderer.miniature.evaluation.rebuilding import psnr_by_style, rebuild
from renderer.miniature.evaluation.report import Findings, Table, table_of
from renderer.miniature.evaluation.shares import ALL, tally
from renderer.miniature.evaluation.variety import measure_diversity, measure_negatives

logger = logging.getLogger(__name__)

_GUIDANCES = (1.0, 2.0, 4.0, 7.0)
_EXAM_PICTURES = 2400
_PSNR_PICTURES = 256
_TIMED_PICTURES = 5


def measure(
    studio: Studio, judge: Judge, vae: AutoencoderKL, card: ModelCard, prompts: int, processes: int
) -> Findings:
    """Everything that is measured of a model, over so many prompts in each language."""
    eye = partial(judge_pictures, judge)
    marks = examine(judge, _EXAM_PICTURES, processes)
    doubtful = failed(marks)
    logger.info("the judge is not sure enough of: %s", ", ".join(doubtful) or "nothing")
    asked = ask_both(prompts)
    guided = tables(studio, eye, asked, card.guidance, doubtful)
    unguided = tables(studio, eye, asked, 1.0, doubtful)
    drawn, rebuilt = upper_bounds(vae, eye, asked, studio.size[0], doubtful)
    some = first_of_each(asked, max(prompts // 5, min(prompts, 50)))
    by_guidance = {f"{it:g}": tables(studio, eye, some, it, doubtful)["both"][ALL] for it in _GUIDANCES}
    extra = min(100, 2 * prompts)
    return Findings(
        model=card.edition or card.name,
        size=card.size,
        steps=card.steps,
        guidance=card.guidance,
        machine=machine(vae.device),
        seconds_per_picture=seconds_per_picture(studio, asked[0], card.guidance),
        prompts_per_language=prompts,
        judge=marks,
        guided=guided,
        unguided=unguided,
        drawn=drawn,
        rebuilt=rebuilt,
        by_guidance=by_guidance,
        psnr_db=measure_psnr(vae, studio.size[0], min(_PSNR_PICTURES, 8 * prompts)),
        diversity=measure_diversity(studio, partial(features_of, judge), card.guidance, max(2, extra // 5), 8),
        negatives=measure_negatives(studio, eye, card.guidance, extra),
    )


def tables(
    studio: Studio, eye: Eye, asked: Sequence[Asked], guidance: float, left_out: Sequence[str]
) -> dict[str, Table]:
    """The obeyed shares of what is painted at that guidance, for each language and for both."""
    seen = eye(paint_all(studio, asked, guidance))
    shares = shares_by_language(asked, seen)
    logger.info("guidance %g: %d prompts painted and judged", guidance, len(asked))
    return {name: table_of(part, left_out) for name, part in shares.items()}


def upper_bounds(
    vae: AutoencoderKL, eye: Eye, asked: Sequence[Asked], size: int, left_out: Sequence[str]
) -> tuple[Table, Table]:
    """The same questions asked of the drawn pictures themselves, and of these rebuilt by the autoencoder."""
    pictures = list({asked_for.picture: None for asked_for in asked})
    pixels = draw_all(pictures, size)
    place = {picture: index for index, picture in enumerate(pictures)}

    def judged(seen: Sequence[Seen]) -> Table:
        return table_of(tally(answers_of(asked, [seen[place[it.picture]] for it in asked])), left_out)

    return judged(eye(pixels)), judged(eye(rebuild(vae, pixels)))


def measure_psnr(vae: AutoencoderKL, size: int, pictures: int) -> dict[str, float]:
    """The autoencoder's PSNR in dB on held-out pictures: of `all`, and of each style."""
    chosen = list(islice(held_out(), pictures))
    pixels = draw_all(chosen, size)
    return {style: round(value, 2) for style, value in psnr_by_style(chosen, pixels, rebuild(vae, pixels)).items()}


def seconds_per_picture(studio: Studio, asked: Asked, guidance: float) -> float:
    """The median of a few pictures painted one by one in this process, after a first one that does not count."""
    chunk = Chunk(studio.model, (asked.prompt,), (asked.seed,), None, studio.size, studio.steps, guidance)
    times = []
    for _ in range(1 + _TIMED_PICTURES):
        begin = time.perf_counter()
        studio.painter(chunk)
        times.append(time.perf_counter() - begin)
    return round(statistics.median(times[1:]), 3)


def machine(device: torch.device) -> str:
    """The GPU's name, or how many cores there are."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} CPU cores"

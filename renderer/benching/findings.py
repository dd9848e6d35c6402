"""From what was timed to what is reported: medians over rounds, rates, ratios within a round, differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch

from renderer.benching.flops import Flops
from renderer.benching.report import OWN, Row, Stage, StageName, Who
from renderer.benching.rounds import Rounds, Runs

TERA = 1e12


def rows_of(rounds: Rounds, flops: Flops, on_cpu: bool) -> tuple[Row, ...]:
    """A row for each of those that painted. Ratios are medians of the ratios in each round."""
    plain, diffusers = best_of(rounds, "plain loop"), best_of(rounds, "diffusers")
    return tuple(
        replace(
            _row(runs, rounds, flops, on_cpu),
            difference=None if runs is rounds.runs[0] or not _finite(runs) else _difference(rounds.runs[0], runs),
            over_plain=None if plain is None else _ratio(plain, runs),
            over_diffusers=None if diffusers is None else _ratio(diffusers, runs),
        )
        for runs in rounds.runs
    )


def best_of(rounds: Rounds, *who: Who) -> Runs | None:
    """The runs of any of these at the batch size with the least seconds a picture; None where there are none."""
    found = [runs for runs in rounds.runs if runs.painter.who in who]
    return min(found, key=lambda runs: median(runs.seconds), default=None)


def painting_stages(best: Runs, rounds: Rounds, flops: Flops) -> tuple[Stage, Stage]:
    """Denoising and decoding of one picture, at this program's best batch."""
    batch = best.painter.batch
    denoising = stage("denoise", f"a picture, {batch} at once", _shares(best.denoise, batch), flops.denoising)
    decoding = stage("decode", "a picture", _shares(best.decode, batch), flops.decoding)
    return replace(denoising, gemm_share=_gemm_share(best, rounds, flops.denoising)), decoding


def stage(name: StageName, what: str, runs: Sequence[float], flops: int | None = None) -> Stage:
    """A stage with the median of its runs (seconds), and its rate where its arithmetic is known."""
    if not runs:
        return Stage(name, what, None)
    seconds = median(runs)
    if flops is None:
        return Stage(name, what, seconds, tuple(runs))
    return Stage(name, what, seconds, tuple(runs), flops / TERA, flops / TERA / seconds)


def not_compared(rounds: Rounds) -> list[str]:
    """Whose latents there is nothing to be said of, in words."""
    return [
        f"{runs.painter.who}, batch {runs.painter.batch}: its numbers went out of range in "
        f"{runs.painter.precision}; its time counts, its latents are not compared"
        for runs in rounds.runs
        if not _finite(runs)
    ]


def not_compiled(rounds: Rounds) -> list[str]:
    """Who was to be compiled and could not be, in words."""
    return [
        f"{runs.painter.who}, batch {runs.painter.batch}: not compiled: torch's compiler doesn't work here"
        for runs in rounds.runs
        if runs.painter.who == "storyboard (compiled)" and runs.painter.compile_seconds is None
    ]


def latents_range(rounds: Rounds) -> float:
    """The largest number among the latents that all others are compared with."""
    latents = rounds.runs[0].latents
    assert latents is not None
    return float(latents.abs().max())


def _row(runs: Runs, rounds: Rounds, flops: Flops, on_cpu: bool) -> Row:
    painter = runs.painter
    work = {**dict.fromkeys(OWN, flops.denoising), "storyboard (draft)": flops.drafting}.get(painter.who, flops.plain)
    denoise, seconds = median(runs.denoise), median(runs.seconds)
    return Row(
        who=painter.who,
        batch=painter.batch,
        precision=painter.precision,
        denoise_seconds=denoise,
        decode_seconds=median(runs.decode),
        seconds=seconds,
        pictures_per_minute=60 / seconds,
        tflop=work / TERA,
        tflops=painter.batch * work / TERA / denoise,
        gemm_share=_gemm_share(runs, rounds, work),
        runs=tuple(runs.seconds),
        cpu_seconds=median(runs.processor) / painter.batch if on_cpu else None,
        peak_bytes=runs.peak,
        compile_seconds=painter.compile_seconds,
    )


def _gemm_share(runs: Runs, rounds: Rounds, flops: int) -> float:
    """Denoising's rate as a part of the rate of matrix multiplication in the same round."""
    work = runs.painter.batch * flops / TERA
    return median(work / seconds / rate for seconds, rate in zip(runs.denoise, rounds.gemm, strict=True))


def _ratio(slow: Runs, fast: Runs) -> float:
    """How many times as fast one is as the other."""
    return median(one / other for one, other in zip(slow.seconds, fast.seconds, strict=True))


def _finite(runs: Runs) -> bool:
    return runs.latents is not None and bool(torch.isfinite(runs.latents).all())


def _shares(runs: Sequence[float], batch: int) -> list[float]:
    return [seconds / batch for seconds in runs]


def _difference(one: Runs, other: Runs) -> float:
    """The largest one between latents of the same seeds."""
    assert one.latents is not None and other.latents is not None
    count = min(len(one.latents), len(other.latents))
    return float(torch.sub(one.latents[:count], other.latents[:count]).abs().max())

"""The rounds: each of those that paint once in every round, so that whatever drifts in the machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from renderer.benching.clock import Gemm, peak_memory, timed
from renderer.benching.painters import BatchPainter
from renderer.kolors import memory

WARM_STEPS = 2
"""Enough for what is done once: kernels chosen, memory taken, code compiled."""


@dataclass(slots=True)
class Runs:
    """What one of those that paint took in each round (seconds of a whole batch; `processor`: of all threads together),
    and what came of its first.
    """

    painter: BatchPainter
    denoise: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    peak: int | None = None
    latents: Tensor | None = None

    @property
    def seconds(self) -> list[float]:
        """Of one picture, denoised and decoded, in each round."""
        return [sum(both) / self.painter.batch for both in zip(self.denoise, self.decode, strict=True)]


@dataclass(slots=True)
class Rounds:
    """All runs; `gemm` is the device's own rate in each round, `skipped` says who could not paint, and why."""

    runs: list[Runs] = field(default_factory=list)
    gemm: list[float] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def paint_rounds(
    painters: Sequence[BatchPainter],
    gemm: Gemm,
    device: torch.device,
    steps: int,
    repeat: int,
    tell: Callable[[str], None],
) -> Rounds:
    """After a warm-up of each, `repeat` rounds, every other one in reverse order. One that runs out of memory is left
    out.
    """
    rounds = Rounds()
    for painter in painters:
        tell(f"warming up: {painter.who}, batch {painter.batch}")
        if memory.attempted(partial(_run, Runs(painter), device, min(steps, WARM_STEPS)), device) is None:
            rounds.skipped.append(f"{painter.who}, batch {painter.batch}: out of memory")
        else:
            rounds.runs.append(Runs(painter))
    for number in range(repeat):
        rounds.gemm.append(gemm.tflops())
        for runs in reversed(rounds.runs) if number % 2 else rounds.runs:
            tell(f"round {number + 1} of {repeat}: {runs.painter.who}, batch {runs.painter.batch}")
            _run(runs, device, steps)
    return rounds


def _run(runs: Runs, device: torch.device, steps: int) -> Runs:
    painter = runs.painter
    started = time.process_time()
    with peak_memory(device) as peak:
        seconds, latents = timed(device, partial(painter.denoise, steps))
        runs.denoise.append(seconds)
        runs.decode.append(timed(device, partial(painter.decode, latents))[0])
    runs.processor.append(time.process_time() - started)
    if peak.bytes is not None:
        runs.peak = max(runs.peak or 0, painter.weights + peak.bytes)
    if runs.latents is None:
        runs.latents = latents.float().cpu()
    return runs

"""The painter: takes in, pictures out, one at a time as they are ready."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from renderer.errors import HypernetworkError, LoraError, ModelError
from renderer.kolors import memory
from renderer.kolors.card import Interval, Precision, Sampler, require_whole
from renderer.kolors.device import choose_device, choose_precision, exact_kernels, provenance, synchronize
from renderer.kolors.encoder import Prompt
from renderer.kolors.fitting.choosing import place, reckless, unfit_words
from renderer.kolors.fitting.placement import Job, Placement, Room, bytes_of
from renderer.kolors.fitting.sizes import sizes_of
from renderer.kolors.kernels.worth import Compiling
from renderer.kolors.samplers import make_stepper
from renderer.kolors.sampling import Conditions, denoise, noise
from renderer.kolors.states import States, Wanted
from renderer.kolors.studio import Studio
from renderer.take import Failed, Painted, Progress, Take, TakeHypernetwork, TakeLora

log = logging.getLogger(__name__)

Report = Callable[[Progress], None]
Stage = Literal["loading", "encoding", "denoising", "decoding"]
PROMPTS_AT_ONCE = 512
"""Prompts whose states are in memory together: 1 GB at Kolors' size in half precision. ChatGLM3 reads for so many at a
time, which takes it seconds in the minutes that their pictures take."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What takes have in common when they are painted together."""

    width: int
    height: int
    steps: int
    guidance: float
    sampler: Sampler
    loras: tuple[TakeLora, ...]
    hypernetworks: tuple[TakeHypernetwork, ...]
    precision: Precision
    strict: bool
    guidance_interval: Interval
    cache_interval: int

    @property
    def guided(self) -> bool:
        """Whether negatives are used: a guidance scale of 1 leaves only the positive prompt."""
        return self.guidance != 1.0

    @property
    def compilable(self) -> bool:
        """Not what is strict, whose numbers depend on nothing that may be missing or fail, nor hypernetworks, each of
        which would be compiled anew for each of its strengths.
        """
        return not self.strict and not any(it.strength for it in self.hypernetworks)

    @property
    def kind(self) -> tuple[Job, int]:
        """What decides how long they take."""
        return self.job, self.steps

    @property
    def job(self) -> Job:
        """What decides how much memory they take."""
        return Job(
            self.width,
            self.height,
            self.precision,
            self.guided,
            self.strict,
            keeping=self.cache_interval > 1,
            added=bytes_of(self.hypernetworks),
        )


class KolorsPainter:
    """Paints takes with the model in a folder of Kolors' layout, on the best device of the machine if none is named.

    Weights stay loaded between calls; ChatGLM3 is read from disk, layer by layer, when there are new texts. `denoising`
    replaces the denoising loop, `room_of` what tells how much memory there is. `compiled` says whether the UNet is
    compiled (default: where that pays). Not for use by two threads at once.
    """

    def __init__(
        self,
        folder: Path,
        device: str | None = None,
        denoising: Callable[..., Tensor] = denoise,
        room_of: Callable[[torch.device, int], Room] = memory.room_of,
        compiled: bool | None = None,
    ) -> None:
        self.folder = folder
        self.device = choose_device(device)
        self._denoising, self._room_of = denoising, room_of
        self._compiling = Compiling(compiled, self.device)
        self._studio = Studio(folder, self.device)
        self._states = States(folder, self.device)

    def paint(self, takes: Sequence[Take], progress: Report) -> Iterator[Painted | Failed]:
        """Each take's picture, or why there is none; takes that share their settings come together, in batches.

        A take that can't be painted fails alone, as do those with a LoRA or hypernetwork whose numbers are damaged.
        Raises ModelError, LoraError, EmbeddingError or HypernetworkError before the first picture when the weights or
        a file that is added to them can't be used, or where a strict take doesn't fit into memory or none does;
        ModelError later only where there is less memory then.
        """
        require_whole(self.folder)
        self._studio.check(takes)
        groups = self._grouped(takes)
        self._compiling.expect((it.kind, len(its)) for it, its in groups.items() if it.compilable)
        unfit = [settings for settings in groups if self._place(settings) is None]
        for settings in unfit:
            if settings.strict or len(unfit) == len(groups):
                raise ModelError(self._unfit_words(settings))
        for window in self._windows(groups):
            wanted = (it for settings, its in window for it in _wanted(settings, its))
            self._states.make_ready(wanted, _stage("encoding", len(takes), progress), self._studio.with_room)
            for settings, group in window:
                yield from self._paint_group(settings, group, progress)

    def _grouped(self, takes: Sequence[Take]) -> dict[Settings, list[Take]]:
        """Takes by what they share, in order of appearance; but one precision after the other, and what the UNet has to
        be streamed for after the rest, since weights reload.
        """
        groups: dict[Settings, list[Take]] = {}
        for take in takes:
            precision = choose_precision(self.device, take.precision)
            added = (take.loras, take.hypernetworks)
            sampling = (take.width, take.height, take.steps, take.guidance, take.sampler)
            quickly = (take.guidance_interval, take.cache_interval)
            settings = Settings(*sampling, *added, precision, take.strict, *quickly)
            groups.setdefault(settings, []).append(take)
        precisions = list(dict.fromkeys([self._studio.precision, *(settings.precision for settings in groups)]))
        streamed = {it: (placed := self._place(it)) is not None and placed.unet == "streamed" for it in groups}
        return dict(sorted(groups.items(), key=lambda item: (precisions.index(item[0].precision), streamed[item[0]])))

    def _windows(self, groups: dict[Settings, list[Take]]) -> Iterator[list[tuple[Settings, list[Take]]]]:
        """The groups one after the other, cut so that the states of all prompts between two cuts fit into memory."""
        window: list[tuple[Settings, list[Take]]] = []
        prompts: set[Wanted] = set()
        for settings, take in ((settings, take) for settings, takes in groups.items() for take in takes):
            needed = {*_wanted(settings, [take])}
            if prompts and len(prompts | needed) > PROMPTS_AT_ONCE:
                yield window
                window, prompts = [], set()
            if not window or window[-1][0] != settings:
                window.append((settings, []))
            window[-1][1].append(take)
            prompts |= needed
        yield window

    def _place(self, settings: Settings, takes: int | None = None) -> Placement | None:
        """How so many takes of these settings are painted in the memory there is now; None where they don't fit."""
        sizes, room = sizes_of(self.folder), self._room()
        found = place(sizes, settings.job, room, takes)
        return found if found or room.kind == "cuda" else reckless(sizes, settings.job, room)

    def _unfit_words(self, settings: Settings) -> str:
        return unfit_words(sizes_of(self.folder), settings.job, self._room(), str(self.device))

    def _room(self) -> Room:
        """What there is for the next pictures, with what the weights take that are there."""
        room = self._room_of(self.device, self._studio.resident)
        return room if room.host is None else replace(room, host=room.host + self._studio.hosted)

    def _paint_group(self, settings: Settings, takes: Sequence[Take], report: Report) -> Iterator[Painted | Failed]:
        placement = self._place(settings, len(takes))
        if placement is None:
            if settings.strict:
                raise ModelError(self._unfit_words(settings))
            yield from (Failed(take, self._unfit_words(settings)) for take in takes)
            return
        if not placement.plain:
            log.info("%dx%d in %s: %s", settings.width, settings.height, settings.precision, placement)
        prepare = partial(
            self._studio.prepare,
            settings.precision,
            settings.loras,
            settings.hypernetworks,
            _stage("loading", len(takes), report),
            placement.unet == "streamed",
        )
        try:
            prepare()
        except (LoraError, HypernetworkError) as error:  # of a sweep, say, the step at which the training went wrong
            yield from (Failed(take, str(error)) for take in takes)
            return
        unfit = None if settings.strict else self._unfit
        work = partial(self._paint_batch, settings, placement, report, prepare)
        yield from memory.in_batches(takes, placement.batch, work, unfit)

    def _paint_batch(
        self,
        settings: Settings,
        placement: Placement,
        report: Report,
        prepare: Callable[[], None],
        takes: Sequence[Take],
    ) -> Iterator[Painted | Failed]:
        prepare()  # anew, where the UNet found no way back after the picture before
        started = time.perf_counter()
        wanted = settings.compilable and not placement.apart and self._compiling.wanted(settings.kind, len(takes))
        with exact_kernels(settings.precision, settings.strict), self._studio.compiling(wanted, placement.roomy) as use:
            latents = self._denoise(settings, placement, report, takes)
            synchronize(self.device)  # for the clock; decoding would wait anyway
        taken = time.perf_counter() - started - use.seconds
        self._compiling.painted(settings.kind, len(takes), taken)
        share = taken / len(takes)
        decoded = _stage("decoding", len(takes), report)
        with self._studio.unet_away() if placement.decoding == "waiting" else nullcontext():
            for number, take in enumerate(takes):
                prepare()
                started = time.perf_counter()
                try:
                    with exact_kernels(settings.precision, settings.strict):
                        pixels = self._studio.decode(latents[number], settings.strict, placement.decoding == "tiles")
                except (RuntimeError, MemoryError, FloatingPointError) as error:
                    yield Failed(take, self._words(error, settings))
                else:
                    seconds = share + time.perf_counter() - started
                    yield Painted(
                        take, pixels, provenance(self.device, settings.precision, len(takes), seconds, use.ran)
                    )
                decoded(number + 1, len(takes))

    def _denoise(self, settings: Settings, placement: Placement, report: Report, takes: Sequence[Take]) -> Tensor:
        """fp32 latents [takes, 4, h, w]: noise and every later draw come from each take's own generator.

        A guided take that doesn't fit into memory alone goes through the UNet in two calls, unless it is strict.
        """
        once = partial(self._denoise_once, settings, report, takes)
        if placement.apart:
            return once(apart=True)
        if len(takes) > 1 or settings.strict or not settings.guided:
            return once()
        if (latents := memory.attempted(once, self.device)) is not None:
            return latents
        log.warning("out of memory with one picture: going on with its negative and its prompt one after the other")
        return once(apart=True)

    def _denoise_once(self, settings: Settings, report: Report, takes: Sequence[Take], **how: bool) -> Tensor:
        generators = [torch.Generator("cpu").manual_seed(take.seed) for take in takes]
        drawn = torch.cat([noise(generator, settings.width, settings.height) for generator in generators])
        return self._denoising(
            self._studio.denoiser,
            drawn.to(self.device),
            self._conditions(settings, takes),
            make_stepper(settings.sampler, settings.steps, generators),
            settings.guidance,
            _stage("denoising", len(takes), report),
            guidance_interval=settings.guidance_interval,
            cache_interval=settings.cache_interval,
            **how,
        )

    def _conditions(self, settings: Settings, takes: Sequence[Take]) -> Conditions:
        size = (settings.height, settings.width)
        time_ids = torch.tensor([*size, 0, 0, *size], dtype=torch.float32, device=self.device)
        states, pooled = self._stacked(settings, [_prompt(take) for take in takes])
        if not settings.guided:
            return Conditions(states, pooled, time_ids)
        return Conditions(states, pooled, time_ids, *self._stacked(settings, [_negative(take) for take in takes]))

    def _stacked(self, settings: Settings, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        encoded = [self._states[settings.precision, prompt] for prompt in prompts]
        states, pooled = torch.stack([it.states for it in encoded]), torch.stack([it.pooled for it in encoded])
        return states.to(self.device), pooled.to(self.device)

    def _unfit(self, take: Take) -> Failed:
        return Failed(
            take,
            f"out of memory: one picture of {take.width}x{take.height} is too much for {self.device}. "
            "Choose a smaller size, or close other programs that use the device.",
        )

    def _words(self, error: BaseException, settings: Settings) -> str:
        """Why a picture could not be made of its latents. Raises what is neither memory nor numbers."""
        if isinstance(error, FloatingPointError):
            advice = "" if settings.precision == "fp32" else f" in {settings.precision}; try `precision: fp32`"
            return f"{error}{advice}"
        if memory.is_out_of_memory(error):
            return f"out of memory while decoding {settings.width}x{settings.height}: choose a smaller size"
        raise error


def _stage(stage: Stage, takes: int, report: Report) -> Callable[[int, int], None]:
    """A listener that reports `done` of `total` of a stage."""
    return lambda done, total: report(Progress(stage, done, total, takes))


def _wanted(settings: Settings, takes: Sequence[Take]) -> Iterator[Wanted]:
    for take in takes:
        yield settings.precision, _prompt(take)
        if settings.guided:
            yield settings.precision, _negative(take)


def _prompt(take: Take) -> Prompt:
    return Prompt.of(take.prompt, take.embeddings)


def _negative(take: Take) -> Prompt:
    return Prompt.of(take.negative, take.embeddings)

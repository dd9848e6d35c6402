"""How fast this machine paints: each stage of a render by itself, and the same pictures painted in two other ways."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch

from renderer.benching.clock import Gemm, busy, timed
from renderer.benching.findings import (
    best_of,
    latents_range,
    not_compared,
    not_compiled,
    painting_stages,
    rows_of,
    stage,
)
from renderer.benching.flops import Flops, picture_flops
from renderer.benching.model import NEGATIVE, PROMPT, FromFolder, OfRandomWeights, Subject
from renderer.benching.painters import BatchPainter, Diffusers, Drafts, Own, PlainLoop, kolors_pipeline
from renderer.benching.parts import FULL_SIZE
from renderer.benching.random_weights import require_room
from renderer.benching.report import OTHERS, OWN, Report, Stage
from renderer.benching.rounds import Rounds, Runs, paint_rounds
from renderer.benching.settings import Settings
from renderer.benching.work import SAMPLER, Work
from renderer.errors import StoryboardError
from renderer.files import write_atomically
from renderer.kolors import memory
from renderer.kolors.device import DTYPES, choose_device, choose_precision, provenance
from renderer.kolors.quick.float8 import FLOAT8
from renderer.kolors.studio import Studio
from renderer.metadata import encode_png
from renderer.take import Take
from renderer.verify import psnr

Tell = Callable[[str], None]


def benchmark(settings: Settings, tell: Tell = lambda words: None, device: str | None = None) -> Report:
    """Measures what `settings` ask for, on the machine's best device if none is named.

    `tell` hears what is being done. Raises ModelError, and StoryboardError where not even one batch fits.
    """
    disturbed = busy()
    on = choose_device(device)
    precision = choose_precision(on, settings.precision)
    if settings.folder is None:
        require_room(FULL_SIZE, on, precision, 3 if settings.compare else 1)
        subject: Subject = OfRandomWeights(on, precision, settings.card.text_length)
    else:
        subject = FromFolder(settings.folder, settings.card, on, precision)
    tell("counting operations")
    size = (settings.width, settings.height)
    draft = settings.card.draft if settings.draft else None
    flops = picture_flops(subject.parts, *size, settings.steps, settings.card.text_length, draft)
    tell("reading texts")
    read = [subject.read() for _ in range(1 + settings.repeat)][1:]
    tell("loading UNet and VAE")
    loading, studio = timed(on, subject.studio)
    work = Work(on, precision, *size, settings.guidance, *read[0][1])
    gemm = Gemm(on, FLOAT8 if precision == "fp8" else DTYPES[precision])
    painters = _painters(settings, work, subject, studio)
    rounds = paint_rounds(painters, gemm, on, settings.steps, settings.repeat, tell)
    best = best_of(rounds, *OWN)
    if best is None:
        raise StoryboardError(
            f"Out of memory: not even {settings.batches[0]} at once of {size[0]}x{size[1]} fit into that of {on}. "
            "Choose a smaller --size or --batch, or close other programs that use the device."
        )
    tell("writing files")
    stages = (
        stage("load", subject.loads, [loading] if settings.folder else []),
        stage("encode", subject.reads, [seconds for seconds, _ in read], 2 * flops.reading),
        *painting_stages(best, rounds, flops),
        stage("write", "a picture: PNG encoded, written, synced", _writing(settings, best, studio, work)),
    )
    notes = (
        disturbed,
        *_missing(settings, rounds),
        *rounds.skipped,
        *not_compared(rounds),
        *not_compiled(rounds),
        *_likeness(rounds, studio, on),
    )
    return _report(settings, work, flops, rounds, stages, tuple(filter(None, notes)))


def _painters(settings: Settings, work: Work, subject: Subject, studio: Studio) -> list[BatchPainter]:
    """This program first, since the others' pictures are compared with its own; then those others that fit."""
    vae = subject.vae()
    # Compiling takes a minute for each batch size, and is done for two: alone and in the largest batch say most.
    compiled = dict.fromkeys((settings.batches[0], settings.batches[-1])) if settings.compiled else ()
    own: list[BatchPainter] = [Own(work, studio, vae, batch) for batch in settings.batches]
    own += [Own(work, studio, vae, batch, compiled=True) for batch in compiled]
    if settings.draft:
        own += [Drafts(work, studio, vae, batch, settings.card.draft) for batch in settings.batches]
    if not settings.compare:
        return own
    shared = memory.attempted(subject.unrounded, work.device) if work.precision == "fp8" else studio.denoiser
    if shared is None:
        return own
    weights = (work, subject.parts, shared, vae)
    plain = memory.attempted(lambda: PlainLoop(*weights), work.device)
    pipeline = memory.attempted(lambda: kolors_pipeline(*weights), work.device)
    diffusers = [Diffusers(work, pipeline, batch) for batch in settings.batches] if pipeline is not None else []
    return [*own, *([plain] if plain is not None else []), *diffusers]


def _writing(settings: Settings, best: Runs, studio: Studio, work: Work) -> list[float]:
    """Seconds that it takes each time to make a file of a picture; in the folder for temporary files."""
    assert best.latents is not None
    pixels = studio.decode(best.latents[0].to(work.device))
    take = Take(
        scene="bench",
        seed=0,
        prompt=PROMPT,
        negative=NEGATIVE,
        width=work.width,
        height=work.height,
        steps=settings.steps,
        guidance=work.guidance,
        sampler=SAMPLER,
        model=settings.card.edition or settings.card.name,
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        once = partial(timed, torch.device("cpu"), lambda: write_atomically(file, encode_png(take, pixels)))
        return [once()[0] for _ in range(1 + settings.repeat)][1:]


def _likeness(rounds: Rounds, studio: Studio, device: torch.device) -> list[str]:
    """How like their full picture drafts are, in words: of the first picture of the smallest batch."""
    drafts = [runs for runs in rounds.runs if runs.painter.who == "storyboard (draft)"]
    if not drafts:
        return []
    latents = (runs.latents for runs in (rounds.runs[0], drafts[0]))
    full, draft = (studio.decode(it[0].to(device)) for it in latents if it is not None)
    return [f"storyboard (draft): {psnr(full, draft):.1f} dB (PSNR) from the full picture, the first of them"]


def _report(
    settings: Settings, work: Work, flops: Flops, rounds: Rounds, stages: tuple[Stage, ...], notes: tuple[str, ...]
) -> Report:
    machine = provenance(work.device, work.precision, 1, 0.0)
    return Report(
        model=settings.card.name,
        random_weights=settings.folder is None,
        width=work.width,
        height=work.height,
        steps=settings.steps,
        guidance=work.guidance,
        sampler=SAMPLER,
        precision=work.precision,
        repeat=settings.repeat,
        device=machine.device,
        threads=torch.get_num_threads(),
        versions=machine.versions,
        gemm_tflops=median(rounds.gemm),
        gemm_runs=tuple(rounds.gemm),
        stages=stages,
        rows=rows_of(rounds, flops, work.device.type == "cpu"),
        latents_range=latents_range(rounds),
        notes=notes,
    )


def _missing(settings: Settings, rounds: Rounds) -> list[str]:
    """The others of which not even the weights fit into memory beside this program's."""
    named = {runs.painter.who for runs in rounds.runs} | {words.partition(",")[0] for words in rounds.skipped}
    return [f"{who}: out of memory" for who in OTHERS if settings.compare and who not in named]

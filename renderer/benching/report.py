"""What a benchmark found: plain values, the same for the table and the file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Who = Literal["storyboard", "storyboard (compiled)", "storyboard (draft)", "plain loop", "diffusers"]
OWN: tuple[Who, ...] = ("storyboard", "storyboard (compiled)")
OTHERS: tuple[Who, ...] = ("plain loop", "diffusers")
WHO: dict[Who, str] = {
    "storyboard": "this program: all takes of a batch with their negatives in one call",
    "storyboard (compiled)": "the same by code that torch's compiler makes, once for each batch size",
    "storyboard (draft)": "the same as a draft, as the model's card has it: fewer steps, some of them in part",
    "plain loop": "DiffSynth's UNet as its users call it: a picture at a time, two calls a step, eager",
    "diffusers": "diffusers.KolorsPipeline",
}
StageName = Literal["load", "encode", "denoise", "decode", "write"]
REPORT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of this program. `seconds` is the median of `runs`, None where it was not measured; `what` says of what.

    `tflop` is its work, `tflops` that work in a second, `gemm_share` the same as a part of the device's own rate.
    """

    name: StageName
    what: str
    seconds: float | None
    runs: tuple[float, ...] = ()
    tflop: float | None = None
    tflops: float | None = None
    gemm_share: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One of those that paint, at one batch size; numbers are medians over the rounds.

    `denoise_seconds` and `decode_seconds` are of a whole batch, `seconds` of one picture, denoised and decoded: `runs`
    has it for each round. `tflop` is what denoising a picture takes in this way. `over_plain` and `over_diffusers`
    tell how many times as fast it is as the plain loop, and as diffusers at its best batch. `difference` is the largest
    one of its latents from the first row's, for the same noise; `peak_bytes` None where it was not measured.
    `compile_seconds` went into compiling, once, and count in none of these; None where nothing is compiled.
    `cpu_seconds` are those of all threads together for a picture, which other programs disturb less; None on a GPU.
    """

    who: Who
    batch: int
    precision: str
    denoise_seconds: float
    decode_seconds: float
    seconds: float
    pictures_per_minute: float
    tflop: float
    tflops: float
    gemm_share: float
    runs: tuple[float, ...]
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    difference: float | None = None
    over_plain: float | None = None
    over_diffusers: float | None = None
    compile_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `latents_range` is the largest number among the latents that are compared, `notes` say what could not
    be measured or compared, and why.
    """

    model: str
    random_weights: bool
    width: int
    height: int
    steps: int
    guidance: float
    sampler: str
    precision: str
    repeat: int
    device: str
    threads: int
    versions: dict[str, str]
    gemm_tflops: float
    gemm_runs: tuple[float, ...]
    stages: tuple[Stage, ...]
    rows: tuple[Row, ...]
    latents_range: float
    notes: tuple[str, ...] = ()
    report: int = REPORT_VERSION

    @property
    def best(self) -> Row:
        """This program at the batch size with the most pictures a minute, compiled or not."""
        return min((row for row in self.rows if row.who in OWN), key=lambda row: row.seconds)

    def to_json(self) -> str:
        """For machines: all fields by their names."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

"""`storyboard bench`: how fast this machine paints, and in what its time goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from renderer.commands.console import count, err, escaped, out
from renderer.errors import StoryboardError

if TYPE_CHECKING:
    from rich.table import Table

    from renderer.benching.report import Report

NOT_MEASURED = "not measured"


class Unit(NamedTuple):
    """What arithmetic is counted in, and how many of it make 10^12."""

    name: str
    per_tera: int

    def digits(self, tera: float | None) -> str:
        """So many 10^12, in this unit."""
        return "" if tera is None else _digits(tera * self.per_tera)


def bench(
    model: Annotated[
        str | None, typer.Option(help="A model by name, or the path of its folder. Default: kolors-mini.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="WxH, or an aspect like 16:9. Default: the model's own.")] = None,
    steps: Annotated[int | None, typer.Option(help="Default: the model's own.")] = None,
    batch: Annotated[str, typer.Option(help="Pictures at once; several with commas.")] = "1,4",
    precision: Annotated[
        str | None, typer.Option(help="fp32, fp16 or bf16. Default: fp16 on a GPU, fp32 on the CPU.")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Kolors at full size with random weights: nothing to download.")
    ] = False,
    repeat: Annotated[int, typer.Option(help="Rounds; what is told is the median.")] = 5,
    compare: Annotated[
        bool, typer.Option("--compare/--no-compare", help="Also paint the same in two other ways.")
    ] = True,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Also measure this program compiled, which takes a minute or more first.")
    ] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Also measure drafts.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", help="Also write what was found to this file.")] = None,
) -> None:
    """Measure how fast this machine paints, stage by stage, beside DiffSynth's plain loop and diffusers."""
    from renderer.benching.settings import choose, read_batches
    from renderer.files import explained, write_atomically

    if json_ is not None and not json_.parent.is_dir():
        raise StoryboardError(f"--json {json_}: there is no folder {json_.parent}. Make it first.")
    batches = read_batches(batch)
    settings = choose(model, size, steps, batches, precision, random_weights, repeat, compare, compile_, draft)
    with err.status("importing torch") as status:
        from renderer.benchmark import benchmark

        report = benchmark(settings, lambda words: status.update(escaped(words)))
    say_report(report)
    if json_ is not None:
        with explained(json_.parent, elsewhere="write elsewhere with --json FILE"):
            write_atomically(json_, report.to_json().encode())
        out.print(str(json_), markup=False)


def say_report(report: Report) -> None:
    """What was measured on which machine, and both tables."""
    weights = " with random weights" if report.random_weights else ""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    for line in (
        f"{report.model}{weights}, {report.width}x{report.height}, {report.steps} steps, {report.sampler}, "
        f"guidance {report.guidance:g}, {report.precision}; medians of {count(report.repeat, 'round')}",
        f"{report.device}, {report.threads} CPU threads; {versions}",
        f"matrix multiplication (matmul) in {report.precision}: {_unit(report).digits(report.gemm_tflops)}"
        f" {_unit(report).name}/s",
    ):
        out.print(line, markup=False)
    out.print()
    out.print(_stages(report), soft_wrap=False)
    out.print()
    out.print(_rows(report), soft_wrap=False)
    for line in _notes(report):
        out.print(line, markup=False)


def _stages(report: Report) -> Table:
    unit = _unit(report)
    table = _table(["stage", "of"], ["seconds", unit.name, f"{unit.name}/s", "of matmul"])
    for stage in report.stages:
        seconds = NOT_MEASURED if stage.seconds is None else _digits(stage.seconds)
        rates = (unit.digits(stage.tflop), unit.digits(stage.tflops), _percent(stage.gemm_share))
        table.add_row(stage.name, stage.what, seconds, *rates)
    return table


def _rows(report: Report) -> Table:
    """Without columns that would be empty, so that it is no wider than a terminal of 80 letters."""
    unit = _unit(report)
    formats = [row.precision for row in report.rows]
    columns: dict[str, list[str]] = {
        "batch": [str(row.batch) for row in report.rows],
        "in": formats if len(set(formats)) > 1 else [],
        "s a\npicture": [_digits(row.seconds) for row in report.rows],
        "CPU\ns": [_digits(row.cpu_seconds) for row in report.rows],
        "pictures\na min": [_digits(row.pictures_per_minute) for row in report.rows],
        f"{unit.name}\n/s": [unit.digits(row.tflops) for row in report.rows],
        "of\nmatmul": [_percent(row.gemm_share) for row in report.rows],
        "compil-\ning s": [_digits(row.compile_seconds) for row in report.rows],
        "memory": ["" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.1f} GB" for row in report.rows],
        "latents\noff": ["" if row.difference is None else f"{row.difference:.1e}" for row in report.rows],
        "×\nplain": [_digits(row.over_plain) for row in report.rows],
        "× dif-\nfusers": [_digits(row.over_diffusers) for row in report.rows],
    }
    filled = {title: cells for title, cells in columns.items() if any(cells)}
    table = _table(["painted by"], [*filled])
    for row, *cells in zip(report.rows, *filled.values(), strict=True):
        table.add_row(row.who, *cells, style="bold" if row == report.best else None)
    return table


def _notes(report: Report) -> list[str]:
    from renderer.benching.report import WHO

    others = [who for who in WHO if any(row.who == who for row in report.rows)]
    lines = [f"A picture: denoised and decoded. {_unit(report).name}/s: of denoising, each in its own way."]
    lines += [f"{who}: {WHO[who]}." for who in others]
    if len(report.rows) > 1:
        reach = f"their largest number is {report.latents_range:.1f}"
        lines += [f"latents off: the largest difference from the first row's, for the same noise; {reach}."]
    if all(row.peak_bytes is None for row in report.rows):
        lines += ["memory: not measured, which is possible on CUDA alone."]
    return lines + [f"{words}." for words in report.notes]


def _unit(report: Report) -> Unit:
    """The same in a whole report."""
    return Unit("TFLOP", 1) if report.gemm_tflops >= 1 else Unit("GFLOP", 1000)


def _table(words: list[str], numbers: list[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for number, title in enumerate(words):
        table.add_column(title, overflow="fold", no_wrap=number == 0)
    for title in numbers:
        table.add_column(title, justify="right", overflow="fold")
    return table


def _digits(number: float | None) -> str:
    """Three digits that count: `0.0123`, `4.56`, `789`."""
    if number is None:
        return ""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"

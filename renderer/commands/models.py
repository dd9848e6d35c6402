"""`storyboard models …`: the weights on this machine, fetched, listed, verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from renderer.commands.console import count, err, out
from renderer.errors import StoryboardError

app = typer.Typer(help="The models on this machine: list, pull, verify.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """The models on this machine: edition, native size, folder, and whether they are whole."""
    from renderer.kolors.card import edition_of, find_model, model_names, read_card
    from renderer.kolors.layout import missing_parts

    for name in model_names():
        folder = find_model(name)
        if folder is None:
            continue
        problems = missing_parts(folder)
        try:
            card = read_card(folder)
            edition = card.edition or (edition_of(folder) if not problems else "not whole")
        except StoryboardError as error:
            err.print(str(error), markup=False)
            continue
        out.print(f"{name}: {edition}, {card.size[0]}x{card.size[1]}, {folder}", markup=False)
        for problem in problems:
            err.print(f"  {problem}", markup=False)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="The model: kolors.")],
    from_: Annotated[
        str | None,
        typer.Option("--from", help="A folder that holds the model already, or another model's name on ModelScope."),
    ] = None,
    mirror: Annotated[str | None, typer.Option(help="Another server with ModelScope's interface, as a URL.")] = None,
    into: Annotated[Path | None, typer.Option(help="The folder of models to put it into.")] = None,
) -> None:
    """Fetch a model's weights; run it again to go on where it stopped. Sizes and hashes are verified."""
    from renderer.kolors.card import edition_of
    from renderer.kolors.download import pull as fetch

    source = Path(from_) if from_ is not None and Path(from_).is_dir() else from_
    if isinstance(source, str) and (source.startswith(("/", ".", "~")) or "\\" in source):
        raise StoryboardError(f"--from {from_}: there is no such folder.")
    if isinstance(source, str) and source.count("/") != 1:
        raise StoryboardError(
            f"--from {from_}: neither a folder nor a model's name such as Kwai-Kolors/Kolors-diffusers."
        )
    with _transfer() as progress:
        folder = fetch(name, into, source, mirror, progress)
    out.print(f"{edition_of(folder)} in {folder}", markup=False)


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="The model, by name or by the path of its folder.")] = "kolors",
) -> None:
    """Read a model's weights again and compare them with the hashes on record."""
    from renderer.kolors.card import require_model
    from renderer.kolors.download import verify as compare

    folder, _ = require_model(name)
    problems = compare(folder)
    for problem in problems:
        err.print(problem, style="red", markup=False)
    if problems:
        raise StoryboardError(f"{folder}: {count(len(problems), 'file')} not as they should be.")
    out.print(f"{folder}: all is well.", markup=False)


@contextmanager
def _transfer() -> Iterator[Callable[[str, int, int], None]]:
    """A bar of bytes in a terminal, a line for each file elsewhere."""
    if not out.is_terminal:
        said: list[str] = []

        def line(file: str, done: int, total: int) -> None:
            if said[-1:] != [file]:
                said.append(file)
                out.print(f"[{done / 1e6:.0f}/{total / 1e6:.0f} MB] {file}", markup=False)

        yield line
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True) as bar:
        task = bar.add_task("asking", total=None)
        yield lambda file, done, total: bar.update(task, description=file, completed=done, total=total)

"""`storyboard export`: the story for paper, editors, spreadsheets and chat windows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderer.commands.console import count, err, out, render_command
from renderer.commands.loras import Folders

if TYPE_CHECKING:
    from renderer.export import Exported

NAMED = 20
"""Scenes without a picture that are named; of more, the number is said."""


def export(
    story: Annotated[Path, typer.Argument(help="The storyboard file.", metavar="STORY.yaml", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", help="pdf, single-html, csv, fcpxml, mp4, gif or zip.", show_default=False)
    ],
    out_file: Annotated[
        Path | None, typer.Option("--out-file", help="The file to write. Default: exports/<story> in the run folder.")
    ] = None,
    all_takes: Annotated[
        bool, typer.Option("--all-takes", help="All takes of each scene, not its pick (else its first) alone.")
    ] = False,
    fps: Annotated[int, typer.Option(help="Frames a second of timecodes, fcpxml and mp4.", min=1, max=60)] = 24,
    width: Annotated[
        int | None,
        typer.Option(help="Pixels across of mp4 and gif. Default: 1280 and 480.", min=64, max=4096, show_default=False),
    ] = None,
    paper: Annotated[str, typer.Option(help="What a PDF is printed on: A4 or letter.")] = "A4",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    out_: Annotated[Path | None, typer.Option("--out", help="The run folder. Default: renders/<story's name>.")] = None,
    loras: Folders = None,
) -> None:
    """Write a story as PDF, one HTML file, shot list, timeline, film or package; scenes without a duration last 3 s."""
    from renderer.export import export_story

    exported = export_story(
        story,
        to,  # type: ignore[arg-type]  # refused there with a did-you-mean
        out=out_,
        out_file=out_file,
        all_takes=all_takes,
        fps=fps,
        width=width,
        paper=paper,  # type: ignore[arg-type]  # and so is this
        force=force,
        loras=loras or (),
    )
    out.print(f"{exported.path}  {_size(exported.path.stat().st_size)}", markup=False)
    painting = render_command(story, exported.folder, loras)
    if exported.drafts:
        err.print(
            f"Only drafts in {count(exported.drafts, 'panel')}. To paint in full: {painting}",
            markup=False,
        )
    if exported.unapplied:
        _say_unapplied(exported, story)
    if exported.absent:
        _say_absent(exported, painting)
        raise typer.Exit(1)


def _say_absent(exported: Exported, painting: str) -> None:
    names = [panel.name for panel in exported.absent[:NAMED]]
    more = len(exported.absent) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    err.print(
        f"{count(len(exported.absent), 'panel')} without a picture, left empty: {listed}. To paint: {painting}",
        markup=False,
    )


def _say_unapplied(exported: Exported, story: Path) -> None:
    review, scenes = exported.folder / "review.json", count(len(exported.unapplied), "scene")
    err.print(
        f"The review picks otherwise than the story in {scenes}; the story's picks were exported. "
        f"To take over the review's: storyboard apply {shlex.quote(str(review))} {shlex.quote(str(story))}",
        markup=False,
    )


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"

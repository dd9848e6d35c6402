"""`storyboard apply` and `storyboard review`: what is decided on the sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderer.commands.console import count, err, out, render_command
from renderer.commands.loras import Folders
from renderer.errors import AuthoringError

if TYPE_CHECKING:
    from renderer.review import Revision

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def apply(
    review: Annotated[Path, typer.Argument(help="What the sheet saved or downloaded.", metavar="REVIEW.json")],
    story: Annotated[
        Path | None,
        typer.Argument(help="The storyboard file. Default: the one that the review names.", metavar="STORY.yaml"),
    ] = None,
    out_: Annotated[Path | None, typer.Option("--out", help="The run folder. Default: renders/<story's name>.")] = None,
    remove_rejected: Annotated[
        bool, typer.Option("--remove-rejected", help="Remove the seeds of rejected takes from the file.")
    ] = False,
    more: Annotated[
        int, typer.Option(help="Add so many new seeds to each scene of which every take was rejected.", min=0)
    ] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Write the file.")] = False,
    loras: Folders = None,
) -> None:
    """Bring the decisions of a review into the storyboard: show what would change, and write it with --yes."""
    from renderer.review import revise, write_revision

    try:
        revision = revise(review, story, out=out_, remove_rejected=remove_rejected, more=more, loras=loras or ())
    except AuthoringError as error:
        for problem in error.problems:
            err.print(str(problem), markup=False)
        words = f"{count(len(error.problems), 'problem')}; nothing was changed. The review is kept: {review}"
        err.print(words, style="red", markup=False)
        raise typer.Exit(2) from None
    if yes and revision.after != revision.before:
        write_revision(revision)
    _say_revision(revision, render_command(revision.story, revision.folder, loras), written=yes)


def review(
    story: Annotated[Path, typer.Argument(help="The storyboard file.", metavar="STORY.yaml", show_default=False)],
    out_: Annotated[Path | None, typer.Option("--out", help="The run folder. Default: renders/<story's name>.")] = None,
    port: Annotated[
        int | None, typer.Option(help="The port to serve at. Default: one of the story's own.", min=1024, max=65535)
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Don't open the browser.")] = False,
    templates: Annotated[
        Path | None, typer.Option("--templates", help="A folder with templates of your own for the sheet.", exists=True)
    ] = None,
) -> None:
    """Review the sheet in the browser, on this machine only; each decision is on disk at once."""
    from renderer.commands.serving import serve

    serve(story, out_, port, templates, open_=not no_open)


def _say_revision(revision: Revision, rendering: str, *, written: bool) -> None:
    for line in revision.diff():
        out.print(line, style=_COLOURS.get(line[:1], ""), markup=False)
    for words in revision.applied:
        out.print(words, markup=False)
    for words in revision.left_out:
        err.print(f"left out: {words}", style="yellow", markup=False)
    if revision.after == revision.before:
        out.print(f"{revision.story}: nothing to change.", markup=False)
    elif written:
        out.print(f"{revision.story} is written. Next: {rendering}", markup=False)
    else:
        out.print("Nothing is written yet: --yes writes it.", markup=False)

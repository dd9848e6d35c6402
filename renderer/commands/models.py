"""`storyboard models …`: the weights on this machine, fetched, listed, verified."""

from __future__ import annotations

import typer

from renderer.commands.console import err, out
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

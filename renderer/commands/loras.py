"""`storyboard loras …`: which LoRA files there are, and what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from renderer.commands.console import count, err, out
from renderer.errors import LoraError, StoryboardError, did_you_mean

app = typer.Typer(help="LoRA files: list, inspect.", no_args_is_help=True)

Folders = Annotated[list[Path] | None, typer.Option("--loras", help="A folder to look for LoRA files in first.")]


@app.command("list")
def list_(loras: Folders = None) -> None:
    """The LoRA files that a story in the working folder could name, with format, rank and content."""
    from renderer.kolors.lora_file import find_lora, inspect_lora, lora_sha256
    from renderer.reading.lora_folders import known_loras, lora_folders

    folders = lora_folders(Path("story.yaml"), loras or ())
    names = known_loras(folders)
    for name in names:
        path = find_lora(name, folders)
        if path is None:
            continue
        try:
            header = inspect_lora(path)
        except LoraError as error:
            err.print(str(error), markup=False)
            continue
        ranks = "/".join(map(str, header.ranks))
        out.print(f"{name}: {header.format}, rank {ranks}, sha256 {lora_sha256(path)[:12]}, {path}", markup=False)
    if not names:
        out.print("No LoRA files in: " + ", ".join(map(str, folders)), markup=False)


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(help="A LoRA file, or a LoRA's name.")],
    model: Annotated[str, typer.Option(help="The model that it should fit.")] = "",
    loras: Folders = None,
) -> None:
    """Format, rank, layers and metadata of a LoRA file, and whether it fits a model."""
    from renderer.kolors.card import require_model
    from renderer.kolors.lora_file import check_fit, find_lora, inspect_lora, lora_sha256
    from renderer.reading.lora_folders import known_loras, lora_folders

    folders = lora_folders(Path("story.yaml"), loras or ())
    path = Path(file) if Path(file).is_file() else find_lora(file, folders)
    if path is None:
        raise StoryboardError(f'There is no LoRA "{file}". {did_you_mean(file, known_loras(folders))}'.rstrip())
    header = inspect_lora(path)
    out.print(f"file    {path}", markup=False)
    out.print(f"format  {header.format}", markup=False)
    out.print(f"sha256  {lora_sha256(path)}", markup=False)
    out.print(f"rank    {', '.join(map(str, header.ranks))} in {count(len(header.layers), 'layer')}", markup=False)
    for key, value in sorted(header.metadata.items()):
        out.print(f"{key}: {value[:200]}", markup=False)
    if model:
        folder, card = require_model(model)
        check_fit(header, folder)
        out.print(f"It fits {card.name}.", markup=False)

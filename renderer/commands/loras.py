"""`storyboard loras …`: which trained files there are, what is in one, and LoRAs in other programs' spellings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renderer.commands.console import err, out
from renderer.errors import StoryboardError, did_you_mean

if TYPE_CHECKING:
    from renderer.manifest import LoraLineage

app = typer.Typer(help="LoRA files, embeddings and hypernetworks: list, inspect, convert.", no_args_is_help=True)

Folders = Annotated[
    list[Path] | None,
    typer.Option("--loras", help="A folder to look for LoRA files in first.", exists=True, file_okay=False),
]
File = Annotated[str, typer.Argument(help="A file, or its name without the ending.", show_default=False)]
SHOWN = 200
"""Characters of a header's value that are printed."""


@app.command("list")
def list_(loras: Folders = None) -> None:
    """The trained files that a story in the working folder could name: what they are, and where they come from."""
    from renderer.kolors.files.lineage import lineage_of
    from renderer.kolors.files.trained_file import read_trained_file
    from renderer.kolors.lora.file import find_lora, lora_sha256
    from renderer.reading.lora_folders import known_loras, lora_folders

    folders = lora_folders(Path("story.yaml"), loras or ())
    names = known_loras(folders)
    for name in names:
        path = find_lora(name, folders)
        if path is None:
            continue
        try:
            found, sha256 = read_trained_file(path), lora_sha256(path)
        except StoryboardError as error:
            err.print(str(error), markup=False)
            continue
        facts = (f"{word} {_visible(value)}" for word, value in _facts(lineage_of(path, sha256)))
        out.print(
            ", ".join((f"{name}: {found.content.form}", *facts, f"sha256 {sha256[:12]}", str(path))), markup=False
        )
    if not names:
        out.print("No LoRA files in: " + ", ".join(map(str, folders)), markup=False)


@app.command()
def inspect(
    file: File,
    model: Annotated[str, typer.Option(help="The model that it should fit.")] = "",
    loras: Folders = None,
) -> None:
    """What a trained file is, where it comes from, its header, and whether it fits a model."""
    from renderer.kolors.card import require_model
    from renderer.kolors.files.lineage import lineage_of
    from renderer.kolors.files.trained_file import read_trained_file
    from renderer.kolors.lora.file import lora_sha256

    path = _find(file, loras)
    found, sha256 = read_trained_file(path), lora_sha256(path)
    lineage = lineage_of(path, sha256)
    for word, value in (("file", path), ("format", found.content.form), ("sha256", sha256), *_facts(lineage)):
        out.print(f"{word:<14}{_visible(str(value))}", markup=False)
    for key, value in sorted(found.content.metadata.items()):
        out.print(f"{_visible(key)}: {_visible(value[:SHOWN])}", markup=False)
    if model:
        folder, card = require_model(model)
        found.content.check(folder)
        out.print(f"It fits {card.name}.", markup=False)


@app.command()
def convert(
    file: File,
    to: Annotated[str, typer.Option("--to", help="kohya, diffusers or diffsynth1.", show_default=False)],
    out_: Annotated[
        Path | None, typer.Option("--out", help="The file to write. Default: NAME.<format> beside the file.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model that it is for. Default: the first that it fits.")] = "",
    alpha: Annotated[
        float | None,
        typer.Option(help="What it was trained with, of a file that doesn't say (DiffSynth 1.x).", show_default=False),
    ] = None,
    loras: Folders = None,
) -> None:
    """Write a LoRA as another program reads it; what that program's files can't say is refused or told."""
    from renderer.kolors.lora.targets import ENDING, TARGETS

    target = next((it for it in TARGETS if it == to), None)
    if target is None:
        raise StoryboardError(f'--to {to}: LoRAs are not written as "{to}". {did_you_mean(to, TARGETS)}')
    path = _find(file, loras)
    from renderer.kolors.files.trained_file import read_trained_file

    kind = read_trained_file(path).kind
    if kind != "LoRA":
        raise StoryboardError(f"{path}: only LoRAs are converted; this is {'an' if kind[0] in 'ae' else 'a'} {kind}.")
    from renderer.kolors.lora.convert import convert_lora
    from renderer.kolors.lora.model import fitting_model

    fitting = fitting_model(path, model)
    done = convert_lora(
        path, out_ or path.with_name(f"{path.stem}.{to}{ENDING[target]}"), target, fitting.shapes, alpha
    )
    out.print(f"{done.file}  for {fitting.model}, sha256 {done.sha256[:12]}", markup=False)
    for note in done.notes:
        out.print(f"note: {note}", markup=False)


def _find(file: str, loras: list[Path] | None) -> Path:
    from renderer.kolors.lora.file import find_lora
    from renderer.reading.lora_folders import known_loras, lora_folders

    folders = lora_folders(Path("story.yaml"), loras or ())
    path = Path(file) if Path(file).is_file() else find_lora(file, folders)
    if path is None:
        raise StoryboardError(f'There is no LoRA "{file}". {did_you_mean(file, known_loras(folders))}'.rstrip())
    return path


def _visible(text: str) -> str:
    """What a stranger wrote, in one line: a terminal obeys what can't be seen, and takes a new line for ours."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _facts(lineage: LoraLineage) -> Iterator[tuple[str, str]]:
    """What is known of a file's origin, as word and value."""
    for word, value in lineage:
        if value:
            yield word.replace("_", " "), value

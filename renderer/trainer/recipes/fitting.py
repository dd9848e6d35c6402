"""Whether a recipe fits its model: the pictures' size, the layers to train, and how much text the encoder reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from renderer.errors import did_you_mean
from renderer.kolors.card import ModelCard
from renderer.kolors.lora.file import unet_shapes
from renderer.kolors.text import cut_at
from renderer.reading.findings import Findings
from renderer.reading.size import size_for
from renderer.reading.yaml_file import Where
from renderer.trainer.recipes.recipe_file import HypernetworkEntry, RecipeFile


def fitted_size(text: str | None, card: ModelCard, findings: Findings) -> tuple[int, int]:
    """Width and height in pixels; the card's where the recipe names none, or none that the model can learn."""
    where: Where = ("image", "size")
    try:
        size = size_for(text, card) if text is not None else card.size
    except ValueError as error:
        findings.tell(where, f'nothing can be trained at "{text}":', str(error))
        return card.size
    if card.learned_sizes and size not in card.learned_sizes:
        known = ", ".join(f"{width}x{height}" for width, height in card.learned_sizes)
        what = f"{card.name} has seen pictures of {known} only; at {size[0]}x{size[1]} it has more to learn."
        findings.warn(where, what, f"Leave the size out, or use {known}.")
    return size


def check_layers(file: RecipeFile, folder: Path, findings: Findings) -> None:
    """Each target names layers of the model's UNet, and each width of a hypernetwork is one of its contexts."""
    layers = unet_shapes(folder)
    targets = file.lora.targets
    for index, target in enumerate(targets):
        where: Where = ("lora", "targets", index)
        if target in targets[:index]:
            findings.tell(where, f'the target "{target}" is given twice.', "Keep one of them.")
        elif not any(f".{layer}".endswith(f".{target}") for layer in layers):
            what = f'no layer of {folder.name} is called, or ends in, "{target}".'
            findings.tell(where, what, did_you_mean(target, map(_ending, layers)))
    if file.hypernetwork is not None:
        contexts = {shape[1] for layer, shape in layers.items() if layer.endswith(".to_k")}
        _check_hypernetwork(file.hypernetwork, contexts, findings)


def check_texts(file: RecipeFile, card: ModelCard, folder: Path, findings: Findings) -> None:
    """The new word leaves room for others; a text of which the encoder will not read the end gets a warning."""
    entry, length = file.inversion, card.text_length
    if entry is not None and entry.vectors > length - 2:
        what = f"the text encoder reads {length - 2} pieces; {entry.vectors} vectors don't fit."
        findings.tell(("inversion", "vectors"), what, "4 to 8 are usual.")
        return
    embeddings = {entry.token: entry.vectors} if entry is not None else {}
    for where, text in _texts(file):
        cut = cut_at(folder, text, length, embeddings)
        if cut is not None:
            what = f"the text encoder reads {length - 2} pieces; this is cut before “{cut[:24]}”."
            findings.warn(where, what, "Put what matters first, or shorten it.")


def _check_hypernetwork(entry: HypernetworkEntry, contexts: set[int], findings: Findings) -> None:
    where: Where = ("hypernetwork",)
    if entry.structure[0] != 1 or entry.structure[-1] != 1:
        what = "a network gives back what it was given in the same width: its structure begins and ends with 1."
        findings.tell((*where, "structure"), what, "Write [1, 2, 1].")
    for index, width in enumerate(entry.widths or ()):
        if width not in contexts:
            shown = ", ".join(map(str, sorted(contexts)))
            findings.tell((*where, "widths", index), f"the model has no context of width {width}.", f"Known: {shown}.")


def _ending(layer: str) -> str:
    """The last part of a layer's name, with the one before it where that is a number: `to_q`, `to_out.0`."""
    parts = layer.split(".")
    return ".".join(parts[-2:] if parts[-1].isdigit() else parts[-1:])


def _texts(file: RecipeFile) -> Iterator[tuple[Where, str]]:
    """All that the recipe itself gives the text encoder to read, each with its place."""
    yield from ((("samples", "prompts", index), text) for index, text in enumerate(file.samples.prompts))
    yield ("samples", "negative"), file.samples.negative
    yield ("data", "caption"), file.data.caption or ""
    if file.dreambooth is not None:
        yield ("dreambooth", "class_prompt"), file.dreambooth.class_prompt
    if file.inversion is not None:
        yield ("inversion", "init"), file.inversion.init or ""

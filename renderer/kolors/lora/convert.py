"""LoRA files converted from any spelling to any other, so that other programs load them as trained."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderer.errors import LoraError
from renderer.files import explained
from renderer.kolors.files.lineage import read_card, read_metadata, write_card
from renderer.kolors.lora.file import LoraHeader, Shape, inspect_lora, lora_sha256
from renderer.kolors.lora.header import of_training
from renderer.kolors.lora.layers import adapter_metadata, read_lora
from renderer.kolors.lora.targets import ENDING, Target
from renderer.kolors.lora.write import Unwritable, write_pairs
from renderer.take import TakeLora

_SAID_ELSEWHERE = {
    *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules", "use_dora", "use_rslora"),
    *("peft_type", "inference_mode", "bias", "peft_version", "runtime_config"),
}
"""Of lora_adapter_metadata: what the converted file says in its own way, or what only concerns a training that runs."""


@dataclass(frozen=True)
class Conversion:
    """A LoRA in another spelling: the file, its sha256, its card where there was something to put on it.

    `notes` say what the spelling couldn't say, and what had to be assumed.
    """

    file: Path
    sha256: str
    card: Path | None
    notes: tuple[str, ...]


def convert_lora(
    source: Path, target: Path, to: Target, shapes: Mapping[str, Shape], alpha: float | None = None
) -> Conversion:
    """Writes the LoRA in `source` to `target` in another spelling; the change that it makes stays as it is.

    `shapes` are the UNet's; `alpha` is what a file was trained with that doesn't say so. Raises LoraError where the
    file can't be read, doesn't fit, can't be said in that spelling, or where `target` is there already;
    RunFolderError where it can't be written.
    """
    if target.suffix != ENDING[to]:
        raise LoraError(f"{target}: a file for {to} ends in {ENDING[to]}.")
    for file in (target, target.with_suffix(".json")):
        if file.exists():
            raise LoraError(f"{file}: is there already. Remove it, or write elsewhere with --out FILE.")
    if alpha is not None and not 0 < alpha < math.inf:
        raise LoraError(f"--alpha {alpha:g}: an alpha is a number above 0.")
    sha256 = lora_sha256(source)
    header, card = inspect_lora(source), read_card(source, sha256)
    metadata = read_metadata(source, card)
    pairs = read_lora(TakeLora(source.stem, sha256, alpha=alpha, path=source), shapes)
    with explained(target.parent, "the disk is full. Free some space.", "write elsewhere with --out FILE"):
        try:
            write_pairs(target, pairs, to, shapes, metadata)
        except Unwritable as error:
            raise LoraError(f"{source}: can't be said in a file for {to}: {error}.") from error
        written = lora_sha256(target)
        facts = _carried(source, sha256, target, written, card, metadata if to == "diffsynth1" else {})
        kept = write_card(target, facts) if facts else None
    return Conversion(target, written, kept, tuple(_notes(header, to, alpha, kept)))


def _carried(
    source: Path, sha256: str, target: Path, written: str, card: Mapping[str, Any], metadata: Mapping[str, str]
) -> dict[str, Any]:
    """The card of the converted file: that of its source, with what its source says in a header it hasn't got."""
    stated = of_training(metadata)
    if not card and not stated:
        return {}
    kept = {name: value for name, value in card.items() if name != "header"}
    if isinstance(kept.get("samples"), str):
        kept["samples"] = Path(os.path.relpath(source.parent / kept["samples"], target.parent)).as_posix()
    origin = {"converted_from": {"file": source.name, "sha256": sha256}}
    return kept | {"sha256": written} | origin | ({"header": stated} if stated else {})


def _notes(header: LoraHeader, to: Target, alpha: float | None, card: Path | None) -> Iterator[str]:
    if header.format == "diffsynth1" and alpha is None:
        ranks = "/".join(map(str, header.ranks))
        yield (
            f"DiffSynth 1.x files don't say what alpha they were trained with: taken as the rank ({ranks}). "
            "If it was another, convert again with --alpha."
        )
    if header.format != "diffsynth1" and alpha is not None:
        yield f"Taken as trained with alpha {alpha:g}, whatever the file itself says."
    left_out = sorted(name for name, value in adapter_metadata(header).items() if value and name not in _SAID_ELSEWHERE)
    if left_out:
        yield f"Left out of the header: {', '.join(left_out)} (how peft trained it; painting needs none of it)."
    if to == "diffsynth1":
        yield "In DiffSynth 1.x load it with lora_alpha=1.0, which is as trained: its files have no place for a scale."
        if card is not None and of_training(header.metadata):
            yield f"A .ckpt has no header: what it said is on the card, {card.name}."
    if to == "kohya":
        yield "diffusers' KolorsPipeline knows these names with load_lora_weights(file, unet_config=pipe.unet.config)."
    if to == "kohya" and header.dora:
        yield "But it leaves DoRA magnitudes out of kohya's files; ComfyUI and this program read them."

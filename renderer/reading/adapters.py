"""The files that a story names: LoRAs, what they were at steps of their training, embeddings, hypernetworks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from renderer.errors import did_you_mean
from renderer.reading.adapter_entries import Embeddings, HypernetworkEntry, Hypernetworks, LoraEntry, Loras, SweepEntry
from renderer.reading.findings import Findings
from renderer.reading.lora_folders import find_file, find_trained, known_loras
from renderer.reading.lora_steps import kept_steps, step_file
from renderer.reading.salvage import STAND_IN
from renderer.reading.scene import EmbeddingUse, HypernetworkUse, LoraUse, Sweep
from renderer.reading.yaml_file import Where

Kind = Literal["LoRA", "embedding", "hypernetwork"]
Named = str | LoraEntry | HypernetworkEntry

SHOWN = 12
"""Most steps that are listed where one is missing."""


class Adapters:
    """Finds the files that entries of a story name; what can't be found is told at its place."""

    def __init__(self, findings: Findings, folders: Sequence[Path]) -> None:
        self.findings, self.folders = findings, folders
        self._files: dict[tuple[str, Path], Path | None] = {}

    def loras(self, where: Where, entries: Loras | None) -> tuple[LoraUse, ...]:
        """The LoRAs of a list."""
        return tuple(self._lora(*found) for found in self._found("LoRA", where, entries or ()))

    def embeddings(self, where: Where, entries: Embeddings | None) -> tuple[EmbeddingUse, ...]:
        """The embeddings of a list."""
        found = self._found("embedding", where, entries or ())
        return tuple(EmbeddingUse(path.stem, path, place) for _, path, place in found)

    def hypernetworks(self, where: Where, entries: Hypernetworks | None) -> tuple[HypernetworkUse, ...]:
        """The hypernetworks of a list."""
        found = self._found("hypernetwork", where, entries or ())
        return tuple(
            HypernetworkUse(path.stem, path, entry.strength if isinstance(entry, HypernetworkEntry) else 1.0, place)
            for entry, path, place in found
        )

    def sweep(self, where: Where, entry: SweepEntry | None) -> Sweep | None:
        """What a sweep tries; None where there is none, or its LoRA can't be found."""
        if entry is None:
            return None
        path = self._file(entry.lora, where) if entry.step is None else self._trained(entry.lora, where)
        if path is None:
            self._tell_missing("LoRA", (*where, "lora"), entry.lora)
            return None
        files = {step: self._step(path, step, (*where, "step", n)) for n, step in enumerate(entry.step or ())}
        lora = LoraUse(path.stem, path, where=(*where, "lora"))
        return Sweep(lora, entry.strength or (), {step: file for step, file in files.items() if file})

    def file(self, name: str, beside: Path) -> Path | None:
        """The file of that name, looked for where a storyboard's LoRAs are; a path is relative to `beside`."""
        if (name, beside) not in self._files:
            self._files[name, beside] = find_file(name, beside, self.folders)
        return self._files[name, beside]

    def _lora(self, entry: Named, path: Path, place: Where) -> LoraUse:
        if not isinstance(entry, LoraEntry):
            return LoraUse(path.stem, path, where=place)
        scale = entry.model_dump(exclude={"name"})
        at = None if entry.step is None else self._step(path, entry.step, (*place, "step"))
        return LoraUse(path.stem, path, **scale, step_path=at, where=place)

    def _found(self, kind: Kind, where: Where, entries: Sequence[Named]) -> Iterator[tuple[Named, Path, Where]]:
        """Each entry with its file and its place; one that names none, or one that another has named, is told."""
        seen: set[Path] = set()
        for index, entry in enumerate(entries):
            place = (*where, index)
            name = entry if isinstance(entry, str) else entry.name
            if name == STAND_IN and place in self.findings.lost:
                continue
            stepped = isinstance(entry, LoraEntry) and entry.step is not None
            path = self._trained(name, place) if stepped else self._file(name, place)
            if path is None:
                self._tell_missing(kind, place, name)
            elif path in seen:
                self.findings.tell(place, f'the {kind} "{name}" is given twice.', "Keep one of them.")
            else:
                seen.add(path)
                yield entry, path, place

    def _file(self, name: str, place: Where) -> Path | None:
        return self.file(name, self._beside(place))

    def _trained(self, name: str, place: Where) -> Path | None:
        return find_trained(name, self._beside(place), self.folders)

    def _beside(self, place: Where) -> Path:
        return self.findings.root.find(place).source.file.parent

    def _tell_missing(self, kind: Kind, place: Where, name: str) -> None:
        hint = did_you_mean(name, known_loras(self.folders))
        self.findings.tell(
            place, f'there is no {kind} "{name}".', hint or "Put its file into lora_weights/ beside the story."
        )

    def _step(self, lora: Path, step: int, place: Where) -> Path | None:
        """The file of a LoRA at a step of its training; where there is none, the steps that were kept are told."""
        file = step_file(lora, step)
        if file is None:
            kept = sorted(kept_steps(lora))
            shown = ", ".join(map(str, kept[:SHOWN])) + (", …" if len(kept) > SHOWN else "")
            todo = f"Steps kept: {shown}." if kept else f"No steps were kept: there is none in {lora.stem}.steps/."
            self.findings.tell(place, f'the LoRA "{lora.stem}" was not kept at step {step}.', todo)
        return file

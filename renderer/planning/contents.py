"""The LoRAs, embeddings and hypernetworks of a story, read: what is in them, and whether they fit the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from renderer.errors import AuthoringError, EmbeddingError, HypernetworkError, LoraError, Problem
from renderer.kolors.embeddings import check_embedding_fit, inspect_embedding
from renderer.kolors.hypernetworks import check_hypernetwork_fit, inspect_hypernetwork
from renderer.kolors.lora.file import check_fit, inspect_lora, lora_sha256
from renderer.kolors.text import placeholder
from renderer.reading.scene import EmbeddingUse, HypernetworkUse, LoraUse
from renderer.reading.yaml_file import Where
from renderer.storyboard import Storyboard
from renderer.take import TakeEmbedding, TakeHypernetwork, TakeLora


@dataclass(frozen=True)
class Contents:
    """The content of each trained file: its sha256, and of an embedding (by its sha256) the number of its vectors."""

    sha256: dict[Path, str] = field(default_factory=dict)
    vectors: dict[str, int] = field(default_factory=dict)

    def loras(self, uses: Iterable[LoraUse]) -> tuple[TakeLora, ...]:
        """LoRAs as a take has them."""
        return tuple(
            TakeLora(
                name=use.name,
                sha256=self.sha256[use.file],
                strength=use.strength,
                alpha=use.alpha,
                rank=use.rank,
                diffsynth_alpha=use.diffsynth_alpha,
                path=use.file,
                step=use.step,
            )
            for use in uses
        )

    def embeddings(self, uses: Iterable[EmbeddingUse], *texts: str) -> tuple[TakeEmbedding, ...]:
        """Those of these embeddings that stand in a take's texts, by name."""
        found = [use for use in uses if any(placeholder(use.name) in text for text in texts)]
        return tuple(
            TakeEmbedding(use.name, self.sha256[use.path], use.path) for use in sorted(found, key=lambda use: use.name)
        )

    def hypernetworks(self, uses: Iterable[HypernetworkUse]) -> tuple[TakeHypernetwork, ...]:
        """Hypernetworks as a take has them."""
        return tuple(TakeHypernetwork(use.name, self.sha256[use.path], use.strength, use.path) for use in uses)


def read_contents(storyboard: Storyboard, model_folder: Path | None) -> Contents:
    """The content of every trained file of a story, checked to be of its kind and to fit the model.

    Raises AuthoringError with each file that can't be used, at the place where the story names it.
    """
    contents = Contents()
    problems: list[Problem] = []
    seen: set[tuple[Path, _Look]] = set()
    for path, where, look in _looks(storyboard, contents, model_folder):
        if (path, look) in seen:
            continue
        seen.add((path, look))
        try:
            contents.sha256[path] = lora_sha256(path)
            look(path)
        except (LoraError, EmbeddingError, HypernetworkError) as error:
            problems.append(storyboard.problem(where, str(error)))
    if problems:
        raise AuthoringError(problems)
    return contents


_Look = Callable[[Path], None]


def _looks(
    storyboard: Storyboard, contents: Contents, model_folder: Path | None
) -> Iterator[tuple[Path, Where, _Look]]:
    """Each file that the story names, where it does, and how it is looked into."""

    def look_at_lora(path: Path) -> None:
        header = inspect_lora(path)
        if model_folder is not None:
            check_fit(header, model_folder)

    def look_at_embedding(path: Path) -> None:
        header = inspect_embedding(path)
        if model_folder is not None:
            check_embedding_fit(header, model_folder)
        contents.vectors[contents.sha256[path]] = header.vectors

    def look_at_hypernetwork(path: Path) -> None:
        header = inspect_hypernetwork(path)
        if model_folder is not None:
            check_hypernetwork_fit(header, model_folder)

    yield from ((use.file, where, look_at_lora) for use, where in storyboard.lora_uses())
    yield from ((use.path, use.where, look_at_embedding) for use in storyboard.embedding_uses())
    yield from ((use.path, use.where, look_at_hypernetwork) for use in storyboard.hypernetwork_uses())

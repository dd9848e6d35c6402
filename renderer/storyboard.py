"""The storyboard: a story read from its YAML file, complete, with every default filled in and every name found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from renderer.errors import AuthoringError, Problem
from renderer.kolors.card import ModelCard, Precision
from renderer.manifest import GridStyle
from renderer.prompts import Expansion, Origin, Part, expand, join
from renderer.reading.findings import Findings
from renderer.reading.include import read_story
from renderer.reading.lora_folders import lora_folders
from renderer.reading.resolve import Resolver
from renderer.reading.salvage import validate_story
from renderer.reading.scene import Character, EmbeddingUse, HypernetworkUse, LoraUse, Scene, stack
from renderer.reading.template import Template, has_choice
from renderer.reading.yaml_file import Node, Where

__all__ = ["Character", "LoraUse", "Scene", "Storyboard", "load_storyboard"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a seed makes of a scene: its texts part by part, its LoRAs before a sweep, the embeddings at hand."""

    prompt: tuple[Part, ...]
    negative: tuple[Part, ...]
    loras: tuple[LoraUse, ...]
    embeddings: tuple[EmbeddingUse, ...]


@dataclass(frozen=True, slots=True)
class Storyboard:
    """A story, ready to be planned.

    `model` is a model's name or path, `model_folder` where it lies (None: the real Kolors, not on this machine).
    `folders` are those in which trained files are looked for by name. `warnings` are things that work, but hardly as
    they are meant.
    """

    path: Path
    title: str
    language: Literal["zh", "en"]
    model: str
    model_folder: Path | None
    card: ModelCard
    negative: str
    characters: Mapping[str, Character]
    grid: GridStyle
    precision: Precision | None
    reproducible: Literal["standard", "strict"]
    scenes: tuple[Scene, ...]
    folders: tuple[Path, ...]
    warnings: tuple[Problem, ...]
    _templates: Mapping[str, Template] = field(repr=False)
    _cast: Mapping[str, Template] = field(repr=False)
    _root: Node = field(repr=False, compare=False)
    _fixed: dict[tuple[str, Origin, str], Expansion | None] = field(default_factory=dict, repr=False, compare=False)
    """What templates become that no seed changes, by their text and tags; None for those that a seed does."""

    def resolved(self, scene: Scene, seed: int) -> Resolved:
        """All that depends on a seed, for the takes of one scene.

        The prompt is the style, then the scene's own; the negative is the board's, that of each character who appears,
        the scene's own. LoRAs come from the board, from those characters and from the scene, in this order; where the
        scene sweeps one, `Sweep.applied` makes of them what a take is painted with. Of two embeddings of one name the
        scene's own holds.
        """
        texts = self._expanded(scene.style, seed, "style"), self._expanded(scene.prompt, seed, "scene")
        appearing = [self.characters[name] for name in {name: None for text in texts for name in text.characters}]
        board = () if scene.replaces_negative else (self._expanded(self.negative, seed, "board"),)
        characters = (self._expanded(each.negative, seed, "character", each.name) for each in appearing)
        negatives = (*board, *characters, self._expanded(scene.negative_text, seed, "scene"))
        embeddings = (scene.base_embeddings, *(each.embeddings for each in appearing), scene.own_embeddings)
        return Resolved(
            prompt=join(text.parts for text in texts),
            negative=join(text.parts for text in negatives),
            loras=stack((scene.base_loras, *(each.loras for each in appearing), scene.own_loras)),
            embeddings=tuple({use.name: use for layer in embeddings for use in layer}.values()),
        )

    def lora_uses(self) -> Iterator[tuple[LoraUse, Where]]:
        """Every LoRA of the story with the place of its entry, once for each way it is applied, swept ones by file."""
        seen: set[LoraUse] = set()
        for scene in self.scenes:
            characters = (self.characters[name].loras for name in scene.characters)
            swept = scene.sweep.uses() if scene.sweep else ()
            for use in chain(scene.base_loras, *characters, scene.own_loras, swept):
                if use not in seen:
                    seen.add(use)
                    yield use, use.where

    def embedding_uses(self) -> Iterator[EmbeddingUse]:
        """Every embedding of the story, once for each of its entries; of characters, those that may appear in it."""
        appearing = dict.fromkeys(name for scene in self.scenes for name in scene.characters)
        characters = (self.characters[name].embeddings for name in appearing)
        scenes = ((*scene.base_embeddings, *scene.own_embeddings) for scene in self.scenes)
        return iter({use.where: use for use in chain(*characters, *scenes)}.values())

    def hypernetwork_uses(self) -> Iterator[HypernetworkUse]:
        """Every hypernetwork of the story, once for each of its entries."""
        return iter({use.where: use for scene in self.scenes for use in scene.hypernetworks}.values())

    def place_of(self, scene: str, key: str = "prompt") -> Where:
        """The path of a scene's key, for `problem`."""
        return ("scenes", next(entry.index for entry in self.scenes if entry.id == scene), key)

    def setting_of(self, scene: str, key: str) -> Where:
        """The path of a setting that a scene has, from its own entry or from the story's."""
        own = self.place_of(scene, key)
        return own if key in self._root.find(own[:-1]).items else (key,)

    def source_of(self, scene: str, field: str, part: Part) -> Where:
        """The path of the text from which a part of a scene's prompt or negative comes."""
        own = self.place_of(scene, field)
        shared: dict[Origin, Where] = {
            "board": ("negative",),
            "character": ("characters", part.name, field),
            "style": self.setting_of(scene, "style"),
        }
        return shared.get(part.origin, own)

    def problem(self, where: Where, what: str, todo: str = "") -> Problem:
        """A problem of the value at a path such as `("scenes", 3, "prompt")`, at its line and column."""
        return self._root.find(where).problem(where, what, todo)

    def _expanded(self, text: str, seed: int, origin: Origin, name: str = "") -> Expansion:
        """What a text of the story becomes; one without a choice in it is expanded once for all seeds."""
        tagged = (text, origin, name)
        template = self._templates[text]
        if tagged not in self._fixed:
            chooses = has_choice(template, self._cast)
            self._fixed[tagged] = None if chooses else expand(template, seed, self._cast, origin, name)
        return self._fixed[tagged] or expand(template, seed, self._cast, origin, name)


def load_storyboard(
    path: Path | str, *, loras: Sequence[Path] = (), models: Sequence[Path] | None = None
) -> Storyboard:
    """The storyboard in a YAML file.

    `loras` are folders in which LoRA files are looked for first; `models` the folders of models (default: the user's
    and the package's). Needs neither torch nor weights. Raises AuthoringError with all that is wrong in the file and
    in those it includes.
    """
    path = Path(path)
    root, problems = read_story(path)
    salvaged = validate_story(root)
    findings = Findings(root, salvaged.lost)
    folders = lora_folders(path, loras)
    resolver = Resolver(salvaged.story, findings, folders, models)
    problems = [*problems, *salvaged.problems, *findings.problems]
    if problems or resolver.card is None:
        raise AuthoringError(problems)
    story = salvaged.story
    return Storyboard(
        path=path,
        title=story.title or path.stem,
        language=story.language or "en",
        model=resolver.model,
        model_folder=resolver.model_folder,
        card=resolver.card,
        negative=story.negative or "",
        characters=resolver.characters,
        grid=GridStyle(**story.grid.model_dump()) if story.grid else GridStyle(),
        precision=story.precision,
        reproducible=story.reproducible or "standard",
        scenes=resolver.scenes,
        folders=folders,
        warnings=tuple(findings.warnings),
        _templates=resolver.casting.templates,
        _cast=resolver.casting.cast,
        _root=root,
    )

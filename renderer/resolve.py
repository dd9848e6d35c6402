"""From a valid storyboard file to complete scenes: models, LoRAs and characters found, sizes fitted, prompts parsed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from renderer.errors import ModelError, Problem, did_you_mean
from renderer.kolors.card import KOLORS, ModelCard, find_model, model_folders, read_card
from renderer.lora_folders import find_file, known_loras
from renderer.prompts import MAX_LENGTH, longest, measure_cast
from renderer.salvage import STAND_IN, Salvaged
from renderer.scene import Character, LoraUse, Scene, stack
from renderer.size import size_for
from renderer.story_file import CharacterEntry, Loras, PickEntry, ReplaceLoras, ReplaceText, SceneEntry, SeedRange
from renderer.template import Template, TemplateError, parse_template
from renderer.yaml_file import Node, Where

DEFAULT_MODEL = "kolors-mini"
MAX_TAKES = 100_000
MAX_UNKNOWN = 20
"""Most unknown characters that are told of one text."""
_FIRST_EDITION = KOLORS.model_copy(
    update={
        "name": DEFAULT_MODEL,
        "size": (256, 256),
        "min_size": 64,
        "max_size": 512,
        "steps": 25,
        "guidance": 4.0,
        "sampler": "ddim",
    }
)


class Resolver:
    """Completes one story. Whatever can't be completed becomes a problem, and the rest goes on."""

    def __init__(
        self, file: Path, root: Node, salvaged: Salvaged, folders: Sequence[Path], models: Sequence[Path] | None
    ) -> None:
        self.file, self.root, self.story, self.lost = file, root, salvaged.story, salvaged.lost
        self.folders, self.models = folders, models
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.model = self.story.model or DEFAULT_MODEL
        self.model_folder: Path | None = None
        self.card: ModelCard | None = None
        self.characters: dict[str, Character] = {}
        self.templates: dict[str, Template] = {}
        self.cast: dict[str, Template] = {}
        self.scenes: list[Scene] = []
        self._names = {*root.find(("characters",)).keys} if "characters" in root.items else set()
        self._lengths: dict[str, int] = {}
        self._used: set[str] = set()
        self._files: dict[tuple[str, Path], Path | None] = {}

    def resolve(self) -> None:
        """Complete the whole story."""
        self._find_model()
        self._read_characters()
        self._template(("style",), self.story.style or "")
        self._template(("negative",), self.story.negative or "")
        size = self._size(("size",), self.story.size, self.card.size if self.card else (0, 0))
        loras = tuple(self._loras(("loras",), self.story.loras))
        for index, entry in enumerate(self.story.scenes):
            self.scenes.append(self._scene(index, entry, size, loras))
        self._check_ids()
        self._check_takes()
        self._check_unused()

    def _find_model(self) -> None:
        node = self.root.find(("model",))
        is_path = any(mark in self.model for mark in "/\\") or self.model.startswith(".")
        if is_path:
            self.model = str((node.source.file.parent / self.model).resolve())
        try:
            self.model_folder = find_model(self.model, None, self.models)
            if self.model_folder is not None:
                self.card = read_card(self.model_folder)
            elif self.model == KOLORS.name:
                self.card = KOLORS
            elif self.model == DEFAULT_MODEL and self.models is None:
                self.card = _FIRST_EDITION
            else:
                self._unknown_model(node, is_path)
        except (ModelError, OSError, ValueError) as error:
            self.problems.append(node.problem(("model",), f"the model can't be used: {error}."))

    def _unknown_model(self, node: Node, is_path: bool) -> None:
        folders = model_folders() if self.models is None else self.models
        known = {folder.name for parent in folders if parent.is_dir() for folder in parent.iterdir() if folder.is_dir()}
        if is_path:
            what, todo = f'there is no model folder "{self.model}".', "A path is relative to the file it stands in."
        else:
            what, todo = (
                f'unknown model "{self.model}".',
                did_you_mean(self.model, {*known, KOLORS.name, DEFAULT_MODEL}),
            )
        self.problems.append(node.problem(("model",), what, todo))

    def _read_characters(self) -> None:
        entries = self.story.characters or {}
        places: dict[str, Where] = {}
        for name, entry in entries.items():
            text = entry if isinstance(entry, str) else entry.prompt
            places[name] = ("characters", name) if isinstance(entry, str) else ("characters", name, "prompt")
            self.cast[name] = self._template(places[name], text, look_up=False)
        self._lengths, endless = measure_cast(self.cast)
        for name, what in endless.items():
            if what:
                self.problems.append(self.root.find(places[name]).problem(places[name], what))
            self.cast[name], self._lengths[name] = Template("", ()), 0
        for name, entry in entries.items():
            self._look_up(self.cast[name], places[name])
            self.characters[name] = self._character(name, entry)

    def _character(self, name: str, entry: str | CharacterEntry) -> Character:
        if isinstance(entry, str):
            self._template((), "")
            return Character(name, entry)
        where: Where = ("characters", name)
        self._template((*where, "negative"), entry.negative or "")
        loras = tuple(self._loras((*where, "loras"), entry.loras))
        return Character(name, entry.prompt, entry.negative or "", loras)

    def _template(self, where: Where, text: str, *, look_up: bool = True) -> Template:
        """The template of a text; what is wrong with it is told at the brace where it goes wrong."""
        template = self.templates.get(text)
        if template is None:
            try:
                template = self.templates[text] = parse_template(text)
            except TemplateError as error:
                node = self.root.find(where)
                at = node.place_of(error.snippet, error.offset) if node.value == text else None
                self.problems.append(node.problem(where, error.what, error.todo, at=at))
                return Template(text, ())
            if longest(template, self._lengths) > MAX_LENGTH:
                what = f"the text becomes longer than {MAX_LENGTH:,} characters."
                self.problems.append(self.root.find(where).problem(where, what, "Use fewer characters in it."))
        if look_up:
            self._look_up(template, where)
        return template

    def _look_up(self, template: Template, where: Where) -> None:
        unknown = 0
        for reference in template.references:
            self._used.add(reference.name)
            if reference.name not in self._names and (unknown := unknown + 1) <= MAX_UNKNOWN:
                node = self.root.find(where)
                at = node.place_of(reference.source, reference.start) if node.value == template.source else None
                hint = did_you_mean(reference.name, self._names) or "Describe who it is under `characters:`."
                what = f'unknown character "{reference.name}".'
                self.problems.append(
                    node.problem(where, what, f"{hint} For literal braces write {{{{ and }}}}.", at=at)
                )

    def _appearing(self, template: Template, seen: dict[str, None]) -> None:
        """Add every character that a template may bring in to those seen."""
        for reference in template.references:
            if reference.name in self.characters and reference.name not in seen:
                seen[reference.name] = None
                self._appearing(self.cast[reference.name], seen)

    def _size(self, where: Where, text: str | None, default: tuple[int, int]) -> tuple[int, int]:
        if text is None or self.card is None:
            return default
        try:
            return size_for(text, self.card)
        except ValueError as error:
            self.problems.append(
                self.root.find(where).problem(where, f'no picture of "{text}" can be painted:', str(error))
            )
            return default

    def _loras(self, where: Where, entries: Loras | None) -> Iterator[LoraUse]:
        seen: set[Path] = set()
        for index, entry in enumerate(entries or ()):
            place = (*where, index)
            name = entry if isinstance(entry, str) else entry.name
            if name == STAND_IN and place in self.lost:
                continue
            node = self.root.find(place)
            path = self._lora_file(name, node.source.file.parent)
            if path is None:
                what = f'there is no LoRA "{name}".'
                todo = (
                    did_you_mean(name, known_loras(self.folders)) or "Put its file into lora_weights/ beside the story."
                )
                self.problems.append(node.problem(place, what, todo))
            elif path in seen:
                self.problems.append(node.problem(place, f'the LoRA "{name}" is given twice.', "Keep one of them."))
            else:
                seen.add(path)
                scale = {} if isinstance(entry, str) else entry.model_dump(exclude={"name"})
                yield LoraUse(path.stem, path, **scale, where=place)

    def _lora_file(self, name: str, beside: Path) -> Path | None:
        if (name, beside) not in self._files:
            self._files[name, beside] = find_file(name, beside, self.folders)
        return self._files[name, beside]

    def _scene(self, index: int, entry: SceneEntry, size: tuple[int, int], loras: tuple[LoraUse, ...]) -> Scene:
        where: Where = ("scenes", index)
        story, card = self.story, self.card or KOLORS
        style = story.style or "" if entry.style is None else entry.style
        appearing: dict[str, None] = {}
        for key, text in (("style", style), ("prompt", entry.prompt)):
            source = (key,) if key == "style" and entry.style is None else (*where, key)
            self._appearing(self._template(source, text), appearing)
        replaced = isinstance(entry.negative, ReplaceText)
        negative = entry.negative.replace if isinstance(entry.negative, ReplaceText) else entry.negative or ""
        self._template((*where, "negative", "replace") if replaced else (*where, "negative"), negative)
        base, own = self._scene_loras(where, entry, loras)
        width, height = self._size((*where, "size"), entry.size, size)
        return Scene(
            index=index,
            id=entry.id or f"scene-{index + 1:02d}",
            prompt=entry.prompt,
            style=style,
            negative_text=negative,
            replaces_negative=replaced,
            seeds=self._seeds(entry),
            width=width,
            height=height,
            steps=entry.steps or story.steps or card.steps,
            guidance=next(g for g in (entry.guidance, story.guidance, card.guidance) if g is not None),
            sampler=entry.sampler or story.sampler or card.sampler,
            base_loras=base,
            own_loras=own,
            loras=stack((base, *(self.characters[name].loras for name in appearing), own)),
            pick=entry.pick.seed if isinstance(entry.pick, PickEntry) else entry.pick,
            shot=entry.shot or "",
            camera=entry.camera or "",
            action=entry.action or "",
            dialogue=entry.dialogue or "",
            note=entry.note or "",
            duration=entry.duration,
        )

    def _scene_loras(
        self, where: Where, entry: SceneEntry, loras: tuple[LoraUse, ...]
    ) -> tuple[tuple[LoraUse, ...], tuple[LoraUse, ...]]:
        if isinstance(entry.loras, ReplaceLoras):
            return tuple(self._loras((*where, "loras", "replace"), entry.loras.replace)), ()
        return loras, tuple(self._loras((*where, "loras"), entry.loras))

    def _seeds(self, entry: SceneEntry) -> tuple[int, ...]:
        if isinstance(entry.seeds, SeedRange):
            return tuple(range(entry.seeds.start, entry.seeds.start + entry.seeds.count))
        return entry.seeds or (entry.seed or 0,)

    def _check_ids(self) -> None:
        first: dict[str, int] = {}
        for scene in self.scenes:
            if ("scenes", scene.index) in self.lost:
                continue
            before = first.setdefault(unicodedata.normalize("NFKC", scene.id).casefold(), scene.index)
            if before != scene.index:
                where = ("scenes", scene.index, "id")
                line = self.root.find(("scenes", before)).line
                what = f'the id "{scene.id}" is taken by the scene in line {line}.'
                todo = "Upper and lower case count as the same." if scene.id != self.scenes[before].id else ""
                self.problems.append(self.root.find(where).problem(where, what, todo or "Choose another."))

    def _check_takes(self) -> None:
        takes = 0
        for scene, entry in zip(self.scenes, self.story.scenes, strict=True):
            where: Where = ("scenes", scene.index)
            takes += len(scene.seeds)
            if entry.seed is not None and entry.seeds is not None:
                node = self.root.find(where)
                what = 'both "seed" and "seeds" are given.'
                self.problems.append(node.problem((*where, "seeds"), what, "Keep one.", at=node.keys.get("seeds")))
            if scene.seeds[-1] > 2**32 - 1:
                what = f"the last seed would be {scene.seeds[-1]}; the highest is {2**32 - 1}."
                self.problems.append(self.root.find((*where, "seeds")).problem((*where, "seeds"), what, "Start lower."))
            unsure = any((*where, key) in self.lost for key in ("seed", "seeds", "pick"))
            if scene.pick is not None and scene.pick not in scene.seeds and not unsure:
                shown = ", ".join(map(str, scene.seeds[:8])) + (", …" if len(scene.seeds) > 8 else "")
                what = f"no take of this scene has the seed {scene.pick}."
                self.problems.append(
                    self.root.find((*where, "pick")).problem((*where, "pick"), what, f"Its seeds: {shown}.")
                )
        if takes > MAX_TAKES:
            what = f"the story asks for {takes:,} pictures; at most {MAX_TAKES:,} are painted in one go."
            self.problems.append(
                self.root.find(("scenes",)).problem(("scenes",), what, "Split it into several stories.")
            )

    def _check_unused(self) -> None:
        """Warn of characters that appear nowhere; a cast that several stories include may have more than one needs."""
        node = self.root.find(("characters",))
        for name in self.characters.keys() - self._used:
            where = ("characters", name)
            if self.root.find(where).source.file == self.root.source.file:
                what = f'the character "{name}" appears nowhere.'
                self.warnings.append(node.find((name,)).problem(where, what, f"Write {{{name}}} in a prompt."))

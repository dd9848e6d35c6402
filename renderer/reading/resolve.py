"""From a valid storyboard file to complete scenes: models, LoRAs and characters found, sizes fitted, prompts parsed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from renderer.errors import ModelError, did_you_mean
from renderer.kolors.card import KOLORS, ModelCard, find_model, model_folders, read_card
from renderer.reading.casting import Casting
from renderer.reading.findings import Findings
from renderer.reading.lora_folders import find_file, known_loras
from renderer.reading.salvage import STAND_IN
from renderer.reading.scene import Character, LoraUse, Scene
from renderer.reading.size import size_for
from renderer.reading.story_file import (
    MAX_SEED,
    CharacterEntry,
    Loras,
    PickEntry,
    ReplaceLoras,
    ReplaceText,
    SceneEntry,
    SeedRange,
    StoryFile,
)
from renderer.reading.yaml_file import Where

DEFAULT_MODEL = "kolors-mini"
MAX_TAKES = 100_000


class Resolver:
    """Completes one story. What can't be completed goes to the findings, and the rest goes on."""

    def __init__(
        self, story: StoryFile, findings: Findings, folders: Sequence[Path], models: Sequence[Path] | None
    ) -> None:
        self.story, self.findings = story, findings
        self.folders, self.models = folders, models
        self._files: dict[tuple[str, Path], Path | None] = {}
        self.model = story.model or DEFAULT_MODEL
        self.model_folder, self.card = self._find_model()
        self.casting = Casting(findings, story.characters or {})
        self.casting.template(("style",), story.style or "")
        self.casting.template(("negative",), story.negative or "")
        self.characters = {name: self._character(name, entry) for name, entry in (story.characters or {}).items()}
        self.size = self._size(("size",), story.size, self.card.size if self.card else KOLORS.size)
        self.loras = tuple(self._loras(("loras",), story.loras))
        self.scenes = tuple(self._scene(index, entry) for index, entry in enumerate(story.scenes))
        self._check_ids()
        self._check_takes()
        self.casting.warn_of_unused()

    def _find_model(self) -> tuple[Path | None, ModelCard | None]:
        node = self.findings.root.find(("model",))
        is_path = any(mark in self.model for mark in "/\\") or self.model.startswith(".")
        if is_path:
            self.model = str((node.source.file.parent / self.model).absolute())
        try:
            folder = find_model(self.model, None, self.models)
            if folder is not None:
                return folder, read_card(folder)
        except (ModelError, OSError, ValueError) as error:
            self.findings.tell(("model",), f"the model can't be used: {error}.")
            return None, None
        if self.model == KOLORS.name:
            return None, KOLORS
        if is_path:
            what, todo = f'there is no model folder "{self.model}".', "A path is relative to the file it stands in."
        else:
            what, todo = f'there is no model "{self.model}".', did_you_mean(self.model, self._known_models())
        self.findings.tell(("model",), what, todo)
        return None, None

    def _known_models(self) -> set[str]:
        folders = model_folders() if self.models is None else self.models
        found = {folder.name for parent in folders for folder in parent.glob("*") if folder.is_dir()}
        return {*found, KOLORS.name}

    def _character(self, name: str, entry: str | CharacterEntry) -> Character:
        if isinstance(entry, str):
            return Character(name, entry)
        where: Where = ("characters", name)
        self.casting.template((*where, "negative"), entry.negative or "")
        return Character(name, entry.prompt, entry.negative or "", tuple(self._loras((*where, "loras"), entry.loras)))

    def _size(self, where: Where, text: str | None, default: tuple[int, int]) -> tuple[int, int]:
        if text is None or self.card is None:
            return default
        try:
            return size_for(text, self.card)
        except ValueError as error:
            self.findings.tell(where, f'no picture of "{text}" can be painted:', str(error))
            return default

    def _loras(self, where: Where, entries: Loras | None) -> Iterator[LoraUse]:
        seen: set[Path] = set()
        for index, entry in enumerate(entries or ()):
            place = (*where, index)
            name = entry if isinstance(entry, str) else entry.name
            if name == STAND_IN and place in self.findings.lost:
                continue
            path = self._lora_file(name, self.findings.root.find(place).source.file.parent)
            if path is None:
                hint = did_you_mean(name, known_loras(self.folders))
                todo = hint or "Put its file into lora_weights/ beside the story."
                self.findings.tell(place, f'there is no LoRA "{name}".', todo)
            elif path in seen:
                self.findings.tell(place, f'the LoRA "{name}" is given twice.', "Keep one of them.")
            else:
                seen.add(path)
                scale = {} if isinstance(entry, str) else entry.model_dump(exclude={"name"})
                yield LoraUse(path.stem, path, **scale, where=place)

    def _lora_file(self, name: str, beside: Path) -> Path | None:
        if (name, beside) not in self._files:
            self._files[name, beside] = find_file(name, beside, self.folders)
        return self._files[name, beside]

    def _scene(self, index: int, entry: SceneEntry) -> Scene:
        where: Where = ("scenes", index)
        story, card = self.story, self.card or KOLORS
        style = story.style or "" if entry.style is None else entry.style
        appearing = self.casting.appearing(
            self.casting.template(("style",) if entry.style is None else (*where, "style"), style),
            self.casting.template((*where, "prompt"), entry.prompt),
        )
        negative, replaces = self._negative(where, entry)
        base, own = self._scene_loras(where, entry)
        width, height = self._size((*where, "size"), entry.size, self.size)
        return Scene(
            index=index,
            id=entry.id or f"scene-{index + 1:02d}",
            prompt=entry.prompt,
            style=style,
            negative_text=negative,
            replaces_negative=replaces,
            seeds=self._seeds(where, entry),
            width=width,
            height=height,
            steps=entry.steps or story.steps or card.steps,
            guidance=next(scale for scale in (entry.guidance, story.guidance, card.guidance) if scale is not None),
            sampler=entry.sampler or story.sampler or card.sampler,
            base_loras=base,
            own_loras=own,
            characters=tuple(appearing),
            pick=entry.pick.seed if isinstance(entry.pick, PickEntry) else entry.pick,
            shot=entry.shot or "",
            camera=entry.camera or "",
            action=entry.action or "",
            dialogue=entry.dialogue or "",
            note=entry.note or "",
            duration=entry.duration,
        )

    def _negative(self, where: Where, entry: SceneEntry) -> tuple[str, bool]:
        """The scene's own negative, and whether it takes the place of the board's."""
        if isinstance(entry.negative, ReplaceText):
            self.casting.template((*where, "negative", "replace"), entry.negative.replace)
            return entry.negative.replace, True
        self.casting.template((*where, "negative"), entry.negative or "")
        return entry.negative or "", False

    def _scene_loras(self, where: Where, entry: SceneEntry) -> tuple[tuple[LoraUse, ...], tuple[LoraUse, ...]]:
        """The LoRAs below those of the scene's characters, and those above."""
        if isinstance(entry.loras, ReplaceLoras):
            return tuple(self._loras((*where, "loras", "replace"), entry.loras.replace)), ()
        return self.loras, tuple(self._loras((*where, "loras"), entry.loras))

    def _seeds(self, where: Where, entry: SceneEntry) -> tuple[int, ...]:
        if entry.seed is not None and entry.seeds is not None:
            at = self.findings.root.find(where).keys.get("seeds")
            self.findings.tell((*where, "seeds"), 'both "seed" and "seeds" are given.', "Keep one of them.", at=at)
        if not isinstance(entry.seeds, SeedRange):
            return entry.seeds or (entry.seed or 0,)
        last = entry.seeds.start + entry.seeds.count - 1
        if last > MAX_SEED:
            what = f"the last seed would be {last}; the highest is {MAX_SEED}."
            self.findings.tell((*where, "seeds"), what, "Start lower.")
        return tuple(range(entry.seeds.start, last + 1))

    def _check_ids(self) -> None:
        first: dict[str, int] = {}
        for scene in self.scenes:
            if ("scenes", scene.index) in self.findings.lost:
                continue
            before = first.setdefault(unicodedata.normalize("NFKC", scene.id).casefold(), scene.index)
            if before != scene.index:
                line = self.findings.root.find(("scenes", before)).line
                what = f'the id "{scene.id}" is taken by the scene in line {line}.'
                same = scene.id == self.scenes[before].id
                todo = "Choose another." if same else "Upper and lower case count as the same."
                self.findings.tell(("scenes", scene.index, "id"), what, todo)

    def _check_takes(self) -> None:
        for scene in self.scenes:
            where: Where = ("scenes", scene.index)
            unsure = any((*where, key) in self.findings.lost for key in ("seed", "seeds", "pick"))
            if scene.pick is not None and scene.pick not in scene.seeds and not unsure:
                shown = ", ".join(map(str, scene.seeds[:8])) + (", …" if len(scene.seeds) > 8 else "")
                what = f"no take of this scene has the seed {scene.pick}."
                self.findings.tell((*where, "pick"), what, f"Its seeds: {shown}.")
        takes = sum(len(scene.seeds) for scene in self.scenes)
        if takes > MAX_TAKES:
            what = f"the story asks for {takes:,} pictures; at most {MAX_TAKES:,} are painted in one go."
            self.findings.tell(("scenes",), what, "Split it into several stories.")

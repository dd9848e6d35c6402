"""From a valid storyboard file to complete scenes: models, LoRAs and characters found, sizes fitted, prompts parsed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from renderer.kolors.card import KOLORS, WHOLE
from renderer.reading.adapter_entries import ReplaceEmbeddings, ReplaceHypernetworks, ReplaceLoras, SweepEntry
from renderer.reading.adapters import Adapters
from renderer.reading.casting import Casting
from renderer.reading.findings import Findings
from renderer.reading.model_choice import DEFAULT_MODEL, choose_model
from renderer.reading.scene import Character, EmbeddingUse, HypernetworkUse, LoraUse, Scene, Sweep, stack
from renderer.reading.size import size_for
from renderer.reading.story_file import CharacterEntry, PickEntry, ReplaceText, SceneEntry, SeedRange, StoryFile
from renderer.reading.values import MAX_SEED
from renderer.reading.yaml_file import Where
from renderer.take_name import TakeName

MAX_TAKES = 100_000
SHOWN = 8
"""Most seeds or takes that are listed where a pick is none of them."""


class Resolver:
    """Completes one story. What can't be completed goes to the findings, and the rest goes on."""

    def __init__(
        self, story: StoryFile, findings: Findings, folders: Sequence[Path], models: Sequence[Path] | None
    ) -> None:
        self.story, self.findings = story, findings
        self.adapters = Adapters(findings, folders)
        self.model, self.model_folder, self.card = choose_model(findings, story.model or DEFAULT_MODEL, models)
        self.casting = Casting(findings, story.characters or {})
        self.casting.template(("style",), story.style or "")
        self.casting.template(("negative",), story.negative or "")
        self.characters = {name: self._character(name, entry) for name, entry in (story.characters or {}).items()}
        self.size = self._size(("size",), story.size, self.card.size if self.card else KOLORS.size)
        self.loras = self.adapters.loras(("loras",), story.loras)
        self.sweep = self.adapters.sweep(("sweep",), story.sweep)
        self.embeddings = self.adapters.embeddings(("embeddings",), story.embeddings)
        self.hypernetworks = self.adapters.hypernetworks(("hypernetworks",), story.hypernetworks)
        self.scenes = tuple(self._scene(index, entry) for index, entry in enumerate(story.scenes))
        self._check_ids()
        self._check_takes()
        self.casting.warn_of_unused()

    def _character(self, name: str, entry: str | CharacterEntry) -> Character:
        if isinstance(entry, str):
            return Character(name, entry)
        where: Where = ("characters", name)
        self.casting.template((*where, "negative"), entry.negative or "")
        return Character(
            name=name,
            prompt=entry.prompt,
            negative=entry.negative or "",
            loras=self.adapters.loras((*where, "loras"), entry.loras),
            embeddings=self.adapters.embeddings((*where, "embeddings"), entry.embeddings),
        )

    def _size(self, where: Where, text: str | None, default: tuple[int, int]) -> tuple[int, int]:
        if text is None or self.card is None:
            return default
        try:
            return size_for(text, self.card)
        except ValueError as error:
            self.findings.tell(where, f'no picture of "{text}" can be painted:', str(error))
            return default

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
        base_embeddings, own_embeddings = self._scene_embeddings(where, entry)
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
            guidance_interval=entry.guidance_interval or story.guidance_interval or WHOLE,
            cache_interval=entry.cache_interval or story.cache_interval or 1,
            base_loras=base,
            own_loras=own,
            characters=tuple(appearing),
            sweep=self._sweep((*where, "sweep"), entry),
            base_embeddings=base_embeddings,
            own_embeddings=own_embeddings,
            hypernetworks=self._scene_hypernetworks((*where, "hypernetworks"), entry),
            pick=_pick(entry.pick),
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
            return self.adapters.loras((*where, "loras", "replace"), entry.loras.replace), ()
        return self.loras, self.adapters.loras((*where, "loras"), entry.loras)

    def _scene_embeddings(
        self, where: Where, entry: SceneEntry
    ) -> tuple[tuple[EmbeddingUse, ...], tuple[EmbeddingUse, ...]]:
        """The embeddings below those of the scene's characters, and those above."""
        if isinstance(entry.embeddings, ReplaceEmbeddings):
            return self.adapters.embeddings((*where, "embeddings", "replace"), entry.embeddings.replace), ()
        return self.embeddings, self.adapters.embeddings((*where, "embeddings"), entry.embeddings)

    def _scene_hypernetworks(self, where: Where, entry: SceneEntry) -> tuple[HypernetworkUse, ...]:
        if isinstance(entry.hypernetworks, ReplaceHypernetworks):
            return self.adapters.hypernetworks((*where, "replace"), entry.hypernetworks.replace)
        return stack((self.hypernetworks, self.adapters.hypernetworks(where, entry.hypernetworks)))

    def _sweep(self, where: Where, entry: SceneEntry) -> Sweep | None:
        """The scene's own sweep, else the story's."""
        if isinstance(entry.sweep, SweepEntry):
            return self.adapters.sweep(where, entry.sweep)
        return self.sweep if entry.sweep is None else None

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
            self._check_pick(scene)
        takes = sum(len(scene.seeds) * (len(scene.sweep) if scene.sweep else 1) for scene in self.scenes)
        if takes > MAX_TAKES:
            what = f"the story asks for {takes:,} pictures; at most {MAX_TAKES:,} are painted in one go."
            sweeps = any(scene.sweep for scene in self.scenes)
            todo = "Sweep fewer strengths and steps, or fewer seeds." if sweeps else "Split it into several stories."
            self.findings.tell(("scenes",), what, todo)

    def _check_pick(self, scene: Scene) -> None:
        where: Where = ("scenes", scene.index)
        unsure = any((*where, key) in self.findings.lost for key in ("seed", "seeds", "sweep", "pick"))
        if scene.pick is None or unsure or ("sweep",) in self.findings.lost:
            return
        if scene.pick.seed not in scene.seeds:
            shown = ", ".join(map(str, scene.seeds[:SHOWN])) + (", …" if len(scene.seeds) > SHOWN else "")
            what = f"no take of this scene has the seed {scene.pick.seed}."
            self.findings.tell((*where, "pick"), what, f"Its seeds: {shown}.")
        elif scene.pick not in (names := tuple(scene.takes((scene.pick.seed,)))):
            shown = ", ".join(name.written for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
            many = "several takes of this scene have" if scene.pick.parts.keys() < names[0].parts.keys() else ""
            what = f"{many or 'no take of this scene has'} the {scene.pick}."
            self.findings.tell((*where, "pick"), what, f"Choose one: {shown}.")


def _pick(entry: PickEntry | int | None) -> TakeName | None:
    """The take that a scene's `pick:` names."""
    if isinstance(entry, PickEntry):
        return TakeName(entry.seed, entry.strength, entry.step)
    return None if entry is None else TakeName(entry)

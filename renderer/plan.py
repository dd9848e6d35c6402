"""What will be painted, and why: every take of a story resolved, and compared with what the run folder holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from renderer.errors import AuthoringError, LoraError, Problem
from renderer.inventory import Inventory, take_inventory
from renderer.kolors.card import edition_of
from renderer.kolors.lora_file import check_fit, inspect_lora, lora_sha256
from renderer.kolors.text import cut_at
from renderer.manifest import Manifest, SceneEntry, TakeEntry, read_manifest, stamp
from renderer.prompts import text_of
from renderer.reasons import why_painted
from renderer.storyboard import LoraUse, Scene, Storyboard, load_storyboard
from renderer.take import Take, TakeLora
from renderer.timing import estimate

RUNS = Path("renders")
BYTES_PER_PIXEL = 1.6
"""Of a PNG picture where this run folder has none to measure: what Kolors' pictures come to."""


@dataclass(frozen=True)
class PlannedTake:
    """A take, its entry in the manifest, and why it has to be painted; an empty `reason` says that it is up to date."""

    take: Take
    entry: TakeEntry
    reason: str

    def chosen(self, scenes: Sequence[str], seeds: Sequence[int]) -> bool:
        """Whether it is a take of these scenes and seeds; none given means all."""
        return (not scenes or self.take.scene in scenes) and (not seeds or self.take.seed in seeds)


@dataclass(frozen=True)
class Plan:
    """All takes of a story in story order, and the run folder they belong to.

    `extra_seeds` go by scene; `stamp` tells whether the run folder has changed since. `warnings` are about what will be
    painted otherwise than the author may think, such as a prompt that is too long.
    """

    storyboard: Storyboard
    folder: Path
    model: str
    takes: tuple[PlannedTake, ...]
    extra_seeds: dict[str, tuple[int, ...]]
    previous: Manifest | None
    inventory: Inventory
    stamp: tuple[tuple[int, int], ...]

    @property
    def model_folder(self) -> Path | None:
        """Where the weights lie; None where they are not on this machine."""
        return self.storyboard.model_folder

    @cached_property
    def to_paint(self) -> tuple[PlannedTake, ...]:
        """Takes whose picture is not there, each key once."""
        waiting = {planned.take.key: planned for planned in reversed(self.takes) if planned.reason}
        return tuple(planned for planned in self.takes if waiting.get(planned.take.key) is planned)

    def select(
        self, scenes: Sequence[str] = (), seeds: Sequence[int] = (), limit: int | None = None
    ) -> tuple[PlannedTake, ...]:
        """Of the takes to paint, those of the given scenes and seeds (all where none is given), at most `limit`."""
        return tuple([planned for planned in self.to_paint if planned.chosen(scenes, seeds)][:limit])

    def seconds(self, takes: Iterable[PlannedTake]) -> float | None:
        """How long painting `takes` will take on this machine, from the takes it has painted; None where it has not."""
        return estimate(planned.take for planned in takes)

    def bytes(self, takes: Iterable[PlannedTake]) -> int:
        """About how much disk the pictures of `takes` need."""
        known = [(p.bytes, p.record.get("width", 0) * p.record.get("height", 0)) for p in self.inventory.whole.values()]
        pixels = sum(area for _, area in known)
        rate = sum(size for size, _ in known) / pixels if pixels else BYTES_PER_PIXEL
        return round(sum(planned.take.width * planned.take.height for planned in takes) * rate)

    @cached_property
    def warnings(self) -> tuple[Problem, ...]:
        """The storyboard's own warnings, and prompts of which the text encoder will not read the end."""
        return (*self.storyboard.warnings, *self._strange_sizes(), *self._cut_prompts())

    def _cut_prompts(self) -> Iterator[Problem]:
        """One warning for each prompt and negative of a scene that is too long, where the tokenizer is here to tell."""
        folder, length = self.model_folder, self.storyboard.card.text_length
        if folder is None:
            return
        texts = {text for planned in self.takes for text in (planned.take.prompt, planned.take.negative)}
        cuts = {text: cut for text in texts if (cut := cut_at(folder, text, length)) is not None}
        told: set[tuple[str, str]] = set()
        for take in (planned.take for planned in self.takes):
            for field, text in (("prompt", take.prompt), ("negative", take.negative)):
                if text not in cuts or (take.scene, field) in told:
                    continue
                told.add((take.scene, field))
                yield self.storyboard.problem(
                    self.storyboard.place_of(take.scene, field),
                    f"the text encoder reads {length - 2} pieces; this is cut before “{cuts[text][:24]}”.",
                    "Put what matters first, or shorten it.",
                )

    def _strange_sizes(self) -> Iterator[Problem]:
        """One warning for each size that the model has never seen a picture of, where its card names those it has."""
        card = self.storyboard.card
        strange: set[tuple[int, int]] = {*card.learned_sizes}
        for scene in self.storyboard.scenes if card.learned_sizes else ():
            size = (scene.width, scene.height)
            if size in strange:
                continue
            strange.add(size)
            shared = all((other.width, other.height) == size for other in self.storyboard.scenes)
            known = ", ".join(f"{width}x{height}" for width, height in card.learned_sizes)
            yield self.storyboard.problem(
                ("size",) if shared else self.storyboard.place_of(scene.id, "size"),
                f"{card.name} has seen pictures of {known} only; at {size[0]}x{size[1]} figures may be cut or doubled.",
                f"Leave the size out, or use {known}.",
            )


def make_plan(
    storyboard: Storyboard, *, out: Path | str | None = None, more: int = 0, more_for: Sequence[str] = ()
) -> Plan:
    """Every take of a story, with the reason why it has to be painted or none.

    `out` is the run folder (default `renders/<stem>` of the working folder); `more` asks for that many seeds beyond
    those of the file, for the scenes in `more_for` or for all. Needs neither torch nor weights. Raises AuthoringError
    for LoRA files that can't be used, RunFolderError for a folder that a newer version made.
    """
    folder = Path(out) if out is not None else RUNS / storyboard.path.stem
    seen = stamp(folder)
    previous = read_manifest(folder)
    inventory = take_inventory(folder, previous.pictures.values() if previous else ())
    model_folder = storyboard.model_folder
    model = edition_of(model_folder) if model_folder else _remembered_edition(storyboard.card.name, previous)
    loras = _resolve_loras(storyboard, model_folder)
    entries = {scene.id: scene for scene in previous.scenes} if previous else {}
    takes: list[PlannedTake] = []
    extra: dict[str, tuple[int, ...]] = {}
    for scene in storyboard.scenes:
        count = more if not more_for or scene.id in more_for else 0
        extra[scene.id] = _extra_seeds(scene, entries.get(scene.id), count)
        for seed in (*scene.seeds, *extra[scene.id]):
            stack = tuple(loras[use] for use in storyboard.loras(scene, seed))
            takes.append(_planned(storyboard, scene, seed, model, stack, previous, entries.get(scene.id), inventory))
    return Plan(storyboard, folder, model, tuple(takes), extra, previous, inventory, seen)


def plan_story(
    story: Path | str,
    *,
    out: Path | str | None = None,
    more: int = 0,
    more_for: Sequence[str] = (),
    loras: Sequence[Path] = (),
) -> Plan:
    """The plan of the story in a file; LoRA files are looked for in `loras` first. Raises as loading and planning."""
    return make_plan(load_storyboard(story, loras=loras), out=out, more=more, more_for=more_for)


def _planned(
    storyboard: Storyboard,
    scene: Scene,
    seed: int,
    model: str,
    loras: tuple[TakeLora, ...],
    previous: Manifest | None,
    entry: SceneEntry | None,
    inventory: Inventory,
) -> PlannedTake:
    prompt = storyboard.final_prompt(scene, seed)
    negative = storyboard.final_negative(scene, seed)
    take = Take(
        scene=scene.id,
        seed=seed,
        prompt=text_of(prompt),
        negative=text_of(negative),
        width=scene.width,
        height=scene.height,
        steps=scene.steps,
        guidance=scene.guidance,
        sampler=scene.sampler,
        model=model,
        loras=loras,
        precision=storyboard.precision,
        strict=storyboard.reproducible == "strict",
    )
    now = TakeEntry(
        key=take.key,
        seed=seed,
        prompt=prompt,
        negative=negative,
        record=take.record,
        loras=tuple(lora.name for lora in loras),
    )
    return PlannedTake(take, now, why_painted(now, previous, entry, inventory))


def _extra_seeds(scene: Scene, entry: SceneEntry | None, more: int) -> tuple[int, ...]:
    """Seeds asked for with `--more`, now or earlier, as long as the scene's own seeds are what they were then."""
    kept: tuple[int, ...] = ()
    if entry is not None and entry.extra_seeds:
        authored = tuple(take.seed for take in entry.takes if take.seed not in entry.extra_seeds)
        if authored == tuple(scene.seeds):
            kept = entry.extra_seeds
    return (*kept, *fresh_seeds({*scene.seeds, *kept}, more))


def fresh_seeds(used: Collection[int], count: int) -> tuple[int, ...]:
    """The next seeds, that many, which are not among those used."""
    fresh: list[int] = []
    seed = max(used, default=-1)
    while len(fresh) < count:
        seed = (seed + 1) % 2**32
        if seed not in used:
            fresh.append(seed)
    return tuple(fresh)


def _remembered_edition(name: str, previous: Manifest | None) -> str:
    """The edition that the run folder was painted with, where the weights themselves are not on this machine."""
    if previous is not None and previous.model.partition("@")[0] == name:
        return previous.model
    return f"{name}@unknown"


def _resolve_loras(storyboard: Storyboard, model_folder: Path | None) -> dict[LoraUse, TakeLora]:
    """Every LoRA of the story with its content's hash, checked to be one and to fit the model."""
    uses = tuple(storyboard.lora_uses())
    if not uses:
        return {}
    resolved: dict[LoraUse, TakeLora] = {}
    problems: list[Problem] = []
    for use, place in uses:
        try:
            header = inspect_lora(use.path)
            if model_folder is not None:
                check_fit(header, model_folder)
        except LoraError as error:
            problems.append(storyboard.problem(place, str(error), ""))
            continue
        resolved[use] = TakeLora(
            name=use.name,
            sha256=lora_sha256(use.path),
            strength=use.strength,
            alpha=use.alpha,
            rank=use.rank,
            diffsynth_alpha=use.diffsynth_alpha,
            path=use.path,
        )
    if problems:
        raise AuthoringError(problems)
    return resolved

"""What will be painted, and why: every take of a story resolved, and compared with what the run folder holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from renderer.collector import collector_rests
from renderer.errors import Problem
from renderer.inventory import Inventory, take_inventory
from renderer.kolors.card import edition_of
from renderer.manifest import Manifest, SceneEntry, TakeEntry, read_manifest, stamp
from renderer.planning.contents import Contents, read_contents
from renderer.planning.drafts import find_drafts
from renderer.planning.warnings import warnings_of
from renderer.prompts import Part, text_of
from renderer.reading.scene import Sweep
from renderer.reasons import LastRender, why_painted
from renderer.storyboard import Resolved, Scene, Storyboard, load_storyboard
from renderer.take import Take
from renderer.take_name import TakeName
from renderer.timing import estimate

RUNS = Path("renders")
BYTES_PER_PIXEL = 1.6
"""Of a PNG picture where this run folder has none to measure: what Kolors' pictures come to."""


@dataclass(frozen=True)
class PlannedTake:
    """A take, its entry in the manifest, and why it has to be painted; an empty `reason` says that it is up to date.

    Where drafts are planned, `take` is the draft of a take without a picture; its entry is that of the take itself.
    """

    take: Take
    entry: TakeEntry
    reason: str

    def chosen(self, scenes: Sequence[str], seeds: Sequence[int]) -> bool:
        """Whether it is a take of these scenes and seeds; none given means all."""
        return (not scenes or self.take.scene in scenes) and (not seeds or self.take.seed in seeds)


@dataclass(frozen=True)
class Plan:
    """All takes of a story in story order, and the run folder they belong to.

    `contents` is what is in the story's LoRAs and other trained files; `extra_seeds` go by scene; `stamp` tells whether
    the run folder has changed since. `drafts` are the keys of drafts by those of the takes that they stand for; with
    `draft` they are what is to be painted.
    """

    storyboard: Storyboard
    folder: Path
    model: str
    takes: tuple[PlannedTake, ...]
    contents: Contents
    extra_seeds: dict[str, tuple[int, ...]]
    previous: Manifest | None
    inventory: Inventory
    stamp: tuple[tuple[int, int], ...]
    drafts: dict[str, str]
    draft: bool = False

    @property
    def model_folder(self) -> Path | None:
        """Where the weights lie; None where they are not on this machine."""
        return self.storyboard.model_folder

    @cached_property
    def to_paint(self) -> tuple[PlannedTake, ...]:
        """Takes whose picture is not there, each key once."""
        waiting = {planned.take.key: planned for planned in reversed(self.takes) if planned.reason}
        return tuple(planned for planned in self.takes if waiting.get(planned.take.key) is planned)

    @cached_property
    def picks(self) -> frozenset[tuple[str, TakeName]]:
        """The takes that the story picks, by scene and name."""
        return frozenset((scene.id, scene.pick) for scene in self.storyboard.scenes if scene.pick is not None)

    def select(
        self, scenes: Sequence[str] = (), seeds: Sequence[int] = (), limit: int | None = None, picks: bool = False
    ) -> tuple[PlannedTake, ...]:
        """Of the takes to paint, those of the given scenes and seeds (all where none is given), at most `limit`; with
        `picks` only those that the story picks.
        """
        return tuple(self.among(self.to_paint, scenes, seeds, picks)[:limit])

    def among(
        self, takes: Iterable[PlannedTake], scenes: Sequence[str], seeds: Sequence[int], picks: bool
    ) -> list[PlannedTake]:
        """Of these takes those of the given scenes and seeds (all where none is given); with `picks` only those that
        the story picks.
        """
        chosen = (planned for planned in takes if planned.chosen(scenes, seeds))
        return [it for it in chosen if not picks or (it.take.scene, it.take.name) in self.picks]

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
        """What will be painted otherwise than the author may think, each with its place."""
        return tuple(warnings_of(self))


@collector_rests()
def make_plan(
    storyboard: Storyboard,
    *,
    out: Path | str | None = None,
    more: int = 0,
    more_for: Sequence[str] = (),
    draft: bool = False,
) -> Plan:
    """Every take of a story, with the reason why it has to be painted or none.

    `out` is the run folder (default `renders/<stem>` of the working folder); `more` asks for that many seeds beyond
    those of the file, for the scenes in `more_for` or for all; with `draft` takes that have no picture are painted as
    drafts. Needs neither torch nor weights. Raises AuthoringError for LoRAs and other files that can't be used,
    RunFolderError for a folder that a newer version made.
    """
    folder = Path(out) if out is not None else RUNS / storyboard.path.stem
    seen = stamp(folder)
    previous = read_manifest(folder)
    inventory = take_inventory(folder, previous.pictures.values() if previous else ())
    model_folder = storyboard.model_folder
    model = edition_of(model_folder) if model_folder else _remembered_edition(storyboard.card.name, previous)
    contents = read_contents(storyboard, model_folder)
    entries = {scene.id: scene for scene in previous.scenes} if previous else {}
    asked: list[tuple[Take, TakeEntry, LastRender | None]] = []
    extra: dict[str, tuple[int, ...]] = {}
    for scene in storyboard.scenes:
        entry = entries.get(scene.id)
        before = LastRender(entry.takes) if entry else None
        extra[scene.id] = _extra_seeds(scene, entry, more if not more_for or scene.id in more_for else 0)
        for take, now in _takes(storyboard, scene, extra[scene.id], model, contents):
            asked.append((take, now, before))
    failures = previous.failures if previous else {}
    drafts = find_drafts((take for take, *_ in asked), storyboard.card.draft, inventory.whole, failures, wanted=draft)
    keys = {key: found.key for key, found in drafts.items()}
    takes = []
    for take, now, before in asked:
        painted = drafts.get(take.key, take) if draft else take
        reason = why_painted(now, painted.key, previous, before, inventory, keys.get(take.key, ""))
        takes.append(PlannedTake(painted, now, reason))
    return Plan(storyboard, folder, model, tuple(takes), contents, extra, previous, inventory, seen, keys, draft)


@collector_rests()
def plan_story(
    story: Path | str,
    *,
    out: Path | str | None = None,
    more: int = 0,
    more_for: Sequence[str] = (),
    loras: Sequence[Path] = (),
    draft: bool = False,
) -> Plan:
    """The plan of the story in a file; LoRA files are looked for in `loras` first. Raises as loading and planning."""
    return make_plan(load_storyboard(story, loras=loras), out=out, more=more, more_for=more_for, draft=draft)


def _takes(
    storyboard: Storyboard, scene: Scene, extra_seeds: Sequence[int], model: str, contents: Contents
) -> Iterator[tuple[Take, TakeEntry]]:
    """The takes of a scene, each with its entry in the manifest."""
    for seed in (*scene.seeds, *extra_seeds):
        resolved = storyboard.resolved(scene, seed)
        texts = text_of(resolved.prompt), text_of(resolved.negative)
        one = Take(
            scene=scene.id,
            seed=seed,
            prompt=texts[0],
            negative=texts[1],
            width=scene.width,
            height=scene.height,
            steps=scene.steps,
            guidance=scene.guidance,
            sampler=scene.sampler,
            guidance_interval=scene.guidance_interval,
            cache_interval=scene.cache_interval,
            model=model,
            loras=() if scene.sweep else contents.loras(resolved.loras),
            precision=storyboard.precision,
            strict=storyboard.reproducible == "strict",
            embeddings=contents.embeddings(resolved.embeddings, *texts),
            hypernetworks=contents.hypernetworks(scene.hypernetworks),
        )
        for take in _swept(one, scene.sweep, resolved, contents) if scene.sweep else (one,):
            yield take, _entry_of(take, resolved.prompt, resolved.negative)


def _swept(one: Take, sweep: Sweep, resolved: Resolved, contents: Contents) -> Iterator[Take]:
    """The takes that a sweep makes of one seed's."""
    for name in sweep.names(one.seed):
        loras = contents.loras(sweep.applied(resolved.loras, name))
        yield replace(one, loras=loras, swept=(name.strength, name.step))


def _entry_of(take: Take, prompt: tuple[Part, ...], negative: tuple[Part, ...]) -> TakeEntry:
    """A take as the manifest has it, with the origins of its texts."""
    return TakeEntry(
        key=take.key,
        seed=take.seed,
        strength=take.name.strength,
        step=take.name.step,
        prompt=prompt,
        negative=negative,
        record=take.record,
        loras=tuple(lora.name for lora in take.loras),
        hypernetworks=tuple(hypernetwork.name for hypernetwork in take.hypernetworks),
    )


def _extra_seeds(scene: Scene, entry: SceneEntry | None, more: int) -> tuple[int, ...]:
    """Seeds asked for with `--more`, now or earlier, as long as the scene's own seeds are what they were then."""
    kept: tuple[int, ...] = ()
    if entry is not None and entry.extra_seeds:
        authored = dict.fromkeys(take.seed for take in entry.takes if take.seed not in entry.extra_seeds)
        if tuple(authored) == scene.seeds:
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

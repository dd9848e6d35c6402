"""What the decisions of a review ask of each scene: its pick and its seeds, and in words what that changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from renderer.plan import Plan, fresh_seeds
from renderer.reviewing.decisions import Decision
from renderer.reviewing.edits import Wish
from renderer.storyboard import Scene
from renderer.take_name import TakeName


@dataclass(frozen=True)
class ReviewedScene:
    """A scene with its takes as the file has them now (key → name), and what was decided about those, by key.

    `extra_seeds` were asked for with `render --more` and stand in no file; `was` is the pick of the last render.
    """

    scene: Scene
    takes: Mapping[str, TakeName]
    extra_seeds: tuple[int, ...]
    was: TakeName | None
    decisions: Mapping[str, Decision]

    @cached_property
    def picked(self) -> str | None:
        """The key of the take that the review picks: of several, which renamed scenes may have, the latest."""
        picked = [key for key, decision in self.decisions.items() if decision.flag == "pick"]
        return max(picked, key=lambda key: self.decisions[key].moment, default=None)

    @cached_property
    def pick(self) -> TakeName | None:
        """What the scene's `pick:` shall be: the picked take, else what it is unless that was un-picked."""
        if self.picked is not None:
            return self.takes[self.picked]
        undone = {self.takes[key] for key, decision in self.decisions.items() if decision.flag in ("none", "reject")}
        return None if self.scene.pick in undone else self.scene.pick

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of the scene, those of the file first."""
        return (*self.scene.seeds, *self.extra_seeds)

    @cached_property
    def rejected(self) -> tuple[int, ...]:
        """The seeds of which no take is left that was not rejected."""
        rejected = {key for key, decision in self.decisions.items() if decision.flag == "reject"}
        left = {name.seed for key, name in self.takes.items() if key not in rejected}
        return tuple(seed for seed in self.seeds if seed not in left)

    @property
    def all_rejected(self) -> bool:
        """Whether there is no take left to choose from."""
        return len(self.rejected) == len(self.seeds)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a scene shall say, in words what is new about that, and what can't be done."""

    wish: Wish
    words: tuple[str, ...]
    left_out: tuple[str, ...]


def reviewed_scenes(plan: Plan, decisions: Mapping[str, Decision]) -> list[ReviewedScene]:
    """The scenes of a story in their order. A decision goes to its scene, or to the one that has its take now."""
    chosen = {scene.id: scene.pick for scene in plan.storyboard.scenes}
    takes: dict[str, dict[str, TakeName]] = {}
    for take in (planned.take for planned in plan.takes):
        names = takes.setdefault(take.scene, {})
        # A sweep may have one picture under several names, where steps of a training are the same file.
        if take.key not in names or take.name == chosen[take.scene]:
            names[take.key] = take.name
    homes: dict[str, str] = {}
    for scene, keys in takes.items():
        for key in keys.keys() & decisions.keys():
            if key not in homes or decisions[key].scene == scene:
                homes[key] = scene
    picks = _picks_of_last_render(plan)
    return [
        ReviewedScene(
            scene=scene,
            takes=takes[scene.id],
            extra_seeds=plan.extra_seeds[scene.id],
            was=picks.get(scene.id, scene.pick),
            decisions={key: decisions[key] for key in takes[scene.id] if homes.get(key) == scene.id},
        )
        for scene in plan.storyboard.scenes
    ]


def propose(reviewed: ReviewedScene, *, remove_rejected: bool, more: int, avoid: Collection[int] = ()) -> Proposal:
    """What a scene shall say. New seeds are none of `avoid`.

    Whenever the file's seeds change, those that only `--more` had asked for are written into it, too: they would be
    forgotten otherwise, and with them what was decided about their takes.
    """
    scene, pick = reviewed.scene, reviewed.pick
    fresh = fresh_seeds({*reviewed.seeds, *avoid}, more) if reviewed.all_rejected else ()
    dropped = reviewed.rejected if remove_rejected and (fresh or not reviewed.all_rejected) else ()
    kept = tuple(seed for seed in reviewed.seeds if seed not in dropped)
    seeds = (*kept, *fresh) if fresh or dropped or (pick and pick.seed in reviewed.extra_seeds) else scene.seeds
    wish = Wish(scene.index, pick, seeds)
    return Proposal(wish, tuple(_words(reviewed, wish)), tuple(_left_out(reviewed, wish, remove_rejected, fresh)))


def stale(scenes: Iterable[ReviewedScene], decisions: Mapping[str, Decision], flags: Collection[str]) -> Iterator[str]:
    """In words, each decision with one of these flags whose take the story doesn't have any more.

    A scene that was decided about anew since, and a seed that was, are not told of.
    """
    known = {reviewed.scene.id: reviewed for reviewed in scenes}
    present = {key for reviewed in known.values() for key in reviewed.takes}
    names = {scene: set(reviewed.takes.values()) for scene, reviewed in known.items()}
    anew = {scene: {reviewed.takes[key] for key in reviewed.decisions} for scene, reviewed in known.items()}
    done = {"pick": "picked", "reject": "rejected"}
    for key, decision in decisions.items():
        if decision.flag not in flags or key in present:
            continue
        reviewed, what = known.get(decision.scene), f"{decision.scene}: {decision.name} was {done[decision.flag]}"
        if reviewed is None:
            yield f"{what}, but the story has no scene of that name any more."
        elif decision.seed not in reviewed.seeds:
            if decision.flag == "pick" and reviewed.picked is None:
                yield f"{what}, but the scene doesn't have that seed any more."
        elif decision.name not in names[decision.scene]:
            if decision.flag == "pick" and reviewed.picked is None:
                yield f"{what}, but the scene has no such take any more."
        elif decision.name not in anew[decision.scene] and (decision.flag != "pick" or reviewed.picked is None):
            yield f"{what}, but it would come out otherwise now: something about it was edited since. Look at it again."


def _picks_of_last_render(plan: Plan) -> dict[str, TakeName | None]:
    scenes = plan.previous.scenes if plan.previous else ()
    return {scene.id: next((take.name for take in scene.takes if take.key == scene.pick), None) for scene in scenes}


def _words(reviewed: ReviewedScene, wish: Wish) -> Iterator[str]:
    scene = reviewed.scene
    if wish.pick != scene.pick:
        new = f"pick {wish.pick.written}" if wish.pick is not None else "no pick"
        old = f" instead of {scene.pick.written}" if scene.pick is not None else ""
        since = ", which the file was given after the last render" if scene.pick not in (None, reviewed.was) else ""
        yield f"{scene.id}: {new}{old}{since}."
    removed = [seed for seed in scene.seeds if seed not in wish.seeds]
    if removed:
        yield f"{scene.id}: {_seeds(removed)} removed, rejected."
    extra = [seed for seed in reviewed.extra_seeds if seed in wish.seeds]
    if extra:
        yield f"{scene.id}: {_seeds(extra)} of `render --more` added, or they would be forgotten now."
    gone = [seed for seed in reviewed.extra_seeds if seed not in wish.seeds]
    if gone and wish.seeds != scene.seeds:
        yield f"{scene.id}: {_seeds(gone)} of `render --more` rejected, not painted any more."
    fresh = [seed for seed in wish.seeds if seed not in reviewed.seeds]
    if fresh:
        yield f"{scene.id}: {_seeds(fresh)} new, since every take was rejected."


def _left_out(reviewed: ReviewedScene, wish: Wish, remove_rejected: bool, fresh: tuple[int, ...]) -> Iterator[str]:
    scene = reviewed.scene
    if reviewed.all_rejected and not fresh:
        kept = "; its seeds stay until there are others" if remove_rejected else ""
        yield f"{scene.id}: every take was rejected{kept}. Ask for new seeds with --more N."
    elif remove_rejected and wish.seeds == scene.seeds and (extra := {*reviewed.rejected} & {*reviewed.extra_seeds}):
        yield f"{scene.id}: {_seeds(sorted(extra))} can't be removed: asked for with `render --more`, not in the file."


def _seeds(seeds: Collection[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"

"""A story compared with what an earlier sheet showed of it: which scenes differ, in what, and which are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from renderer.history import Earlier, snapshot_of
from renderer.looking.snapshots import ShownScene
from renderer.manifest import Manifest, SceneEntry, TakeEntry
from renderer.reasons import Reason, differences

_NUMBERED = re.compile(r"scene-\d{2,}")
"""An id that a scene has of its place in the story: a scene put before it gives it another, and nobody renamed it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Why a scene is not what it was, in at least one reason; `before` is None where its picture is still the same."""

    reasons: tuple[Reason, ...]
    before: ShownScene | None = None


def changed_scenes(manifest: Manifest, earlier: Earlier) -> dict[str, Change]:
    """Each scene of the story that the earlier sheet showed otherwise, or not at all."""
    pairs = _pairs(manifest, earlier)
    shown = snapshot_of(manifest).scenes
    changes: dict[str, Change] = {}
    for scene in manifest.scenes:
        if scene.id not in pairs:
            changes[scene.id] = Change((Reason("new_scene"),))
            continue
        before, now = earlier.sheet.scenes[pairs[scene.id]], shown[scene.id]
        reasons = (*_renamed(pairs[scene.id], scene.id), *_reasons(before, now, scene))
        if reasons:
            changes[scene.id] = Change(reasons, None if before.take.key == now.take.key else before)
    return changes


def removed_scenes(manifest: Manifest, earlier: Earlier) -> dict[str, ShownScene]:
    """Scenes of the earlier sheet that the story no longer has under any name."""
    kept = set(_pairs(manifest, earlier).values())
    return {name: scene for name, scene in earlier.sheet.scenes.items() if name not in kept}


def _pairs(manifest: Manifest, earlier: Earlier) -> dict[str, str]:
    """Which earlier scene each scene was: one that shares a take with it, of the same id if possible; else by id."""
    keys = {name: {key for key, _ in scene.takes} for name, scene in earlier.sheet.scenes.items()}
    pairs = {
        scene.id: scene.id
        for scene in manifest.scenes
        if any(take.key in keys.get(scene.id, ()) for take in scene.takes)
    }
    left = {key: name for name in keys if name not in pairs for key in keys[name]}
    for scene in manifest.scenes:
        found = next((left[take.key] for take in scene.takes if take.key in left), None)
        if scene.id not in pairs and found is not None:
            pairs[scene.id] = found
            for key in keys[found]:
                left.pop(key, None)
    taken = set(pairs.values())
    return pairs | {
        scene.id: scene.id
        for scene in manifest.scenes
        if scene.id not in pairs and scene.id in keys and scene.id not in taken
    }


def _renamed(before: str, now: str) -> Iterator[Reason]:
    if before != now and not (_NUMBERED.fullmatch(before) and _NUMBERED.fullmatch(now)):
        yield Reason("renamed", (before,))


def _reasons(before: ShownScene, now: ShownScene, scene: SceneEntry) -> list[Reason]:
    reasons = [*_choice(before, now), *_edits(before.take, now.take, scene), *_more_or_fewer(before, now)]
    if reasons:
        return reasons
    if before.take.key != now.take.key:
        return [Reason("settings")]
    if bool(before.picture) != bool(now.picture):
        return [Reason("gone" if before.picture else "first_picture")]
    return []


def _choice(before: ShownScene, now: ShownScene) -> Iterator[Reason]:
    """Why another take stands for the scene, or the same one for another reason."""
    old, new = dict(before.takes), dict(now.takes)
    picked = old.get(before.pick or ""), new.get(now.pick or "")
    if picked[0] != picked[1]:
        yield Reason("unpicked" if picked[1] is None else "pick")
    elif before.take.name != now.take.name:
        seeds = {name.seed for name in new.values()}
        gone = "sweep" if before.take.seed in seeds else "seed"
        yield Reason("other_take" if before.take.name in new.values() else gone)


def _edits(before: TakeEntry, now: TakeEntry, scene: SceneEntry) -> Iterator[Reason]:
    """What was edited, told by the take of the same name, else of the same seed.

    Where there is none, the fall of wildcards is no edit.
    """
    alike = sorted(
        (take for take in scene.takes if take.seed == before.seed), key=lambda take: take.name != before.name
    )
    same = alike[0] if alike else None
    return differences(before, same) if same else differences(_without_wildcards(before), _without_wildcards(now))


def _without_wildcards(take: TakeEntry) -> TakeEntry:
    fixed = {
        "prompt": tuple(part for part in take.prompt if part.origin != "wildcard"),
        "negative": tuple(part for part in take.negative if part.origin != "wildcard"),
    }
    return take.model_copy(update=fixed)


def _more_or_fewer(before: ShownScene, now: ShownScene) -> Iterator[Reason]:
    """Takes that came or went beside the one that is shown."""
    old, new = {name for _, name in before.takes}, {name for _, name in now.takes}
    if before.take.name in new:
        if new - old:
            yield Reason("takes_added", (str(len(new - old)),))
        if old - new:
            yield Reason("takes_removed", (str(len(old - new)),))

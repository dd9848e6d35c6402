"""Drafts: takes painted quickly, for a first look, in place of those that the story asks for.

A draft is the same take with the model card's `draft` settings: fewer steps, another sampler, guidance in a part of
the steps, a cache. It has a key and a picture of its own, and the story's take keeps its own, too. The rule for all who
show or judge takes: **a take is shown by its own picture; where that isn't there, by its draft's.** So nothing changes
hands when it is painted in full: decisions, picks and what earlier sheets asked for belong to the take (its own key),
whichever picture stood for it. The manifest lists which take has which draft (`Manifest.drafts`), as long as it needs
one; a draft whose take has its own picture is superseded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from renderer.kolors.card import Draft, Interval
from renderer.manifest import PictureRecord
from renderer.take import Take
from renderer.timing import work

FEW_STEPS = 8
"""With so few steps (LCM) neighbouring steps differ too much to share what one of them found."""


def draft_of(take: Take, settings: Draft) -> Take:
    """The draft of a take; the take itself where these settings would not make it quicker.

    What the author has made quicker already stays: a sampler for few steps with its steps, a narrower interval, a
    wider cache. Seed, size, texts and trained files are never touched.
    """
    has_few = take.sampler == "lcm" or take.steps <= settings.steps
    draft = replace(
        take,
        sampler=take.sampler if has_few else settings.sampler,
        steps=min(take.steps, settings.steps),
        guidance_interval=_narrowed(take, settings.guidance_interval),
        cache_interval=_widened(take, settings),
        draft=True,
    )
    return draft if work(draft) < work(take) else take


def find_drafts(
    takes: Iterable[Take],
    settings: Draft,
    pictures: Mapping[str, PictureRecord],
    failures: Collection[str],
    *,
    wanted: bool,
) -> dict[str, Take]:
    """The drafts of takes that have no picture of their own, by the takes' keys.

    Those of which the run folder knows a picture or a failure; `wanted`: also those that are still to be painted.
    """
    if not (wanted or failures or any(picture.draft for picture in pictures.values())):
        return {}  # without computing a key for each
    without = {take.key: take for take in takes if take.key not in pictures}
    drafts = {key: draft_of(take, settings) for key, take in without.items()}
    return {
        key: draft
        for key, draft in drafts.items()
        if draft.draft and (wanted or draft.key in pictures or draft.key in failures)
    }


def _narrowed(take: Take, interval: Interval) -> Interval:
    """What the author's interval and the draft's have in common; the author's where that is nothing."""
    start = max(take.guidance_interval[0], interval[0])
    end = min(take.guidance_interval[1], interval[1])
    return (start, end) if take.guidance != 1 and start < end else take.guidance_interval


def _widened(take: Take, settings: Draft) -> int:
    """The wider cache of both; the author's where the steps are too few for one."""
    is_short = take.sampler == "lcm" and min(take.steps, settings.steps) <= FEW_STEPS
    return take.cache_interval if is_short else max(take.cache_interval, settings.cache_interval)

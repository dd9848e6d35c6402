"""What will be painted otherwise than the author may think: no weights, odd sizes, foreign editions, cut prompts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from renderer.errors import EmbeddingError, Problem
from renderer.kolors.card import WHOLE
from renderer.kolors.embeddings import inspect_embedding
from renderer.kolors.files.lineage import lineage_of
from renderer.kolors.text import PREFIX, WORD, cut_at, placeholder
from renderer.planning.drafts import FEW_STEPS
from renderer.prompts import Part
from renderer.reading.lora_folders import find_file
from renderer.reading.yaml_file import Where
from renderer.take import Take

if TYPE_CHECKING:
    from renderer.plan import Plan

_NAMED = re.compile(r"<([^<>\n]{1,100})>")


def warnings_of(plan: Plan) -> Iterator[Problem]:
    """The storyboard's own warnings, and what only its takes show."""
    yield from plan.storyboard.warnings
    yield from _missing_weights(plan)
    yield from _strange_sizes(plan)
    yield from _vain_intervals(plan)
    yield from _other_editions(plan)
    yield from _unlisted_embeddings(plan)
    yield from _unused_embeddings(plan)
    yield from _cut_prompts(plan)


def _missing_weights(plan: Plan) -> Iterator[Problem]:
    """One warning where takes are to be painted and the weights are not on this machine; planning needs none."""
    board = plan.storyboard
    if plan.model_folder is None and plan.to_paint:
        what = f"the weights of {board.model} are not on this machine: nothing can be painted here yet."
        yield board.problem(("model",), what, f"Get them with `storyboard models pull {board.card.name}`.")


def _strange_sizes(plan: Plan) -> Iterator[Problem]:
    """One warning for each size that the model has never seen a picture of, where its card names those it has."""
    storyboard, card = plan.storyboard, plan.storyboard.card
    strange: set[tuple[int, int]] = {*card.learned_sizes}
    for scene in storyboard.scenes if card.learned_sizes else ():
        size = (scene.width, scene.height)
        if size in strange:
            continue
        strange.add(size)
        shared = all((other.width, other.height) == size for other in storyboard.scenes)
        known = ", ".join(f"{width}x{height}" for width, height in card.learned_sizes)
        yield storyboard.problem(
            ("size",) if shared else storyboard.place_of(scene.id, "size"),
            f"{card.name} has seen pictures of {known} only; at {size[0]}x{size[1]} figures may be cut or doubled.",
            f"Leave the size out, or use {known}.",
        )


def _vain_intervals(plan: Plan) -> Iterator[Problem]:
    """One warning for each interval that changes nothing, or more than is good."""
    board = plan.storyboard
    told: set[Where] = set()
    for scene in board.scenes:
        guided, cached = (board.setting_of(scene.id, f"{name}_interval") for name in ("guidance", "cache"))
        if scene.guidance_interval != WHOLE and scene.guidance == 1 and guided not in told:
            told.add(guided)
            yield board.problem(
                guided, "with guidance 1 there is none to apply.", "Leave it out, or give a higher guidance."
            )
        if scene.cache_interval > 1 and scene.sampler == "lcm" and scene.steps <= FEW_STEPS and cached not in told:
            told.add(cached)
            yield board.problem(
                cached,
                f"{scene.steps} steps of lcm are too different to reuse what another found.",
                "Leave it out here; it is for samplers that take more steps.",
            )


def _other_editions(plan: Plan) -> Iterator[Problem]:
    """One warning for each LoRA or such that was trained on another edition than the one to be painted with."""
    told: set[tuple[str, str]] = set()
    for name, path, where in _trained_files(plan):
        base = lineage_of(path, plan.contents.sha256[path]).base_model
        is_known = plan.model != f"{base.partition('@')[0]}@unknown"
        if "@" not in base or base == plan.model or (name, base) in told or not is_known:
            continue
        told.add((name, base))
        yield plan.storyboard.problem(
            where,
            f"{name} was trained on {base}, and this story is painted with {plan.model}.",
            "It may do less, or other things, than it should: look at its pictures, or train it again.",
        )


def _trained_files(plan: Plan) -> Iterator[tuple[str, Path, Where]]:
    storyboard = plan.storyboard
    yield from ((use.name, use.file, where) for use, where in storyboard.lora_uses())
    yield from ((use.name, use.path, use.where) for use in storyboard.embedding_uses())
    yield from ((use.name, use.path, use.where) for use in storyboard.hypernetwork_uses())


def _unlisted_embeddings(plan: Plan) -> Iterator[Problem]:
    """One warning for each text in which `<name>` stays as it is, though there is an embedding of that name."""
    storyboard = plan.storyboard

    @cache
    def is_embedding(name: str) -> bool:
        path = find_file(name, storyboard.path.parent, storyboard.folders)
        try:
            return path is not None and bool(inspect_embedding(path))
        except EmbeddingError:
            return False

    told: set[tuple[Where, str]] = set()
    for take, field, parts in _texts(plan):
        listed = {embedding.name for embedding in take.embeddings}
        for name, part in _named(parts):
            if name in listed or not is_embedding(name):
                continue
            where = storyboard.source_of(take.scene, field, part)
            if (where, name) in told:
                continue
            told.add((where, name))
            yield storyboard.problem(
                where,
                f'"{placeholder(name)}" is read as plain text: the embedding is not listed.',
                f"Add embeddings: [{name}].",
            )


def _texts(plan: Plan) -> Iterator[tuple[Take, str, tuple[Part, ...]]]:
    """The texts of all takes, with their fields."""
    for planned in plan.takes:
        yield planned.take, "prompt", planned.entry.prompt
        yield planned.take, "negative", planned.entry.negative


def _named(parts: tuple[Part, ...]) -> Iterator[tuple[str, Part]]:
    """Each `<name>` of a text, and the part in which it begins."""
    text = "".join(part.text for part in parts)
    for found in _NAMED.finditer(text) if "<" in text else ():
        end = 0
        for part in parts:
            end += len(part.text)
            if found.start() < end:
                yield found[1], part
                break


def _unused_embeddings(plan: Plan) -> Iterator[Problem]:
    """One warning for each embedding that the story's own file lists in vain; shared casts list more than one needs."""
    used = {embedding.path for planned in plan.takes for embedding in planned.take.embeddings}
    for use in plan.storyboard.embedding_uses():
        problem = plan.storyboard.problem(
            use.where,
            f'no prompt or negative has "{placeholder(use.name)}".',
            "Write it there, or take the embedding off the list.",
        )
        if use.path not in used and problem.file == plan.storyboard.path:
            yield problem


def _most_pieces(text: str) -> int:
    """At least as many pieces as a tokenizer makes of a text: one for each byte, with signs written out.

    Most texts fit even so, and then the tokenizer need not be loaded.
    """
    forms = (text, unicodedata.normalize("NFKC", text))
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms) + len(WORD.encode())


def _cut_prompts(plan: Plan) -> Iterator[Problem]:
    """One warning for each prompt and negative of a scene that is too long, where the tokenizer is here to tell."""
    folder, length = plan.model_folder, plan.storyboard.card.text_length
    if folder is None:
        return

    @cache
    def cut(text: str, embeddings: tuple[tuple[str, str], ...]) -> str | None:
        if not embeddings and _most_pieces(text) <= length - len(PREFIX):
            return None
        return cut_at(folder, text, length, {name: plan.contents.vectors[sha256] for name, sha256 in embeddings})

    told: set[tuple[str, str]] = set()
    for take, field, _ in _texts(plan):
        text = take.prompt if field == "prompt" else take.negative
        end = cut(text, tuple((embedding.name, embedding.sha256) for embedding in take.embeddings))
        if end is None or (take.scene, field) in told:
            continue
        told.add((take.scene, field))
        yield plan.storyboard.problem(
            plan.storyboard.place_of(take.scene, field),
            f"the text encoder reads {length - len(PREFIX)} pieces; this is cut before “{end[:24]}”.",
            "Put what matters first, or shorten it.",
        )

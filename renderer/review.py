"""From a review back to the author: what was decided on the sheet, as an edit of the storyboard file."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from renderer.errors import ReviewError
from renderer.files import write_atomically
from renderer.manifest import read_manifest
from renderer.plan import RUNS, Plan, plan_story
from renderer.reading.salvage import validate_story
from renderer.reading.yaml_file import Source, parse_yaml
from renderer.reviewing.decisions import Review, read_review
from renderer.reviewing.difference import unified_diff
from renderer.reviewing.edits import edit_story
from renderer.reviewing.wishes import propose, reviewed_scenes, stale

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Revision:
    """A storyboard file as it is and as a review wants it, with what is new, and what was left out, in words.

    `folder` is the run folder whose pictures were reviewed.
    """

    story: Path
    folder: Path
    before: bytes
    after: bytes
    applied: tuple[str, ...]
    left_out: tuple[str, ...]

    def diff(self) -> Iterator[str]:
        """The lines of a unified diff, without line breaks."""
        before, after = (text.decode("utf-8").splitlines() for text in (self.before, self.after))
        yield from unified_diff(before, after, str(self.story), f"{self.story}, reviewed")


def revise(
    review: Path | str,
    story: Path | str | None = None,
    *,
    out: Path | str | None = None,
    remove_rejected: bool = False,
    more: int = 0,
    loras: Sequence[Path] = (),
) -> Revision:
    """What the review in a file makes of its storyboard; nothing is written.

    `story` is the storyboard file (default: the one that the review names), `out` its run folder. `remove_rejected`
    takes the seeds of rejected takes out of the file, `more` asks for that many new seeds where every take was
    rejected. Raises ReviewError for a file that is no review or one of another story, AuthoringError with every
    problem of a storyboard that has any.
    """
    review = Path(review)
    content = read_review(review)
    path = Path(story) if story is not None else _story_of(review, content)
    before = _bytes_of(path)
    plan = plan_story(path, out=out if out is not None else _folder_of(review, path), loras=loras)
    if _bytes_of(path) != before:
        raise ReviewError(_changed(path))
    text = before.decode("utf-8")
    source = Source(path, text.removeprefix(_BOM))
    edited, applied, left_out = _edited(source, plan, content, remove_rejected, more)
    after = text[: len(text) - len(source.text)] + edited
    return Revision(path, plan.folder, before, after.encode("utf-8"), applied, left_out)


def write_revision(revision: Revision) -> None:
    """Write the new text in place of the old, through links, with its permissions kept. Raises ReviewError."""
    target = revision.story.resolve()
    try:
        status = target.stat()
        if not (status.st_mode & stat.S_IWUSR and os.access(target, os.W_OK)):
            raise ReviewError(f"{revision.story}: the file is read-only. Nothing was changed.")
        if target.read_bytes() != revision.before:
            raise ReviewError(_changed(revision.story))
        write_atomically(target, revision.after, stat.S_IMODE(status.st_mode))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReviewError(f"{revision.story}: can't be written: {reason}. The file is as it was.") from error


def _edited(
    source: Source, plan: Plan, review: Review, remove_rejected: bool, more: int
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The new text, what was applied, and what was left out."""
    scenes = reviewed_scenes(plan, review.decisions)
    if review.decisions and not any(reviewed.decisions for reviewed in scenes):
        _refuse_other_story(source.file, plan, review)
    proposals = [
        propose(reviewed, remove_rejected=remove_rejected, more=more, avoid=_reviewed_seeds(review, reviewed.scene.id))
        for reviewed in scenes
    ]
    edited = edit_story(source, [proposal.wish for proposal in proposals])
    problems = validate_story(parse_yaml(Source(source.file, edited.text)).root).problems
    if problems:
        raise ReviewError(f"With this review the story would be wrong, so nothing was changed: {problems[0]}")
    flags = ("pick", "reject") if remove_rejected or more else ("pick",)
    applied = (word for each in proposals if each.wish.scene not in edited.refused for word in each.words)
    left_out = (word for each in proposals for word in each.left_out)
    refused = map(str, edited.refused.values())
    return edited.text, tuple(applied), (*stale(scenes, review.decisions, flags), *left_out, *refused)


def _reviewed_seeds(review: Review, scene: str) -> set[int]:
    return {decision.seed for decision in review.decisions.values() if decision.scene == scene}


def _refuse_other_story(story: Path, plan: Plan, review: Review) -> None:
    """Raise where none of the decisions is about this story, and the review says that it is another's."""
    if review.story not in (story.stem, plan.folder.resolve().name):
        raise ReviewError(
            f"{story}: the review is of another story, “{review.story}”; none of its takes is one of this story's. "
            f"Nothing was changed."
        )


def _story_of(review: Path, content: Review) -> Path:
    """The storyboard that a review names, seen from the working folder or from the run folder."""
    beside = read_manifest(review.parent)
    named = [review.parent / beside.source] if beside is not None and beside.source else []
    if content.source:
        bases = (Path(), review.parent, review.parent.parent.parent, RUNS / content.story)
        named += [base / content.source for base in bases]
    found = next((path for path in named if path.is_file()), None)
    if found is None:
        what = (
            f"the storyboard that it names, {content.source}, is not here" if content.source else "names no storyboard"
        )
        todo = f"Say which it is: storyboard apply {shlex.quote(str(review))} STORY.yaml"
        raise ReviewError(f"{review}: {what}. {todo}")
    return _short(found)


def _short(path: Path) -> Path:
    """The path from the working folder where it lies in it."""
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


def _folder_of(review: Path, story: Path) -> Path:
    """The run folder: where the review lies if that is the story's, else the usual one."""
    beside = read_manifest(review.parent)
    if beside is not None and beside.source and (review.parent / beside.source).resolve() == story.resolve():
        return review.parent
    return RUNS / story.stem


def _bytes_of(story: Path) -> bytes:
    """The file's content; whatever can't be read is explained when the story is."""
    try:
        return story.read_bytes()
    except OSError:
        return b""


def _changed(story: Path) -> str:
    return f"{story}: the file was changed just now, by someone else. Nothing was written; run it again."

"""Export: a rendered story in a form that other programs read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args

from renderer.errors import RunFolderError, StoryboardError, did_you_mean
from renderer.exporting.panels import Panel, Paper, Reel, find_panels
from renderer.exporting.target import choose_target, drafted
from renderer.paint import manifest_of
from renderer.plan import Plan, plan_story
from renderer.reviewing.decisions import REVIEW_FILE, read_review

Format = Literal["pdf", "single-html", "csv", "fcpxml", "mp4", "gif", "zip"]
FORMATS: tuple[Format, ...] = get_args(Format)
PAPERS: tuple[Paper, ...] = get_args(Paper)

WRITERS: dict[Format, tuple[str, str, str]] = {
    "pdf": (".pdf", "printing", "write_pdf"),
    "single-html": (".html", "embedded", "write_html"),
    "csv": (".csv", "shot_list", "write_csv"),
    "fcpxml": (".fcpxml", "fcpxml", "write_fcpxml"),
    "mp4": (".mp4", "animatic", "write_mp4"),
    "gif": (".gif", "flipbook", "write_gif"),
    "zip": (".zip", "package", "write_zip"),
}
"""The ending of a format's files, and the module and function in `renderer.exporting` that write them."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export left behind: the file, and the panels in it that stayed empty for want of a picture.

    `folder` is the run folder; `unapplied` are the ids of scenes of which `review.json` picks another take than the
    story's file; `drafts` counts panels that show a draft.
    """

    path: Path
    folder: Path
    absent: tuple[Panel, ...]
    unapplied: tuple[str, ...] = ()
    drafts: int = 0


def export_story(
    story: Path | str,
    to: Format,
    *,
    out: Path | str | None = None,
    out_file: Path | None = None,
    all_takes: bool = False,
    fps: int = 24,
    width: int | None = None,
    paper: Paper = "A4",
    force: bool = False,
    loras: Sequence[Path] = (),
) -> Exported:
    """A story as it stands, with the pictures that its run folder `out` holds, written to `out_file`.

    By default it goes to `exports/<story>` in the run folder, in place of an earlier export that nobody has changed;
    any other file is replaced only with `force`. A scene is shown by its pick, else its first painted take;
    `all_takes` shows them all. Paints nothing. Raises AuthoringError, RunFolderError, and StoryboardError where a
    program is missing that the format needs.
    """
    if to not in WRITERS:
        raise StoryboardError(f"--to {to}: there is no such format. {did_you_mean(to, FORMATS)}")
    if paper not in PAPERS:
        raise StoryboardError(f"--paper {paper}: a PDF is printed on {' or '.join(PAPERS)}.")
    plan = plan_story(story, out=out, loras=loras)
    reel = replace(_gather(plan, all_takes), fps=fps, width=width, paper=paper)
    ending, module, function = WRITERS[to]
    target = choose_target(plan.folder, plan.storyboard.path, ending, out_file, force)
    write: Callable[[Reel, Path], None] = getattr(import_module(f"renderer.exporting.{module}"), function)
    with drafted(target) as draft:
        write(reel, draft)
    return Exported(target.path, plan.folder, reel.absent, tuple(_unapplied(reel)), reel.drafts)


def _gather(plan: Plan, all_takes: bool) -> Reel:
    """The story as its file has it now, with the pictures that are there. Raises RunFolderError where none ever was."""
    if plan.previous is None and not plan.inventory.whole:
        raise RunFolderError(
            f"{plan.folder}: nothing was rendered here yet. Render {plan.storyboard.path} first, or name its run "
            "folder with --out."
        )
    whole = plan.inventory.whole
    noted = plan.previous.failures if plan.previous else {}
    failures = {key: why for key, why in noted.items() if key not in whole}
    manifest = manifest_of(plan, dict(whole), failures, plan.previous.grid_digest if plan.previous else "")
    return Reel(plan, manifest, tuple(find_panels(manifest, plan, all_takes)), all_takes)


def _unapplied(reel: Reel) -> Iterator[str]:
    """Scenes that a reviewer picked another take of than the file says; none where no review can be read."""
    with suppress(StoryboardError, OSError):
        decisions = read_review(reel.folder / REVIEW_FILE).decisions
        picked = {key for key, decision in decisions.items() if decision.flag == "pick"}
        for scene in reel.manifest.scenes:
            if any(take.key in picked and take.key != scene.pick for take in scene.takes):
                yield scene.id

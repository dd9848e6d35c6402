"""What `storyboard render` says, and how it goes on with --watch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from renderer.commands.console import count, err, out, render_command, say_error
from renderer.errors import StoryboardError

if TYPE_CHECKING:
    from renderer.line import Result
    from renderer.paint import Observer
    from renderer.plan import Plan
    from renderer.take import Painter


@dataclass(frozen=True, slots=True)
class Asked:
    """What a render was asked for, as far as another one that goes on with it has to be asked the same."""

    story: Path
    scenes: Sequence[str] = ()
    seeds: Sequence[int] = ()
    picks: bool = False
    limit: int | None = None
    compiled: bool | None = None
    loras: Sequence[Path] = ()
    templates: Path | None = None

    def command(self, folder: Path, draft: bool, limit: int | None = None) -> str:
        """The command to type. Seeds asked for by `--more` are on record: asked for again, they would be others."""
        words = [word for scene in self.scenes for word in ("--scene", scene)]
        words += [word for seed in self.seeds for word in ("--seed", str(seed))]
        words += ["--draft"] * draft + ["--picks"] * self.picks
        words += [] if limit is None else ["--limit", str(limit)]
        words += [] if self.compiled is None else ["--compile" if self.compiled else "--no-compile"]
        words += [] if self.templates is None else ["--templates", str(self.templates)]
        return render_command(self.story, folder, self.loras, *words)


def observer_for(quiet: bool) -> Observer:
    """Who shows how far a render is: nobody, a bar in a terminal, or lines."""
    from renderer.progress import Bar, Lines, Silent

    if quiet:
        return Silent()
    return Bar(out) if out.is_terminal else Lines(out)


def open_page(page: Path) -> None:
    """Opens a page in the browser, or says where it is."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        err.print(f"No browser could be opened; the page is {page}", markup=False)


def say_result(result: Result, asked: Asked, quiet: bool) -> None:
    """What a render came to."""
    for failed in result.outcome.failed:
        err.print(f"failed: {failed.take.scene}, {failed.take.name}: {failed.reason}", style="red", markup=False)
    folder = result.plan.folder
    if result.outcome.interrupted:
        done = len(result.outcome.painted) + len(result.outcome.failed)
        limit = None if asked.limit is None else max(1, asked.limit - done)
        going_on = asked.command(folder, result.plan.draft, limit)
        err.print(
            f"Stopped. {_painted(result)} painted and kept, {result.left} left. To go on: {going_on}",
            markup=False,
        )
        return
    if quiet:
        return
    lost = len(result.outcome.failed)
    words = [f"{_painted(result)} painted" if result.outcome.painted else "Nothing to paint"]
    words += [f"{lost} failed"] if lost else []
    words += [f"{result.left} left for later"] if result.left else []
    out.print(f"{', '.join(words)}.", markup=False)
    out.print(f"sheet  {result.sheet}", markup=False)
    for page in result.grid:
        out.print(f"grid   {page}", markup=False)
    if result.plan.draft and result.plan.drafts:
        out.print(f"To paint drafts in full: {asked.command(folder, draft=False)}", markup=False)


def _painted(result: Result) -> str:
    """`8 takes`, `8 drafts`, `6 drafts and 2 takes`"""
    painted = result.outcome.painted
    drafts = sum(picture.draft for picture in painted)
    takes = len(painted) - drafts
    words = ([count(drafts, "draft")] if drafts else []) + ([count(takes, "take")] if takes or not drafts else [])
    return " and ".join(words)


def watch_story(
    once: Callable[..., Result],
    opened: Callable[[Plan], Painter],
    asked: Asked,
    *,
    more: int,
    open_: bool,
    quiet: bool,
) -> None:
    """Renders by `once`, and again after each edit, until Ctrl-C, which is the way to end it.

    What goes wrong is said. What `opened` gives for a plan stays, its weights loaded; between two renders the run
    folder is free for others. `more` and `open_` are for the first render that succeeds.
    """
    from renderer.watching import Edits, KeptModel, StopsAtEdits

    story = asked.story
    if not os.path.exists(story):
        once()  # says so, and which may be meant: a mistyped name is nothing to wait for
    try:
        edits, model = Edits(story, asked.loras, asked.templates), KeptModel(opened)
        while True:
            observer = StopsAtEdits(observer_for(quiet), edits)
            try:
                result = once(more=more, wait=True, observer=observer, open_painter=model)
            except StoryboardError as error:
                say_error(error)
            else:
                _say_watched(result, asked, quiet, observer.stopped)
                if open_:
                    open_page(result.sheet)
                more, open_ = 0, False
            if not observer.stopped:
                _say(f"Watching {story}: an edit renders again, Ctrl-C ends.", quiet)
            edits.wait()
    except KeyboardInterrupt:
        _say(f"No longer watching {story}. What was painted is kept.", quiet)


def _say_watched(result: Result, asked: Asked, quiet: bool, stopped: bool) -> None:
    """What a render came to that an edit may have stopped. Raises KeyboardInterrupt where Ctrl-C did."""
    if stopped:
        return _say(f"Edited meanwhile, after {count(len(result.outcome.painted), 'take')}.", quiet)
    say_result(result, asked, quiet)
    if result.outcome.interrupted:
        raise KeyboardInterrupt


def _say(words: str, quiet: bool) -> None:
    if not quiet:
        out.print(words, markup=False)

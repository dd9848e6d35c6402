"""What the commands print with."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape as escaped

from renderer.errors import AuthoringError, StoryboardError

__all__ = ["count", "err", "escaped", "out", "render_command", "say_error"]

SHOWN = 200
"""Problems printed of a file that has more."""

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def count(number: int, noun: str) -> str:
    """`1 take`, `8 takes`"""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def render_command(story: Path, folder: Path, loras: Iterable[Path] | None, *more: str) -> str:
    """The command that renders a story into this run folder, as it is typed; `more` are further words of it.

    `loras` are the folders that were given with `--loras`.
    """
    from renderer.plan import RUNS

    words = ["storyboard", "render", str(story)]
    words += [] if folder.resolve() == (RUNS / story.stem).resolve() else ["--out", str(folder)]
    words += [word for each in loras or () for word in ("--loras", str(each))]
    return shlex.join([*words, *more])


def say_error(error: StoryboardError, undone: str = "painted") -> None:
    """What a person can mend: all the problems of a file with their places, or one sentence.

    `undone` is what nothing was, because of a file's problems.
    """
    if not isinstance(error, AuthoringError):
        err.print(f"[bold red]error:[/] {escaped(str(error))}")
        return
    for problem in error.problems[:SHOWN]:
        err.print(str(problem), markup=False)
    if len(error.problems) > SHOWN:
        err.print(f"… and {len(error.problems) - SHOWN} more", markup=False)
    err.print(f"{count(len(error.problems), 'problem')}; nothing was {undone}.", style="red", markup=False)

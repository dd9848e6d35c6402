"""What the commands print with."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape as escaped

from renderer.errors import AuthoringError, StoryboardError

__all__ = ["count", "err", "escaped", "out", "say_error"]

SHOWN = 200
"""Problems printed of a file that has more."""

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def count(number: int, noun: str) -> str:
    """`1 take`, `8 takes`"""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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

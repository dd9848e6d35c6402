"""What the commands print with."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape as escaped

__all__ = ["count", "err", "escaped", "out"]

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def count(number: int, noun: str) -> str:
    """`1 take`, `8 takes`"""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

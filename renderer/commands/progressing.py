"""How far a training is: a bar for each stage in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WORDS = {
    "class pictures": "painting class pictures",
    "latents": "computing latents",
    "texts": "reading captions",
    "painting": "painting samples",
}
"""Stages of which the name alone says too little."""
PAUSE = 30.0
"""Seconds from one line to the next within a stage."""


Tell = Callable[[str, int, int, float | None], None]
"""Is told each step: the stage's name, how many are done, of how many (0: not known), and the loss if there is one."""


class Stage:
    """A stage's arithmetic: how long the rest of it takes at the pace since it was first heard of."""

    def __init__(self, name: str, done: int) -> None:
        self.name = name
        self.first, self.began = done, time.monotonic()

    def seconds_left(self, done: int, total: int) -> float | None:
        """None before there is a pace, and where the total is not known."""
        if done <= self.first or total <= 0:
            return None
        return (time.monotonic() - self.began) * (total - done) / (done - self.first)

    def summary(self, done: int, total: int, loss: float | None) -> str:
        """`120/500 · loss 0.0123 · 1:40 left`"""
        from renderer.progress import duration

        parts = [f"{done}/{total}"] if total > 0 else [str(done)] if done else []
        if loss is not None:
            parts.append(f"loss {loss:.4f}")
        left = self.seconds_left(done, total)
        if left is not None and done < total:
            parts.append(f"{duration(left)} left")
        return " · ".join(parts)


@contextmanager
def training_bar(console: Console) -> Iterator[Tell]:
    """One bar for the stage in hand, gone when all is done."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=None))
    stage = Stage("", 0)
    with Progress(*columns, TextColumn("{task.fields[summary]}"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None, summary="")

        def tell(name: str, done: int, total: int, loss: float | None) -> None:
            nonlocal stage
            stage = stage if stage.name == name else Stage(name, done)
            words = stage.summary(done, total, loss)
            bar.update(task, description=WORDS.get(name, name), completed=done, total=total or None, summary=words)

        yield tell


@contextmanager
def training_lines(console: Console) -> Iterator[Tell]:
    """A line when a stage begins, when it is done, and now and then between."""
    stage, said = Stage("", 0), 0.0

    def tell(name: str, done: int, total: int, loss: float | None) -> None:
        nonlocal stage, said
        begins = stage.name != name
        if begins:
            stage = Stage(name, done)
        if begins or done == total > 0 or time.monotonic() - said > PAUSE:
            said = time.monotonic()
            console.print(f"{WORDS.get(name, name)}  {stage.summary(done, total, loss)}".rstrip(), markup=False)

    yield tell


@contextmanager
def silence() -> Iterator[Tell]:
    """Says nothing."""
    yield lambda stage, done, total, loss: None

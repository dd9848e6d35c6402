"""What is found wrong with a story while it is completed, each at its place in the file."""

from __future__ import annotations

from renderer.errors import Problem
from renderer.reading.yaml_file import Node, Where


class Findings:
    """Problems and warnings of one story. `lost` are paths whose values validation left out."""

    def __init__(self, root: Node, lost: frozenset[Where]) -> None:
        self.root, self.lost = root, lost
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def tell(self, where: Where, what: str, todo: str = "", *, at: tuple[int, int] | None = None) -> None:
        """A problem of the value at a path, or `at` a line and column of its file."""
        self.problems.append(self.root.find(where).problem(where, what, todo, at=at))

    def warn(self, where: Where, what: str, todo: str = "", *, at: tuple[int, int] | None = None) -> None:
        """Something that works, but hardly as it is meant, of the value at a path or `at` a line and column."""
        self.warnings.append(self.root.find(where).problem(where, what, todo, at=at))

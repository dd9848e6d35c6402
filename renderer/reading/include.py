"""A storyboard and the files it includes, read as one: every value keeps the file and the place that it came from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from renderer.errors import AuthoringError, Problem
from renderer.reading.authoring import problems_of
from renderer.reading.story_file import Shared
from renderer.reading.synonyms import SYNONYMS
from renderer.reading.yaml_file import Key, Node, Where, merged, read_yaml

MAX_FILES = 100


def read_story(file: Path) -> tuple[Node, list[Problem]]:
    """The root of a storyboard with what it includes merged in, and the problems found on the way.

    A value of the including file takes the place of the included one, a later include that of an earlier one;
    characters of all files come together. Raises AuthoringError when the storyboard itself can't be read.
    """
    document = read_yaml(file)
    _refuse_recipe(document.root)
    reader = _Reader()
    reader.problems.extend(document.problems)
    return reader.with_includes(document.root, (file.resolve(),)), reader.problems


def _refuse_recipe(root: Node) -> None:
    """Raises AuthoringError for a recipe for training: one sentence instead of each of its keys."""
    if "scenes" not in root.keys and root.keys.keys() & {"data", "train"}:
        todo = f"`storyboard train {shlex.quote(str(root.source.file))}` trains by it."
        raise AuthoringError([root.problem((), "this is a recipe for training, not a storyboard.", todo)])


class _Reader:
    """Reads included files, each once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.read: dict[Path, Node] = {}

    def with_includes(self, root: Node, chain: tuple[Path, ...]) -> Node:
        """`root` with its includes merged in; `chain` are the files being read, from the storyboard on."""
        items: dict[Key, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        for where, name in _includes(root):
            included = self.included(root, where, name, chain)
            if included is not None:
                _lay_over(items, keys, included, shared_only=True)
        if not items or not isinstance(root.value, dict):
            return root
        _lay_over(items, keys, root)
        return merged(root, items, keys)

    def included(self, root: Node, where: Where, name: str, chain: tuple[Path, ...]) -> Node | None:
        entry = root.find(where)
        file = root.source.file.parent / name
        try:
            resolved = file.resolve()
            found = file.is_file()
        except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a null byte
            resolved, found = file, False
        if resolved in chain:
            circle = " → ".join(path.name for path in (*chain[chain.index(resolved) :], resolved))
            self.problems.append(entry.problem(where, f"the files include each other: {circle}.", "Remove one."))
            return None
        if resolved in self.read:
            return self.read[resolved]
        if len(self.read) >= MAX_FILES:
            self.problems.append(entry.problem(where, f"more than {MAX_FILES} files are included."))
            return None
        if not found:
            todo = f"Paths are relative to {root.source.file.name}."
            self.problems.append(entry.problem(where, f'there is no file "{name}".', todo))
            return None
        try:
            document = read_yaml(file)
        except AuthoringError as error:
            self.problems.extend(error.problems)
            return None
        self.problems.extend(document.problems)
        self.problems.extend(_check(document.root))
        self.read[resolved] = self.with_includes(document.root, (*chain, resolved))
        return self.read[resolved]


def included_names(root: Node) -> Iterator[str]:
    """What a file includes, as it names them."""
    return (name for _, name in _includes(root))


def _includes(root: Node) -> Iterator[tuple[Where, str]]:
    """Path and value of each include of a file; wrong types are left to validation."""
    node = root.items.get("include")
    if node is not None and isinstance(node.value, str):
        yield ("include",), node.value
    elif node is not None and isinstance(node.value, list):
        yield from ((("include", index), name) for index, name in enumerate(node.value) if isinstance(name, str))


def _check(root: Node) -> Iterator[Problem]:
    """What is wrong with an included file by itself."""
    try:
        Shared.model_validate(root.value)
    except ValidationError as error:
        for where, problem in problems_of(error, root, Shared, SYNONYMS):
            if where in (("scenes",), ("title",)):
                todo = "Included files hold what stories share; move it to the storyboard."
                yield root.problem(where, f'"{where[0]}" can\'t be included.', todo, at=root.keys[str(where[0])])
            else:
                yield problem


def _lay_over(
    items: dict[Key, Node], keys: dict[str, tuple[int, int]], root: Node, *, shared_only: bool = False
) -> None:
    """Put the values of a file over those collected so far; characters are added one by one."""
    for key, node in root.items.items():
        if shared_only and (key not in Shared.model_fields or key == "include"):
            continue
        below = items.get(key)
        if below is not None and node.value is None:
            continue
        if key == "characters" and below is not None and below.items and isinstance(node.value, dict):
            node = merged(node, {**below.items, **node.items}, {**below.keys, **node.keys})
        items[key] = node
        keys[str(key)] = root.keys[str(key)]

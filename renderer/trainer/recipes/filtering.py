"""A recipe's filter: each step is one operator that Data-Juicer knows, with arguments that it takes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from renderer.errors import closest, did_you_mean
from renderer.reading.authoring import describe
from renderer.reading.findings import Findings
from renderer.reading.yaml_file import Node, Where
from renderer.trainer.recipes.operators import operator_arguments, operator_names
from renderer.trainer.recipes.recipe_file import RecipeFile


def check_filter(file: RecipeFile, findings: Findings) -> None:
    """Each step of the filter is one operator that Data-Juicer knows, with arguments that it takes."""
    known = operator_names()
    for index, process in enumerate(file.filter):
        where: Where = ("filter", index)
        if len(process) != 1:
            what = f"each entry is one operator with its arguments; here are {len(process) or 'none'}."
            findings.tell(where, what, "Begin each operator in a line of its own, after a dash.")
        for name, arguments in process.items():
            node = findings.root.find(where)
            if known and name not in known:
                what = f'Data-Juicer has no operator "{name}".'
                findings.tell((*where, name), what, closest(name, known), at=node.keys.get(name))
            elif known and arguments:
                _check_arguments(findings, (*where, name), operator_arguments(name))
            _check_finite(findings, (*where, name), findings.root.find((*where, name)))


def _check_arguments(findings: Findings, where: Where, taken: frozenset[str] | None) -> None:
    for argument, at in findings.root.find(where).keys.items() if taken is not None else ():
        if taken is not None and argument not in taken:
            what = f'"{where[-1]}" takes no argument "{argument}".'
            findings.tell((*where, argument), what, did_you_mean(argument, taken), at=at)


def _check_finite(findings: Findings, where: Where, node: Node) -> None:
    for place, found in _leaves(where, node):
        if isinstance(found.value, float) and not math.isfinite(found.value):
            what = f"expected a finite number, got {describe(found.value).removeprefix('the number ')}."
            findings.tell(place, what, "Leave the argument out: without it there is no bound.")


def _leaves(where: Where, node: Node) -> Iterator[tuple[Where, Node]]:
    if not node.items:
        yield where, node
    for key, item in node.items.items():
        yield from _leaves((*where, key), item)

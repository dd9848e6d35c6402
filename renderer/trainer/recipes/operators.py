"""Data-Juicer's operators and their arguments, read from its source: importing it takes ten seconds and much memory."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"\bOPERATORS\.register_module\(\s*(f?)([\"'][^\"']+[\"']|\w+)\s*\)")
_CONSTANT = re.compile(r"^(\w+) *= *[\"']([^\"']+)[\"']", re.MULTILINE)
_KINDS = {"Filter", "Mapper", "Deduplicator", "Selector", "Grouper", "Aggregator", "Pipeline"}
_TAKEN = re.compile(r"\bkwargs(?:\.get\(|\.pop\(|\[)[\"'](\w+)[\"']")


def operator_names() -> frozenset[str]:
    """The names of all operators that the installed Data-Juicer has; none where it isn't installed."""
    return frozenset(_files())


def operator_arguments(name: str) -> frozenset[str] | None:
    """The arguments that a known operator takes; None where its source doesn't tell.

    Data-Juicer itself ignores an argument that it doesn't know.
    """
    file = _files()[name]
    source = file.read_text(encoding="utf-8")
    base = (file.parent.parent / "base_op.py").read_text(encoding="utf-8")
    own = _signature(source, name)
    return None if own is None else frozenset({*own, *_TAKEN.findall(source), *_TAKEN.findall(base)})


@cache
def _files() -> dict[str, Path]:
    """The file of each operator, by its name."""
    spec = find_spec("data_juicer")
    folders = spec.submodule_search_locations if spec is not None else None
    files: dict[str, Path] = {}
    for folder in folders or ():
        for file in Path(folder, "ops").glob("*/*.py"):
            files |= dict.fromkeys(_registered(file.read_text(encoding="utf-8")), file)
    return files


def _registered(source: str) -> list[str]:
    """The names under which a file registers operators: given as they are, as a constant, or with one inside."""
    constants = dict(_CONSTANT.findall(source))
    names = []
    for formatted, word in _REGISTERED.findall(source):
        name = word.strip("\"'") if word[0] in "\"'" else constants.get(word, "")
        names.append(re.sub(r"\{(\w+)\}", lambda found: constants.get(found[1], ""), name) if formatted else name)
    return [name for name in names if name]


def _signature(source: str, name: str) -> list[str] | None:
    """What the operator's class takes when it is made; None for one that has more from a class of another file."""
    constants = dict(_CONSTANT.findall(source))
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef) and name in _names(statement, constants):
            plain = all(isinstance(base, ast.Name) and base.id in _KINDS for base in statement.bases)
            return _parameters(statement) if plain else None
    return None


def _names(statement: ast.ClassDef, constants: dict[str, str]) -> set[str]:
    """What a class is registered as."""
    calls = (decorator for decorator in statement.decorator_list if isinstance(decorator, ast.Call))
    words = [ast.unparse(argument) for call in calls for argument in call.args]
    return {constants.get(word, word.strip("\"'")) for word in words}


def _parameters(statement: ast.ClassDef) -> list[str] | None:
    for method in statement.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return [argument.arg for argument in (*method.args.args[1:], *method.args.kwonlyargs)]
    return None

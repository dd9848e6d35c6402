"""What pydantic finds wrong in an authored file, told in plain words at its place in the file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from renderer.errors import Problem, closest, did_you_mean
from renderer.reading.yaml_file import Node, Where, plain_value

TEXT, MAPPING, LIST, NUMBER = "\0text", "\0mapping", "\0list", "\0number"
"""Tags of the forms that a value may be written in; pydantic puts them into an error's path, `_where` removes them."""

_SHAPES: dict[type, str] = {str: TEXT, dict: MAPPING, list: LIST, tuple: LIST, int: NUMBER}


class Authored(BaseModel):
    """A part of a file that a person writes: nothing unknown in it, never changed once read."""

    # Built at first use: a story file is read as one, so the validators of its parts by themselves are hardly needed.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), defer_build=True)


def refuse(what: str, todo: str = "") -> PydanticCustomError:
    """The error that a validator raises: what is wrong, and what to do."""
    return PydanticCustomError("authoring", "{what} {todo}", {"what": what, "todo": todo})


def one_of_forms(expected: str) -> Discriminator:
    """Chooses between the forms of a value by its shape alone, so that errors speak of the form that was meant."""
    return Discriminator(
        lambda value: _SHAPES.get(type(value)),
        custom_error_type="form",
        custom_error_message=f"expected {expected}",
    )


def problems_of(
    error: ValidationError, root: Node, model: type[BaseModel], synonyms: Mapping[str, str]
) -> Iterator[tuple[Where, Problem]]:
    """Each thing that pydantic found, with its path and as a problem of the file.

    `synonyms` are words that people write for keys that have another name.
    """
    for details in error.errors(include_url=False):
        where = _where(details["loc"])
        kind = details["type"]
        if kind == "too_short" and details["input"]:
            continue  # pydantic counts valid entries only; the others have been told
        if kind == "extra_forbidden":
            yield where, _unknown_key(where, root, model, synonyms)
        elif kind == "missing":
            what = f'"{where[-1]}" is missing.'
            yield where, root.find(where[:-1]).problem(where, what, _purpose(model, where))
        else:
            what, todo = _in_words(details, _written(root.find(where)))
            on_key = root.find(where[:-1]).keys.get(str(where[-1])) if details["loc"][-1:] == ("[key]",) else None
            yield where, root.find(where).problem(where, what, todo, at=on_key)


def describe(value: object) -> str:
    """A value as the author would call it: `text "abc"`, `the number 3`, `a list`, `nothing`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {_number(value)}"
        case str():
            return f'text "{value[:40]}{"…" if len(value) > 40 else ""}"'
        case list() | tuple():
            return "a list"
    return "a mapping"


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return str(value) if abs(value) < 10**30 else f"{str(value)[:30]}…"


def _where(loc: Iterable[int | str]) -> Where:
    return tuple(step for step in loc if isinstance(step, int) or not (step.startswith("\0") or step == "[key]"))


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The pydantic models that a field's annotation speaks of."""
    if _is_model(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _model_at(model: type[BaseModel], where: Where) -> type[BaseModel]:
    """The model of the mapping at a path."""
    for step in where:
        if isinstance(step, str) and step in model.model_fields:
            model = next(_models(model.model_fields[step].annotation), model)
    return model


def _unknown_key(where: Where, root: Node, model: type[BaseModel], synonyms: Mapping[str, str]) -> Problem:
    key = str(where[-1])
    known = _model_at(model, where[:-1]).model_fields
    meant = synonyms.get(re.sub(r"[ -]", "_", key.casefold()), "")
    if meant in known:
        todo = f'Write "{meant}".'
    elif key in model.model_fields:
        todo = "It belongs at the top of the file."
    elif sections := _sections_with(key, model.model_fields):
        todo = f"It belongs under {sections}."
    elif sections := _sections_with(meant, _plain_sections(model)):
        todo = f'Write "{meant}" under {sections}.'
    else:
        todo = did_you_mean(key, known)
    parent = root.find(where[:-1])
    return parent.problem(where, f'unknown key "{key}".', todo, at=parent.keys.get(key))


def _sections_with(key: str, fields: Mapping[str, FieldInfo]) -> str:
    """The fields under which such a key stands: `"train" or "samples"`; '' for none."""
    found = [f'"{name}"' for name, field in fields.items() if _has_key(field.annotation, key)]
    return " or ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))


def _has_key(annotation: object, key: str) -> bool:
    return any(key in model.model_fields for model in _models(annotation))


def _plain_sections(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields that hold one mapping of fixed keys: no list, and none with names of the author's own."""
    return {
        name: field
        for name, field in model.model_fields.items()
        if any(_is_model(form) for form in (field.annotation, *get_args(field.annotation)))
    }


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _purpose(model: type[BaseModel], where: Where) -> str:
    """What a missing key is for."""
    field = _model_at(model, where[:-1]).model_fields.get(str(where[-1]))
    return f"Add it: {field.description}" if field is not None and field.description else "Add it."


def _written(node: Node) -> str:
    """A plain value as it stands in the file, such as `01` for 1; '' where that can't be told."""
    written = node.source.text[node.start : node.end].strip()
    return written if written and plain_value(written) == node.value else ""


def _in_words(details: ErrorDetails, written: str) -> tuple[str, str]:
    """What is wrong and what to do, from pydantic's error, of a value as it is `written`."""
    value, context = details["input"], {**details.get("ctx", {}), "written": written}
    tell = _WORDS.get(details["type"])
    if tell is None:
        return f"{details['msg']}, got {describe(value)}.", _half_width(value)
    return tell(value, context)


_Words = Callable[[Any, Mapping[str, Any]], tuple[str, str]]


def _expected(what: str, todo: str = "") -> _Words:
    return lambda value, _: (f"expected {what}, got {describe(value)}.", todo)


def _text(value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    todo = "Write it, in quotes if need be." if value is None else ""
    if isinstance(value, bool | int | float):
        written = context["written"] or (str(value).lower() if isinstance(value, bool) else _number(value))
        todo = f'Put it in quotes: "{written[:40]}".'
    elif isinstance(value, list):
        todo = 'A text that begins with "[" or "- " needs quotes.'
    elif isinstance(value, dict):
        todo = 'A text that begins with "{", or that holds ": ", needs quotes.'
    return f"expected text, got {describe(value)}.", todo


def _whole(value: object, _: Mapping[str, Any]) -> tuple[str, str]:
    return f"expected a whole number, got {describe(value)}.", _half_width(value)


def _half_width(value: object) -> str:
    """What to do about numbers with a full-width comma between them; '' where there is none."""
    found = re.search("[，、；]", value) if isinstance(value, str) and re.search(r"\d", value) else None
    return f'"{found[0]}" is full-width: write a half-width "," and a space.' if found else ""


def _flag(value: object, _: Mapping[str, Any]) -> tuple[str, str]:
    meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).casefold())
    return f"expected true or false, got {describe(value)}.", f"Write {meant}." if meant else ""


def _mapping(value: object, _: Mapping[str, Any]) -> tuple[str, str]:
    todo = 'Write "key: value" lines.'
    if isinstance(value, str) and re.search("[:：]", value):
        key = re.match(r"[a-z_]+:(?=\S)", value)
        todo = f'A space is missing after "{key[0]}".' if key else 'After a key comes a half-width ":" and a space.'
    return f"expected a mapping, got {describe(value)}.", todo


def _limit(words: str, name: str) -> _Words:
    def tell(value: object, context: Mapping[str, Any]) -> tuple[str, str]:
        limit = context[name]
        shown = f"{int(limit):,}" if limit == int(limit) else str(limit)
        return f"has to be {words} {shown}, got {describe(value).removeprefix('the number ')}.", ""

    return tell


def _choice(value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    words = re.findall(r"'([^']*)'", str(context["expected"]))
    shown = ", ".join(words)
    return f"expected one of {shown}, got {describe(value)}.", closest(value, words) if isinstance(value, str) else ""


def _length(words: str, name: str) -> _Words:
    def tell(value: object, context: Mapping[str, Any]) -> tuple[str, str]:
        count, limit = context.get("actual_length") or 0, context[name]
        return f"expected {words} {limit:,} {'entry' if limit == 1 else 'entries'}, got {count or 'none'}.", ""

    return tell


_WORDS: dict[str, _Words] = {
    "authoring": lambda _, context: (context["what"], context["todo"]),
    "string_type": _text,
    "int_type": _whole,
    "float_type": _expected("a number"),
    "finite_number": _expected("a finite number"),
    "bool_type": _flag,
    "list_type": _expected("a list", 'Write each entry in a line of its own after "- ", or [a, b].'),
    "tuple_type": _expected("a list", 'Write each entry in a line of its own after "- ", or [a, b].'),
    "dict_type": _mapping,
    "model_type": _mapping,
    "literal_error": _choice,
    "greater_than_equal": _limit("at least", "ge"),
    "greater_than": _limit("more than", "gt"),
    "less_than_equal": _limit("at most", "le"),
    "less_than": _limit("less than", "lt"),
    "too_short": _length("at least", "min_length"),
    "too_long": _length("at most", "max_length"),
}

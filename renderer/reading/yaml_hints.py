"""What PyYAML's syntax errors mean to whoever wrote the file."""

from __future__ import annotations

import re

import yaml

_WIDE_COLON = re.compile(r" *(?:- +)?[a-z_]+：")
_OPENING = re.compile(r"\s*(?:- +)*(?:[^\s:#]+: +)?([{[])")
_NO_SPACE = re.compile(r" *(?:- +)?([a-z_]+):(?=[^\s:/])")
_HINTS = (
    ("mapping values are not allowed", 'A text that holds ": " needs quotes; else the indentation is wrong.'),
    ("found unexpected end of stream", "A quote is opened and never closed."),
    ("could not find expected ':'", 'Write "key: value", with ":" and a space; a long text needs quotes.'),
    ("did not find expected ',' or ']'", "A bracket is not closed, or a comma is missing."),
    (
        "did not find expected ',' or '}'",
        "A brace is not closed, or a comma is missing; a text with braces needs quotes.",
    ),
    ("did not find expected node content", 'A text that begins with "{", "[" or "," needs quotes.'),
    ("did not find expected key", "Check the indentation, and that quotes inside a text are of the other kind."),
    ("did not find expected '-' indicator", 'Each entry of a list begins with "- ", all at the same indentation.'),
    (
        "block sequence entries are not allowed",
        'A list begins in a line of its own; a text that begins with "- " needs quotes.',
    ),
    ("found unknown escape character", "Inside double quotes a backslash is written twice; in single quotes once."),
    ("anchor", 'A text that begins with "&" or "*" needs quotes.'),
)


def explain(error: yaml.YAMLError, text: str) -> tuple[int, int, str, str]:
    """Line and column (from 1) of a syntax error in a text, what is wrong there, and what to do."""
    reason = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None) or ""
    line, column = _place(error, context)
    lines = text.split("\n")
    for number in (line - 1, line):
        wide = _WIDE_COLON.match(lines[number - 1]) if 0 < number <= len(lines) else None
        if wide:
            todo = 'After a key comes a half-width ":" and a space.'
            return number, wide.end(), 'this full-width "：" ends no key.', todo
        close = _NO_SPACE.match(lines[number - 1]) if 0 < number <= len(lines) and _unkeyed(reason) else None
        if close:
            return number, close.end() + 1, f'a space is missing after "{close[1]}:".', f'Write "{close[1]}: …".'
    written = lines[line - 1] if line <= len(lines) else ""
    opening = _OPENING.match(written)
    if opening and column > opening.end() and ("expected key" in reason or "expected '-'" in reason):
        kind = "mapping" if opening[1] == "{" else "list"
        todo = f'A text that begins with "{opening[1]}" needs quotes.'
        return line, opening.end(), f"this reads as a {kind}, not as text.", todo
    return line, column, f"this is not valid YAML: {reason}.", _hint(reason, written[column - 1 : column])


def _unkeyed(reason: str) -> bool:
    """Whether a key was not found where one should be, or found where none should be."""
    return "mapping values are not allowed" in reason or "could not find expected ':'" in reason


def _place(error: yaml.YAMLError, context: str) -> tuple[int, int]:
    # Of a quote that is never closed the place where it opens is worth more than the end of the file.
    names = ("context_mark", "problem_mark") if "quoted scalar" in context else ("problem_mark", "context_mark")
    mark = next((mark for name in names if (mark := getattr(error, name, None)) is not None), None)
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _hint(reason: str, first: str) -> str:
    if "cannot start any token" not in reason:
        return next((hint for part, hint in _HINTS if part in reason), "")
    return "Indent with spaces, not with tabs." if first == "\t" else f'A text that begins with "{first}" needs quotes.'

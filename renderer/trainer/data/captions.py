"""Captions as people keep them: a table of all, metadata.csv or metadata.jsonl, or a text file beside each picture."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from renderer.errors import DataError, did_you_mean
from renderer.trainer.data.samples import Finding

TABLES = ("metadata.csv", "metadata.jsonl")
TRAIN = "train"
"""DiffSynth's trainer keeps pictures and table in this subfolder; such folders are read as they are."""
FILE_COLUMNS = ("file_name", "image", "file", "path")
TEXT_COLUMNS = ("text", "caption", "prompt")
"""Names of columns that are known, the usual one first."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]+")
MOST_BYTES = 64 * 1024
"""Of a caption's file; a longer one is something else under its name."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: a file as the table names it, its caption ('' for none), and where that stands."""

    file: str
    caption: str
    place: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of captions. Its files are relative to `folder`; `findings` are its lines that can't be read."""

    path: Path
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def folder(self) -> Path:
        return self.path.parent


def read_table(folder: Path, file_column: str | None = None, text_column: str | None = None) -> Table | None:
    """The table of captions of a data folder; None where there is none. The columns are found where none is named.

    Raises DataError for one that can't be read at all.
    """
    found = [path for place in (folder, folder / TRAIN) for name in TABLES if (path := place / name).is_file()]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(f"{folder}: there are two tables of captions, {found[0].name} and {found[1]}. Keep one.")
    path = found[0]
    text = _text(path)
    if path.suffix == ".jsonl":
        return _from_lines(path, text, file_column, text_column)
    return Table(path, tuple(_csv_rows(path, text, file_column, text_column)), ())


def read_caption_file(path: Path) -> str:
    """The caption in a picture's own text file, '' where there is none. Raises ValueError with what is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ValueError(f"{path.name} can't be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path.name} is longer than {MOST_BYTES // 1024} KB: that is no caption")
    try:
        return tidy(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text") from error


def tidy(caption: str) -> str:
    """A caption in one line, without control characters, or spaces around it."""
    return " ".join(_CONTROLS.sub(" ", caption).split())


def is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8: names of files, and what JSON escapes, may hold what can't."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: this is not UTF-8 text. Save the file as UTF-8 (Excel: CSV UTF-8).") from error


def _csv_rows(path: Path, text: str, file_column: str | None, text_column: str | None) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        file_at = header.index(_column(path, header, file_column, FILE_COLUMNS))
        text_at = header.index(_column(path, header, text_column, TEXT_COLUMNS))
        for cells in reader:
            if any(cells):
                cells += [""] * (len(header) - len(cells))
                yield Row(cells[file_at].strip(), tidy(cells[text_at]), f"{path.name}:{reader.line_num}")
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: this is no CSV: {error}.") from error


def _column(path: Path, header: Sequence[str], asked: str | None, known: Sequence[str]) -> str:
    """The column that was asked for, else the first of the known ones. Raises DataError."""
    if asked is not None and asked not in header:
        raise DataError(f'{path}: there is no column "{asked}". {did_you_mean(asked, header)}'.rstrip())
    found = asked or next((name for name in known if name in header), None)
    if found is None:
        shown = ", ".join(header)[:200] or "nothing"
        raise DataError(
            f"{path}:1: the first line has to name the columns, {FILE_COLUMNS[0]},{TEXT_COLUMNS[0]}; it says {shown}."
        )
    return found


def _from_lines(path: Path, text: str, file_column: str | None, text_column: str | None) -> Table:
    """A table of JSON objects, one a line; a line that isn't one is a finding, since the others can be read."""
    files = FILE_COLUMNS if file_column is None else (file_column,)
    texts = TEXT_COLUMNS if text_column is None else (text_column,)
    rows: list[Row] = []
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{path.name}:{number}"
        if not line.strip():
            continue
        try:
            rows.append(_line_row(line, place, files, texts))
        except (ValueError, RecursionError) as error:
            findings.append(Finding(place, "listed", "damaged_line", str(error)))
    return Table(path, tuple(rows), tuple(findings))


def _line_row(line: str, place: str, files: Sequence[str], texts: Sequence[str]) -> Row:
    """Raises ValueError with what is wrong with the line."""
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise ValueError(f"this line is no JSON: {error}") from error
    if not isinstance(entry, dict):
        raise ValueError("this line is no JSON object")
    file = next((entry[name] for name in files if name in entry), None)
    caption = next((entry[name] for name in texts if name in entry), "")
    if not isinstance(file, str) or not file or not is_text(file):
        raise ValueError(f'this line names no file: expected "{files[0]}"')
    if not isinstance(caption, str) or not is_text(caption):
        raise ValueError("its caption is not text")
    return Row(file.strip(), tidy(caption), place)

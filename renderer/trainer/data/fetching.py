"""Data sets of ModelScope: fetched once, kept as a folder of pictures with a table of captions, gone on with if broken.

Pictures are kept as the bytes that the data set holds, so that a damaged one is found and named like any other.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from platformdirs import user_cache_path

from renderer.errors import DataError
from renderer.files import explained, write_atomically
from renderer.trainer.data.captions import TEXT_COLUMNS, tidy
from renderer.trainer.data.pictures import FORMATS, PICTURE_SUFFIXES, SUFFIXES
from renderer.trainer.recipes.recipe_file import DataEntry

MARK = "fetched.json"
NEEDS_MORE = 'Data sets of ModelScope need more packages. Run: pip install "kolors-storyboard[train]"'
_FULL = "the disk is full. What was fetched so far is kept: free some space and run the same command again to go on."

Row = Mapping[str, Any]


class Rows(Protocol):
    """A data set that is on this machine: its rows by column."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Row]: ...


def fetched_folder(entry: DataEntry) -> Path:
    """Where a data set of ModelScope is kept, or will be: by its name and all that chooses its rows and columns."""
    assert entry.modelscope is not None
    chosen = [entry.modelscope, entry.subset, entry.split, entry.revision, entry.image, entry.text]
    digest = hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:12]
    name = re.sub(r"[^\w.-]+", "--", entry.modelscope).strip("-")[:80]
    return user_cache_path("kolors-storyboard", appauthor=False) / "datasets" / f"{name}-{digest}"


def is_fetched(entry: DataEntry) -> bool:
    """Whether as many rows as are asked for are here, so that nothing has to be asked of ModelScope."""
    try:
        mark = json.loads((fetched_folder(entry) / MARK).read_text(encoding="utf-8"))
        return bool(mark["rows"] >= min(mark["of"], entry.limit or mark["of"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def fetch_dataset(
    entry: DataEntry, tell: Callable[[int, int], None], load: Callable[[DataEntry], Rows] | None = None
) -> Path:
    """The folder of a data set of ModelScope, fetched where it isn't here. Delete that folder to fetch it anew.

    `load` gives its rows (default: `load_modelscope`). Raises DataError, RunFolderError.
    """
    folder = fetched_folder(entry)
    if is_fetched(entry):
        return folder
    rows = (load or load_modelscope)(entry)
    with explained(folder, _FULL, "point XDG_CACHE_HOME elsewhere"):
        folder.mkdir(parents=True, exist_ok=True)
        _keep(rows, entry, folder, tell)
    return folder


def load_modelscope(entry: DataEntry) -> Rows:
    """The rows of a data set, downloaded by MsDataset, which goes on with broken downloads. Raises DataError."""
    try:
        import datasets
        from modelscope.msdatasets import MsDataset
    except ImportError as error:
        raise DataError(f"{NEEDS_MORE} ({error})") from error
    datasets.disable_progress_bars()
    try:
        loaded = MsDataset.load(entry.modelscope, subset_name=entry.subset, split=entry.split, version=entry.revision)
    except Exception as error:  # of the hub, of the network, of the data set: its own words say which
        what = str(error).rstrip(".。") or type(error).__name__
        raise DataError(
            f"{entry.modelscope} (subset {entry.subset}, split {entry.split}, revision {entry.revision}) can't be "
            f"fetched from ModelScope: {what}. Check its name and the connection, and run the same command again to go "
            "on; or name a folder of pictures, `data: {folder: …}`."
        ) from error
    rows = getattr(loaded, "ds_instance", loaded)
    for name, feature in (getattr(rows, "features", None) or {}).items():
        if type(feature).__name__ == "Image":  # as it is in the file, not decoded
            rows = rows.cast_column(name, datasets.Image(decode=False))
    result: Rows = rows
    return result


def _keep(rows: Rows, entry: DataEntry, folder: Path, tell: Callable[[int, int], None]) -> None:
    """Writes rows as pictures and a table; pictures that are there already are left as they are."""
    wanted = min(len(rows), entry.limit or len(rows))
    table: list[str] = []
    columns: tuple[str, str | None] | None = None
    for number, row in zip(range(wanted), rows, strict=False):
        columns = columns or _columns(row, entry)
        content = _content(row[columns[0]])
        name = f"{number:06d}{_suffix(content)}"
        if content and not (folder / name).is_file():
            part = folder / f"{number:06d}.part"
            part.write_bytes(content)
            part.replace(folder / name)
        caption = row.get(columns[1]) if columns[1] else ""
        table.append(json.dumps({"file_name": name, "text": tidy(caption) if isinstance(caption, str) else ""}))
        tell(number + 1, wanted)
    write_atomically(folder / "metadata.jsonl", "".join(f"{line}\n" for line in table).encode())
    mark = entry.model_dump(exclude={"folder", "caption", "limit"}) | {"rows": wanted, "of": len(rows)}
    write_atomically(folder / MARK, json.dumps(mark, ensure_ascii=False, indent=2).encode())


def _columns(row: Row, entry: DataEntry) -> tuple[str, str | None]:
    """The columns of pictures and of captions (None: there are none). Raises DataError."""
    if not isinstance(row, Mapping):
        raise DataError(
            f"{entry.modelscope}: its rows have no columns, so that pictures and captions can't be told apart."
        )
    for asked in (entry.image, entry.text):
        if asked is not None and asked not in row:
            raise DataError(f'{entry.modelscope}: there is no column "{asked}". It has {", ".join(row)}.')
    pictures = entry.image or next((name for name, value in row.items() if _content(value)), None)
    if pictures is None:
        raise DataError(f"{entry.modelscope}: no column holds pictures. It has {', '.join(row)}.")
    return pictures, entry.text or next((name for name in TEXT_COLUMNS if name in row), None)


def _content(value: object) -> bytes:
    """The bytes of a picture in the forms that data sets have; b'' for none."""
    match value:
        case {"bytes": bytes(content)} | bytes(content):
            return content
        case {"path": str(path)} if path:
            return _file(path)
        case str(path) if Path(path).suffix.lower() in PICTURE_SUFFIXES:
            return _file(path)
        case Image.Image():
            buffer = io.BytesIO()
            value.save(buffer, format="PNG")
            return buffer.getvalue()
    return b""


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return b""


def _suffix(content: bytes) -> str:
    """What a picture's file should end in; .jpg for what is none, which is found when it is looked at."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return SUFFIXES[image.format or "JPEG"][0]
    except Exception:
        return ".jpg"

"""URLs of the files that a sheet shows."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def url_of(path: Path, folder: Path) -> str:
    """The URL of a file in the run folder, relative to the sheet, percent-encoded."""
    file, root = os.fspath(path), os.path.join(folder, "")
    # Thousands of paths are made of the folder's own: what Path does to compare them is worth leaving out.
    inside = file.removeprefix(root) if file.startswith(root) else os.fspath(path.relative_to(folder))
    return quote(os.fsencode(inside.replace(os.sep, "/")), safe="/")

"""URLs of the files that a sheet shows."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def url_of(path: Path, folder: Path) -> str:
    """The URL of a file in the run folder, relative to the sheet, percent-encoded."""
    return quote(os.fsencode(path.relative_to(folder).as_posix()), safe="/")

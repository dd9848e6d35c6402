"""Which files of a run folder the page may ask for: pictures, thumbnails, the pages of the grid; nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

from renderer.inventory import PICTURES
from renderer.looking.thumbs import THUMBS

TYPES = {".png": "image/png", ".webp": "image/webp"}

_SHELVES = {PICTURES: ".png", THUMBS: ".webp"}
_GRID = re.compile(r"grid(-[1-9][0-9]{0,4})?\.png")
# Also what Windows reads as a folder, a drive or another stream of the file.
_NAME = re.compile(r"[^./\\:\x00-\x1f\x7f][^/\\:\x00-\x1f\x7f]*")


def find_file(folder: Path, url: str) -> Path | None:
    """The file in the run folder that the path of a URL names; None for any that is not there, or not to be seen.

    Percent-encoding is undone once. Links are followed only where they stay in the place that was asked for.
    """
    place, name = _asked(os.fsdecode(unquote_to_bytes(url)))
    if not name:
        return None
    try:
        home = (folder.resolve(strict=True) / place).resolve(strict=True)
        path = (home / name).resolve(strict=True)
        inside = home == folder.resolve() / place and path.parent == home
        return path if inside and path.suffix == Path(name).suffix and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # gone, too long, a circle of links
        return None


def _asked(path: str) -> tuple[str, str]:
    """The sub-folder ('' for the run folder itself) and the name that a path asks for; no name for a strange one."""
    parts = path.removeprefix("/").split("/")
    if len(parts) == 1 and _GRID.fullmatch(parts[0]):
        return "", parts[0]
    if len(parts) == 2 and _NAME.fullmatch(parts[1]) and parts[1].endswith(_SHELVES.get(parts[0], "\0")):
        return parts[0], parts[1]
    return "", ""

"""`set-aside/` of a run folder: files that a person put or changed where ours belong. Nothing is ever overwritten."""

from __future__ import annotations

from pathlib import Path

SET_ASIDE = "set-aside"


def set_aside(folder: Path, path: Path) -> Path:
    """Where a file of the run folder lies now that it has made room: under a number that is free. Raises OSError."""
    (folder / SET_ASIDE).mkdir(exist_ok=True)
    number = 1
    while (kept := folder / SET_ASIDE / f"{path.stem}.{number}{path.suffix}").exists():
        number += 1
    path.rename(kept)
    return kept

"""A story to begin with: short, commented, and ready to be rendered."""

from __future__ import annotations

import json
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = (_PACKAGE / "templates", _PACKAGE.parent / "templates")
"""Where templates lie in an installed package, and in a checkout."""


def new_story(name: str, language: str) -> str:
    """The text of a new storyboard file with comments in `language` (zh or en)."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    text = (folder / f"new-story.{language}.yaml").read_text(encoding="utf-8")
    return text.replace("TITLE", json.dumps(name, ensure_ascii=False))

"""Write a story as a YAML file, render it with Kolors, review the pictures on one HTML sheet.

from renderer import load_storyboard, make_plan, render
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renderer.line import render as render
    from renderer.plan import make_plan as make_plan
    from renderer.storyboard import load_storyboard as load_storyboard

__all__ = ["load_storyboard", "make_plan", "render"]

_HOMES = {"load_storyboard": "renderer.storyboard", "make_plan": "renderer.plan", "render": "renderer.line"}


def __getattr__(name: str) -> object:
    """Imported at first use, so that `import renderer` costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'renderer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""The public surface is small, and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import renderer

HEAVY = ("torch", "diffusers", "diffsynth", "transformers", "peft", "modelscope", "lightning")


def test_the_public_names_are_these():
    assert renderer.__all__ == ["load_storyboard", "make_plan", "render"]
    assert dir(renderer) == ["load_storyboard", "make_plan", "render"]
    for name in renderer.__all__:
        assert callable(getattr(renderer, name))
        assert getattr(renderer, name).__doc__
    with pytest.raises(AttributeError):
        _ = renderer.paint_everything


@pytest.mark.parametrize("module", ["renderer", "renderer.cli", "renderer.line", "renderer.plan", "renderer.sheet"])
def test_nothing_heavy_is_imported_before_a_picture_has_to_be_painted(module):
    code = f"import sys, {module}; print(sorted(set({HEAVY!r}) & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

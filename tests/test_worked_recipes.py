"""What ships of the worked recipes does what it says: measured on painted pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renderer.kolors.card import BUNDLED, read_card
from renderer.line import render
from renderer.manifest import read_manifest
from renderer.plan import plan_story

ROOT = Path(__file__).parent.parent
SKETCHES = ROOT / "storyboards" / "sketches.yaml"
FOUR_WAYS = ROOT / "storyboards" / "four-ways.yaml"
SHIPPED = ("pencil", "molin", "tang", "moonlight")


def pictures(folder):
    """The pictures of a run folder, uint8 [height, width, 3], by scene and strength in a sweep."""
    manifest, found = read_manifest(folder), {}
    for scene in manifest.scenes:
        for take in scene.takes:
            with Image.open(folder / manifest.pictures[take.key].file) as picture:
                found[scene.id, take.strength] = np.asarray(picture.convert("RGB"))
    return found


def saturation(pixels):
    """Mean saturation of HSV, 0 … 1: (max - min) / max over a pixel's channels."""
    high, low = pixels.max(-1).astype(float), pixels.min(-1).astype(float)
    return float(((high - low) / np.maximum(high, 1)).mean())


def blueness(pixels):
    """Mean of how much bluer than red and green a pixel is, in levels of 255."""
    red, green, blue = np.moveaxis(pixels.astype(float), -1, 0)
    return float((blue - (red + green) / 2).mean())


@pytest.fixture(scope="module")
def sketches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sketches")
    render(SKETCHES, out=folder)
    return pictures(folder)


@pytest.mark.parametrize("scene", ["park", "kitchen", "classroom"])
def test_the_stronger_the_pencil_the_less_colour(sketches, scene):
    none, half, whole = (saturation(sketches[scene, strength]) for strength in (0.0, 0.5, 1.0))
    assert none > half > whole and whole < 0.6 * none


def test_at_strength_0_it_is_the_models_own_picture_bit_for_bit(sketches, tmp_path):
    text = SKETCHES.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "sweep:" not in line and not line.startswith("loras:")]
    (tmp_path / "bare.yaml").write_text("\n".join(lines), encoding="utf-8")
    render(tmp_path / "bare.yaml", out=tmp_path / "bare")
    for (scene, _), pixels in pictures(tmp_path / "bare").items():
        assert np.array_equal(pixels, sketches[scene, 0.0]), scene


def test_four_kinds_in_one_story_and_each_changes_its_scenes(tmp_path):
    plan = plan_story(FOUR_WAYS, out=tmp_path / "plan")
    assert {each.name for planned in plan.takes for each in planned.take.trained} == {*SHIPPED}
    assert plan.warnings == ()
    render(FOUR_WAYS, out=tmp_path / "with")
    painted = pictures(tmp_path / "with")
    assert blueness(painted["night", None]) > 25
    assert saturation(painted["drawing", None]) < 0.3 < saturation(painted["beach", None])


@pytest.mark.parametrize("name", SHIPPED)
def test_each_was_trained_on_the_model_that_ships_by_the_recipe_that_ships(name):
    card = json.loads((ROOT / "lora_weights" / f"{name}.json").read_text(encoding="utf-8"))
    assert card["base_model"] == read_card(BUNDLED / "kolors-mini").edition
    assert (ROOT / "lora_weights" / f"{name}.png").is_file()

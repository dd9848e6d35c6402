"""A story that sweeps a LoRA, and the LoRA, for tests."""

from __future__ import annotations

from pathlib import Path

from renderer.plan import Plan, make_plan
from renderer.storyboard import load_storyboard
from tests.stories import write_story
from tests.trained import save_training

SWEEP = """\
title: Starlight
size: 64x64
scenes:
  - id: sofa
    prompt: 沙发
    seeds: [1, 2]   # two tries
    sweep: {lora: pencil, strength: [0, 0.5, 1], step: [100, 200]}
  - id: park
    prompt: 公园
    seed: 3
"""


def write_sweep(folder: Path, text: str = SWEEP) -> Path:
    """The story's file, with the LoRA `pencil` (steps 100, 200, 300) beside it."""
    save_training(folder / "lora_weights", 100, 200, 300, recipe="pencil.yaml")
    return write_story(folder, text)


def planned(story: Path, **options: object) -> Plan:
    """The plan of a story whose run folder lies beside it."""
    return make_plan(load_storyboard(story), out=story.parent / "renders" / story.stem, **options)  # type: ignore[arg-type]


def replanned(folder: Path, text: str = SWEEP, **options: object) -> Plan:
    """The plan of the story with another text; its files stay as they are."""
    return planned(write_story(folder, text), **options)


def names(plan: Plan, scene: str = "sofa") -> list[str]:
    """What the takes of a scene are called."""
    return [str(each.take.name) for each in plan.takes if each.take.scene == scene]


def reasons(plan: Plan, scene: str = "sofa") -> dict[str, str]:
    """Why takes of a scene are to be painted, by what they are called."""
    return {str(each.take.name): each.reason for each in plan.takes if each.take.scene == scene and each.reason}

"""What `plan` and `doctor` say of memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from renderer import doctor
from renderer.kolors.card import BUNDLED, KOLORS
from renderer.kolors.fitting.machine import Machine
from renderer.kolors.fitting.placement import Placement
from renderer.planning import placing
from renderer.planning.placing import placed
from renderer.take import Take
from tests.test_cli import run

__all__ = ["run"]

GIB = 2**30


def card(gib, name="NVIDIA GeForce RTX"):
    return Machine("cuda", name, gib * GIB, gib * GIB - 400 * 2**20, 32 * 10**9)


def take(seed=0, **changes):
    usual = {"scene": "s", "prompt": "x", "negative": "y", "width": 1024, "height": 1024, "steps": 50, "guidance": 5.0}
    return Take(seed=seed, sampler="euler", model="kolors@1", **usual | changes)


@dataclass(frozen=True)
class Story:
    card: object


@dataclass(frozen=True)
class PlanOf:
    """As much of a plan as says which model it is for."""

    model_folder: object = None
    storyboard: Story = Story(KOLORS)


def test_takes_are_placed_by_size_and_precision_the_tightest_first():
    takes = [take(0), take(1, guidance=1.0), take(2, width=2048, height=2048), take(3, precision="fp8")]
    found = placed(PlanOf(), takes, card(8))
    assert [(it.job.width, it.job.precision, it.takes) for it in found] == [
        (2048, "fp16", 1),
        (1024, "fp16", 2),
        (1024, "fp8", 1),
    ]
    assert found[0].placement.decoding == "tiles"
    assert found[1].job.guided and found[1].placement.unet == "whole"
    assert found[1].words.startswith("NVIDIA GeForce RTX, 8.2 GB free: the whole UNet, one picture at a time, decoded")


def test_what_does_not_fit_comes_first_with_words():
    found = placed(PlanOf(), [take(0), take(1, width=4096, height=4096, precision="fp32")], card(4))
    assert found[0].placement is None and "`precision: fp16`" in found[0].words
    assert found[1].placement.unet == "streamed"


def test_a_story_is_placed_by_its_own_models_sizes():
    mini = BUNDLED / "kolors-mini"
    (found,) = placed(PlanOf(mini), [take(0, width=128, height=128)], card(4))
    assert found.placement.plain and found.placement.peak < 0.1e9


def test_a_model_that_is_not_here_is_not_placed_unless_it_is_kolors():
    other = KOLORS.model_copy(update={"name": "other"})
    assert placed(PlanOf(storyboard=Story(other)), [take(0)], card(8)) == []


@pytest.fixture
def on_a_card(monkeypatch):
    def install(machine):
        monkeypatch.setattr(placing, "this_machine", lambda: machine)

    return install


def test_plan_says_how_it_would_be_painted(on_a_card, run, tmp_path):
    (tmp_path / "tale.yaml").write_text("scenes: [{prompt: a girl}, {prompt: a boy, size: 160x96}]\n")
    on_a_card(card(8, "A card"))
    code, out, _ = run("plan", "tale.yaml")
    assert code == 0
    assert "A card, 8.2 GB free: the whole UNet, one picture at a time, decoded whole: about 0.0 GB" in out
    assert "(the tightest of 2: 128x128)" in out
    content = json.loads(run("plan", "tale.yaml", "--json")[1])
    assert [(it["width"], it["takes"], it["placement"]["unet"]) for it in content["placements"]] == [
        (128, 1, "whole"),
        (160, 1, "whole"),
    ]


def test_plan_says_what_to_do_where_nothing_fits(on_a_card, run, tmp_path):
    (tmp_path / "tale.yaml").write_text("scenes: [{prompt: a girl}]\n")
    on_a_card(replace(card(8), free=10**8))
    code, out, err = run("plan", "tale.yaml")
    assert code == 0 and "the whole UNet" not in out
    assert "128x128 in fp16 takes at least" in err and "choose a smaller size" in err
    (only,) = json.loads(run("plan", "tale.yaml", "--json")[1])["placements"]
    assert only["placement"] is None and "takes at least" in only["words"]


def test_doctor_says_what_a_card_would_do_with_kolors():
    small, tiny = doctor._graphics_card(card(6), "torch 2"), doctor._graphics_card(card(2), "torch 2")
    assert small.state == "poor" and "kolors at 1024x1024: UNet streamed" in small.words
    assert doctor._graphics_card(card(12), "torch 2").state == "good"
    assert tiny.state == "poor" and "takes at least" in tiny.todo
    assert "GB of 2.1 GB free" in tiny.words


def test_a_placement_is_plain_where_nothing_is_done_for_memory():
    assert Placement("whole", False, 4, "whole", 0).plain
    assert not Placement("whole", False, 4, "waiting", 0).plain

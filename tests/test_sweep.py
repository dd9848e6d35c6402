"""A LoRA tried out at several strengths and steps of its training: which takes that makes, and what is told of it."""

from __future__ import annotations

import json
import shutil

import pytest

from renderer.errors import AuthoringError
from renderer.export import export_story
from renderer.inspection import scene_yaml
from renderer.line import rebuild
from renderer.manifest import read_manifest
from renderer.metadata import parse_infotext, read_texts
from renderer.reading import lora_steps
from renderer.reading.lora_steps import kept_steps, step_file
from renderer.storyboard import load_storyboard
from renderer.take import key_of
from renderer.take_name import TakeName
from renderer.watching import Edits
from tests.fakes import FakePainter
from tests.stories import render_fake, write_story
from tests.sweeps import SWEEP, names, planned, reasons, replanned, write_sweep
from tests.test_cli import run
from tests.trained import save_lora, save_training

__all__ = ["run"]

SCENE = "scenes: [{prompt: x, seeds: [1, 2], sweep: %s}]\n"


@pytest.fixture
def rendered(tmp_path):
    render_fake(write_sweep(tmp_path))
    return tmp_path


@pytest.fixture
def problem(tmp_path):
    """What is wrong with a story, in one line, without its file."""
    save_training(tmp_path / "lora_weights", 100, 200, 300)

    def told(text: str) -> str:
        with pytest.raises(AuthoringError) as error:
            planned(write_story(tmp_path, text))
        (line,) = map(str, error.value.problems)
        return line.removeprefix(f"{tmp_path}/tale.yaml:")

    return told


def test_a_take_for_each_seed_step_and_strength_in_this_order(tmp_path):
    assert names(planned(write_sweep(tmp_path))) == [
        f"seed {seed}, strength {strength}, step {step}"
        for seed in (1, 2)
        for step in (100, 200)
        for strength in ("0", "0.5", "1")
    ]


def test_each_take_has_its_file_and_its_strength(tmp_path):
    plan = planned(write_sweep(tmp_path))
    takes = [each.take for each in plan.takes if each.take.scene == "sofa"]
    for take in takes:
        (lora,) = take.loras
        assert (lora.name, lora.strength, lora.step) == ("pencil", take.name.strength, take.name.step)
        assert lora.path == tmp_path / f"lora_weights/pencil.steps/{take.name.step}.safetensors"
        assert take.record["loras"] == [{"sha256": lora.sha256, "strength": lora.strength}]
    assert len({take.key for take in takes}) == 12


def test_what_sweeps_nothing_has_the_keys_it_always_had(tmp_path):
    plan = planned(write_sweep(tmp_path))
    park = plan.takes[-1]
    assert (park.take.name, park.take.loras) == (TakeName(3), ())
    assert park.take.key == key_of(park.take.record)
    assert park.entry.strength is None and park.entry.step is None


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ("{lora: pencil, strength: [1, 0.25]}", [(1.0, None), (0.25, None)]),
        ("{lora: pencil, step: [300, 100]}", [(None, 300), (None, 100)]),
    ],
)
def test_either_alone_is_a_sweep_too(tmp_path, sweep, expected):
    plan = planned(write_sweep(tmp_path, f"scenes: [{{prompt: x, sweep: {sweep}}}]"))
    assert [each.take.swept for each in plan.takes] == expected
    for each in plan.takes:
        (lora,) = each.take.loras
        assert lora.strength == (1.0 if each.take.name.strength is None else each.take.name.strength)
        assert lora.path.stem == str(each.take.name.step or "pencil")


def test_the_finished_lora_stands_for_its_own_step(tmp_path):
    lora = save_training(tmp_path, 100, 200)
    assert step_file(lora, 200) == lora.parent / "pencil.steps/200.safetensors"
    (lora.parent / "pencil.steps/200.safetensors").unlink()
    assert step_file(lora, 200) == lora and kept_steps(lora) == {100, 200}
    assert step_file(lora, 150) is None


def test_a_lora_that_is_still_being_trained_is_swept_by_its_steps(tmp_path):
    """And comes before the finished `pencil` that ships with the package."""
    save_training(tmp_path / "lora_weights", 100, 200).unlink()
    plan = planned(write_story(tmp_path, "scenes: [{prompt: x, sweep: {lora: pencil, step: [100, 200]}}]"))
    assert [each.take.name.step for each in plan.takes] == [100, 200]


def test_a_listed_lora_keeps_its_place_and_what_is_not_swept(tmp_path):
    save_lora(tmp_path / "lora_weights", "glow")
    text = """\
loras: [{name: pencil, strength: 0.8, alpha: 4}, glow]
scenes: [{prompt: x, sweep: {lora: pencil, step: [100]}}]
"""
    (only,) = planned(write_sweep(tmp_path, text)).takes
    pencil, glow = only.take.loras
    assert (pencil.strength, pencil.alpha, pencil.step, glow.name) == (0.8, 4.0, 100, "glow")


def test_a_lora_that_is_listed_by_another_path_is_not_applied_twice(tmp_path):
    text = """\
loras: [pencil]
scenes: [{prompt: x, sweep: {lora: ../elsewhere/pencil.safetensors, strength: [0.5]}}]
"""
    (tmp_path / "story").mkdir()
    (tmp_path / "elsewhere").symlink_to(tmp_path / "story/lora_weights")
    (only,) = planned(write_sweep(tmp_path / "story", text)).takes
    assert [(lora.name, lora.strength) for lora in only.take.loras] == [("pencil", 0.5)]


def test_the_finished_lora_is_read_once_however_many_steps_are_missing(tmp_path):
    before = lora_steps._sha256.cache_info().misses
    text = f"scenes: [{{prompt: x, sweep: {{lora: pencil, step: {[*range(1, 51)]}}}}}]"
    with pytest.raises(AuthoringError):
        load_storyboard(write_sweep(tmp_path, text))
    assert lora_steps._sha256.cache_info().misses == before + 1


def test_the_board_sweeps_every_scene_but_those_with_their_own_or_none(tmp_path):
    text = """\
sweep: {lora: pencil, strength: [0, 1]}
scenes:
  - {id: a, prompt: x}
  - {id: b, prompt: x, sweep: {lora: pencil, step: [100]}}
  - {id: c, prompt: x, sweep: none}
"""
    plan = planned(write_sweep(tmp_path, text))
    assert [(each.take.scene, *each.take.swept) for each in plan.takes] == [
        ("a", 0.0, None),
        ("a", 1.0, None),
        ("b", None, 100),
        ("c", None, None),
    ]


def test_a_step_can_be_listed_without_a_sweep(tmp_path):
    text = "loras: [pencil]\nscenes: [{prompt: x, loras: [{name: pencil, strength: 0.5, step: 200}]}]"
    (only,) = planned(write_sweep(tmp_path, text)).takes
    (lora,) = only.take.loras
    assert (lora.name, lora.strength, lora.path.stem, only.take.name) == ("pencil", 0.5, "200", TakeName(0))


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("{lora: pencli, strength: [1]}", 'sweep.lora: there is no LoRA "pencli". Did you mean "pencil"?'),
        ("{lora: pencil, step: [100, 250]}", 'sweep.step[1]: the LoRA "pencil" was not kept at step 250. '),
        ("{lora: pencil, step: [250]}", "Steps kept: 100, 200, 300."),
        ("{lora: pencil, strength: []}", "sweep.strength: expected at least 1 entry, got none."),
        ("{lora: pencil, step: []}", "sweep.step: expected at least 1 entry, got none."),
        ("{lora: pencil, strength: [1, 0.5, 1.0]}", "sweep.strength: the strength 1 is given twice. Keep one of them."),
        ("{lora: pencil, step: [100, 100]}", "sweep.step: the step 100 is given twice."),
        ("{lora: pencil, strength: [0.5, 5]}", "sweep.strength[1]: has to be at most 4, got 5."),
        ("{lora: pencil, step: [0]}", "sweep.step[0]: has to be at least 1, got 0."),
        ("{lora: pencil, step: [1.5]}", "sweep.step[0]: expected a whole number, got the number 1.5."),
        ("{lora: pencil}", "sweep: there is nothing to try. Give strength: […], step: […], or both."),
        ("{strength: [1]}", '"lora" is missing.'),
        ("{lora: pencil, strength: 0.5}", "sweep.strength: expected a list, got the number 0.5."),
        ("{lora: pencil, steps: [100]}", 'unknown key "steps". Write "step".'),
        ("{lora: pencil, strenght: [1]}", 'Did you mean "strength"?'),
        ("pencil", 'got text "pencil". Write {lora: pencil, strength: [0, 0.5, 1]}.'),
        ("[pencil]", "sweep: expected {lora: …, strength: […], step: […]}, or none where the story has one, got a"),
    ],
)  # fmt: skip
def test_what_can_not_be_swept_is_told_at_its_place(problem, sweep, told):
    line = problem(SCENE % sweep)
    assert told in line and line.startswith("1:")


def test_a_lora_of_which_no_steps_were_kept_says_so(tmp_path, problem):
    save_lora(tmp_path / "lora_weights", "glow")
    told = problem(SCENE % "{lora: glow, step: [100]}")
    assert "No steps were kept: there is none in glow.steps/." in told


def test_too_many_takes_are_refused_before_any_file_is_read(problem):
    many = ", ".join(f"{number / 100}" for number in range(100))
    sweep = f"{{lora: pencil, strength: [{many}]}}"
    told = problem(f"scenes: [{{prompt: x, seeds: {{count: 1000}}, sweep: {sweep}}}, {{prompt: y}}]\n")
    assert "the story asks for 100,001 pictures; at most 100,000" in told and "Sweep fewer" in told
    assert "at most 100 entries, got 101." in problem(SCENE % sweep.replace("[0.0", "[2, 0.0"))


@pytest.mark.parametrize(
    ("pick", "told"),
    [
        ("{seed: 1, strength: 0.7, step: 100}", "no take of this scene has the seed 1, strength 0.7, step 100."),
        ("{seed: 1, strength: 0.5}", "several takes of this scene have the seed 1, strength 0.5."),
        ("1", "several takes of this scene have the seed 1."),
        ("{seed: 9, strength: 0, step: 100}", "no take of this scene has the seed 9. Its seeds: 1, 2."),
        ("{seed: 1, strenght: 0}", 'Did you mean "strength"?'),
    ],
)
def test_a_pick_that_is_no_take_lists_the_choices(problem, pick, told):
    line = problem(SWEEP.replace("# two tries", f"\n    pick: {pick}"))
    assert told in line
    if "seed 1" in told:
        choices = "Choose one: {seed: 1, strength: 0, step: 100}, {seed: 1, strength: 0.5, step: 100},"
        assert choices in line


def test_a_pick_with_a_strength_needs_a_sweep(problem):
    told = problem("scenes: [{prompt: x, seeds: [1, 2], pick: {seed: 1, strength: 0.5}}]")
    assert "no take of this scene has the seed 1, strength 0.5. Choose one: 1." in told


def test_the_pick_names_one_take(tmp_path):
    story = write_sweep(tmp_path, SWEEP.replace("# two tries", "\n    pick: {seed: 2, strength: 0.5, step: 200}"))
    result, _ = render_fake(story)
    manifest = read_manifest(result.plan.folder)
    (picked,) = [take for take in manifest.scenes[0].takes if take.key == manifest.scenes[0].pick]
    assert picked.name == TakeName(2, 0.5, 200)
    assert [path.name for path in (result.plan.folder / "picks").glob("*.png")] == ["01-sofa.png"]


def test_everything_is_painted_once_and_then_nothing(rendered):
    assert reasons(replanned(rendered)) == {}
    _, painter = render_fake(rendered / "tale.yaml")
    assert painter.asked == []
    files = sorted(path.name for path in (rendered / "renders/tale/pictures").iterdir())
    assert len(files) == 13 and all(file.startswith(("sofa-1-", "sofa-2-", "park-3-")) for file in files)


def test_a_render_that_was_stopped_goes_on(tmp_path):
    story = write_sweep(tmp_path)
    render_fake(story, FakePainter(interrupt_after=5))
    _, painter = render_fake(story)
    assert len(painter.asked) == 8


def test_only_takes_of_a_chosen_seed_are_painted(tmp_path):
    _, painter = render_fake(write_sweep(tmp_path), seeds=[2])
    assert [take.seed for take in painter.asked] == [2] * 6


def test_more_seeds_are_swept_and_remembered(rendered):
    result, painter = render_fake(rendered / "tale.yaml", more=1, scenes=["sofa"])
    assert [str(take.name) for take in painter.asked][:2] == [
        "seed 3, strength 0, step 100",
        "seed 3, strength 0.5, step 100",
    ]
    assert len(painter.asked) == 6 and result.plan.extra_seeds["sofa"] == (3,)
    assert len(names(replanned(rendered))) == 18
    assert len(names(replanned(rendered, SWEEP.replace("0.5, 1", "0.5")))) == 12, "the seeds are what they were"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[0, 0.5, 1]", "[0, 0.5, 0.75]", {"new strength 0.75"}),
        ("[100, 200]", "[100, 300]", {"new step 300"}),
        ("[1, 2]", "[1, 7]", {"new seed"}),
        ("prompt: 沙发", "prompt: 椅子", {"prompt edited"}),
        (
            "strength: [0, 0.5, 1], step: [100, 200]",
            "strength: [0.5, 2]",
            {"LoRA pencil: file changed", "new strength 2"},
        ),
        ("    sweep: {lora: pencil, strength: [0, 0.5, 1], step: [100, 200]}\n", "", {"LoRA pencil removed"}),
    ],
)
def test_the_plan_says_what_is_new_in_a_sweep(rendered, old, new, told):
    assert old in SWEEP
    assert {*reasons(replanned(rendered, SWEEP.replace(old, new))).values()} == told


def test_a_scene_that_becomes_a_sweep_paints_only_what_is_new(tmp_path):
    text = SWEEP.replace(
        "    sweep: {lora: pencil, strength: [0, 0.5, 1], step: [100, 200]}\n", "    loras: [pencil]\n"
    )
    render_fake(write_sweep(tmp_path, text))
    swept = text.replace("loras: [pencil]", "sweep: {lora: pencil, strength: [0.5, 1]}")
    assert reasons(replanned(tmp_path, swept)) == {
        "seed 1, strength 0.5": "new strength 0.5",
        "seed 2, strength 0.5": "new strength 0.5",
    }, "at strength 1 it is the picture that there was"


def test_a_step_that_was_trained_anew_is_painted_anew(rendered):
    save_lora(rendered / "lora_weights/pencil.steps", "100", 0.9)
    told = reasons(replanned(rendered))
    assert len(told) == 6 and {*told.values()} == {"LoRA pencil: file changed"}
    assert all("step 100" in name for name in told)


def test_steps_that_hold_the_same_do_no_harm(tmp_path):
    story = write_sweep(tmp_path)
    steps = tmp_path / "lora_weights/pencil.steps"
    shutil.copy(steps / "100.safetensors", steps / "200.safetensors")
    result, painter = render_fake(story)
    assert len(painter.asked) == 7 and result.left == 0
    assert len(names(result.plan)) == 12


def test_a_failure_names_the_take(tmp_path):
    story = write_sweep(tmp_path)
    result, _ = render_fake(story, FakePainter(failing=("sofa",)))
    assert {str(failed.take.name) for failed in result.outcome.failed} == {*names(result.plan)}


def test_the_plan_has_columns_for_strength_and_step(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path)
    code, out, _ = run("plan", "tale.yaml")
    assert code == 0 and out.splitlines()[0].split() == ["scene", "seed", "strength", "step", "why"]
    assert out.splitlines()[2].split()[:4] == ["sofa", "1", "0.5", "100"]
    takes = json.loads(run("plan", "tale.yaml", "--json")[1])["takes"]
    assert (takes[1]["strength"], takes[1]["step"]) == (0.5, 100) and "strength" not in takes[-1]


def test_a_picture_says_which_step_it_is_and_gives_it_back_as_yaml(rendered):
    take = next(each.take for each in planned(rendered / "tale.yaml").takes if each.take.swept == (0.5, 200))
    (picture,) = (rendered / "renders/tale/pictures").glob(f"*{take.key[:12]}.png")
    info = parse_infotext(read_texts(picture)["parameters"])
    assert info.loras == {"pencil-step00000200": 0.5}
    assert info.settings["Lora hashes"] == f"pencil-step00000200: {take.loras[0].sha256[:10]}"
    text = scene_yaml(picture)
    assert f"#   - {{name: pencil, strength: 0.5, step: 200}}  # {take.loras[0].sha256[:12]}" in text

    listed = text.replace("# loras:", "loras:").replace("#   - ", "  - ")
    (again,) = planned(write_story(rendered, listed, "again.yaml")).takes
    assert again.take.key == take.key


def test_exports_name_strength_and_step(rendered):
    out = rendered / "renders/tale"
    table = export_story(rendered / "tale.yaml", "csv", out=out, all_takes=True).path.read_text("utf-8-sig")
    heading, first, second, *_, last = table.splitlines()
    assert ",Seed,LoRA strength,LoRA step,Picture," in heading
    assert ",1,0,100,pictures/" in first and ",1,0.5,100,pictures/" in second and ",3,,,pictures/" in last
    film = export_story(rendered / "tale.yaml", "fcpxml", out=out, all_takes=True).path.read_text("utf-8")
    assert "01 sofa, seed 1, strength 0.5, step 100" in film


def test_a_table_without_a_sweep_has_no_columns_for_one(tmp_path):
    result, _ = render_fake(write_story(tmp_path))
    table = export_story(tmp_path / "tale.yaml", "csv", out=result.plan.folder).path.read_text("utf-8-sig")
    assert "LoRA strength" not in table


def test_the_grid_says_strength_and_step_of_what_it_shows(rendered):
    def grid(text: str) -> bytes:
        return rebuild(write_story(rendered, text), out=rendered / "renders/tale").grid[0].read_bytes()

    unpicked = grid(SWEEP)
    assert grid(SWEEP.replace("# two tries", "\n    pick: {seed: 1, strength: 0, step: 100}")) == unpicked
    assert grid(SWEEP.replace("# two tries", "\n    pick: {seed: 1, strength: 0, step: 200}")) != unpicked


def test_watching_sees_steps_that_come_while_training_goes_on(tmp_path):
    edits = Edits(write_sweep(tmp_path))
    before = edits._look()
    save_lora(tmp_path / "lora_weights/pencil.steps", "400")
    assert edits._look() != before


def test_watching_sees_steps_of_a_lora_that_is_named_by_its_path(tmp_path):
    text = "scenes: [{prompt: x, sweep: {lora: ./mine/pencil.safetensors, step: [100]}}]"
    edits = Edits(write_story(tmp_path, text))
    before = edits._look()
    save_lora(tmp_path / "mine/pencil.steps", "100")
    assert edits._look() != before


def test_a_large_sweep_is_planned_quickly(tmp_path):
    many = ", ".join(str(number / 25) for number in range(100))
    text = f"scenes: [{{prompt: x, seeds: {{count: 50}}, sweep: {{lora: pencil, strength: [{many}]}}}}]"
    story = write_sweep(tmp_path, text)
    render_fake(story, limit=0)
    plan = planned(story)
    assert len(plan.takes) == 5000 and {each.reason for each in plan.takes} == {"not painted yet"}


def test_what_is_included_may_sweep(tmp_path):
    (tmp_path / "cast.yaml").write_text("sweep: {lora: pencil, strength: [0, 1]}\n", encoding="utf-8")
    story = write_sweep(tmp_path, "include: cast.yaml\nscenes: [{prompt: x}]")
    assert len(load_storyboard(story).scenes[0].sweep) == 2

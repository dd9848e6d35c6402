"""Reading a storyboard: every form of the format, every default, and every mistake at its place."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer.errors import AuthoringError
from renderer.kolors.card import KOLORS, ModelCard
from renderer.manifest import GridStyle
from renderer.prompts import Part, text_of
from renderer.scaffold import new_story
from renderer.storyboard import Storyboard, load_storyboard
from renderer.take_name import TakeName

MINI = ModelCard(
    name="kolors-mini",
    edition="kolors-mini@1",
    size=(128, 128),
    multiple=32,
    min_size=64,
    max_size=512,
    steps=25,
    guidance=4.0,
    sampler="ddim",
    text_length=64,
)
STORIES = Path(__file__).parent.parent / "storyboards"
SCENE = "scenes:\n  - prompt: x\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder of models with one card in it."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "kolors-mini").mkdir()
    (folder / "kolors-mini" / "model.json").write_text(MINI.model_dump_json(), encoding="utf-8")
    return folder


@pytest.fixture
def load(tmp_path, models):
    def load(text: str, **files: str) -> Storyboard:
        for name, content in files.items():
            (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
        (tmp_path / "tale.yaml").write_text(text, encoding="utf-8")
        return load_storyboard(tmp_path / "tale.yaml", models=[models])

    return load


@pytest.fixture
def problems(load, tmp_path):
    def problems(text: str, **files: str) -> list[str]:
        with pytest.raises(AuthoringError) as error:
            load(text, **files)
        return [
            str(problem).removeprefix(f"{tmp_path}/").removeprefix("tale.yaml:") for problem in error.value.problems
        ]

    return problems


def lora(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.safetensors").write_bytes(b"")


# What a story may say.


def test_the_shortest_story_has_every_default(load):
    story = load(SCENE)
    (scene,) = story.scenes
    assert (story.title, story.language, story.model, story.card) == ("tale", "en", "kolors-mini", MINI)
    assert (story.precision, story.reproducible, story.grid, story.warnings) == (None, "standard", GridStyle(), ())
    assert (scene.id, scene.seeds, scene.pick) == ("scene-01", (0,), None)
    assert (scene.width, scene.height, scene.steps, scene.guidance, scene.sampler) == (128, 128, 25, 4.0, "ddim")
    assert text_of(story.resolved(scene, 0).prompt) == "x"
    assert story.resolved(scene, 0).negative == ()


def test_everything_that_a_story_may_say(load, tmp_path):
    lora(tmp_path / "lora_weights", "pencil", "glow", "lin", "rain")
    story = load(
        """\
title: Starlight
language: zh
model: kolors-mini
size: 256x192
steps: 20
guidance: 1
sampler: dpm++2m
style: 动漫风格
negative: 模糊
loras:
  - pencil
  - {name: glow, strength: -0.5, alpha: 4, rank: 16}
characters:
  mei: 紫色短发小女孩
  lin: {prompt: 黑发少女, negative: 眼镜, loras: [{name: lin, diffsynth_alpha: 2}]}
grid: {columns: 3, cell: 256, gutter: 0, rows: 2, captions: false}
precision: fp32
reproducible: strict
scenes:
  - id: sofa
    prompt: "{mei}，坐在沙发上"
    seeds: [0, 1, 2]
    pick: 1
    shot: full
    camera: static
    action: sits
    dialogue: 好无聊啊……
    note: quiet
    duration: 2.5
  - prompt: "{lin}在海边"
    negative: 人
    style: ""
    size: 64x64
    steps: 5
    guidance: 7.5
    sampler: euler
    seeds: {start: 10, count: 2}
    pick: {seed: 11}
    loras: [rain, {name: pencil, strength: 0.25}]
  - prompt: "{lin}"
    negative: {replace: 雨}
    loras: {replace: [rain]}
    seed: 4294967295
"""
    )
    first, second, third = story.scenes
    assert (story.title, story.language, story.precision, story.reproducible) == ("Starlight", "zh", "fp32", "strict")
    assert story.grid == GridStyle(columns=3, cell=256, gutter=0, rows=2, captions=False)
    assert (first.width, first.height, first.steps, first.guidance, first.sampler) == (256, 192, 20, 1.0, "dpm++2m")
    assert (first.id, first.seeds, first.pick) == ("sofa", (0, 1, 2), TakeName(1))
    assert (first.shot, first.camera, first.action, first.dialogue) == ("full", "static", "sits", "好无聊啊……")
    assert (first.note, first.duration) == ("quiet", 2.5)
    assert (second.width, second.height, second.steps, second.guidance, second.sampler) == (64, 64, 5, 7.5, "euler")
    assert (second.id, second.seeds, second.pick) == ("scene-02", (10, 11), TakeName(11))
    assert third.seeds == (4294967295,)
    assert [text_of(story.resolved(scene, 0).prompt) for scene in story.scenes] == [
        "动漫风格，紫色短发小女孩，坐在沙发上",
        "黑发少女在海边",
        "动漫风格，黑发少女",
    ]
    assert [text_of(story.resolved(scene, 0).negative) for scene in story.scenes] == [
        "模糊",
        "模糊，眼镜，人",
        "眼镜，雨",
    ]
    stacks = [[(use.name, use.strength) for use in story.resolved(scene, 0).loras] for scene in story.scenes]
    assert stacks[0] == [("pencil", 1.0), ("glow", -0.5)]
    assert stacks[1] == [("pencil", 0.25), ("glow", -0.5), ("lin", 1.0), ("rain", 1.0)]
    assert stacks[2] == [("rain", 1.0), ("lin", 1.0)]
    glow, lin = story.resolved(second, 0).loras[1:3]
    assert (glow.alpha, glow.rank, glow.diffsynth_alpha) == (4.0, 16, None)
    assert (lin.alpha, lin.rank, lin.diffsynth_alpha) == (None, None, 2.0)
    assert lin.path == tmp_path / "lora_weights" / "lin.safetensors"
    assert [use.name for use, _ in story.lora_uses()] == ["pencil", "glow", "lin", "rain", "pencil"]


def test_every_use_of_a_lora_is_told_also_one_that_another_may_override(load, tmp_path):
    lora(tmp_path, "pencil")
    story = load(
        "loras: [pencil]\ncharacters: {a: {prompt: A, loras: [{name: pencil, strength: 0.5}]}}\n"
        "scenes:\n  - {prompt: '{ {a}|B}', seeds: {count: 9}}\n"
    )
    (scene,) = story.scenes
    told = {use for use, _ in story.lora_uses()}
    assert {use.strength for use in told} == {1.0, 0.5}
    assert {use for seed in scene.seeds for use in story.resolved(scene, seed).loras} == told


def test_parts_tell_their_origin(load):
    story = load(
        "style: anime\nnegative: blurry\ncharacters: {mei: {prompt: girl, negative: hat}}\n"
        'scenes:\n  - {prompt: "{mei}, {sea|sea}", negative: rain}\n'
    )
    (scene,) = story.scenes
    assert story.resolved(scene, 0).prompt == (
        Part("anime, ", "style"),
        Part("girl", "character", "mei"),
        Part(", ", "scene"),
        Part("sea", "wildcard", "{sea|sea}"),
    )
    assert story.resolved(scene, 0).negative == (
        Part("blurry, ", "board"),
        Part("hat, ", "character", "mei"),
        Part("rain", "scene"),
    )


def test_only_characters_that_a_seed_chooses_bring_their_negative_and_loras(load, tmp_path):
    lora(tmp_path, "a", "b")
    story = load(
        "characters:\n  a: {prompt: A, negative: no A, loras: [a]}\n  b: {prompt: B, negative: no B, loras: [b]}\n"
        'scenes:\n  - {prompt: "{ {a}|{b}}", seeds: {count: 9}}\n'
    )
    (scene,) = story.scenes
    told = {
        (
            text_of(story.resolved(scene, seed).prompt),
            text_of(story.resolved(scene, seed).negative),
            *(use.name for use in story.resolved(scene, seed).loras),
        )
        for seed in scene.seeds
    }
    assert told == {("A", "no A", "a"), ("B", "no B", "b")}
    assert scene.characters == ("a", "b")
    assert [use.name for use, _ in story.lora_uses()] == ["a", "b"]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("256x128", (256, 128)),
        ("256 × 128", (256, 128)),
        ("16:9", (160, 96)),
        ("9：16", (96, 160)),
        ("1:1", (128, 128)),
        ("2.39:1", (192, 96)),
        ('" 64X64 "', (64, 64)),
    ],
)
def test_sizes(load, size, expected):
    (scene,) = load(f"size: {size}\n{SCENE}").scenes
    assert (scene.width, scene.height) == expected


def test_kolors_without_its_weights_can_be_planned(load):
    story = load(f"model: kolors\nsize: 16:9\n{SCENE}")
    assert (story.card, story.model_folder) == (KOLORS, None)
    assert (story.scenes[0].width, story.scenes[0].height) == (1376, 768)


def test_a_model_folder_beside_the_story(load, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.json").write_text(MINI.model_copy(update={"steps": 7}).model_dump_json())
    story = load(f"model: ./own\n{SCENE}")
    assert story.model_folder == tmp_path / "own"
    assert story.scenes[0].steps == 7


def test_without_the_packages_own_model_the_error_names_those_that_there_are(tmp_path):
    (tmp_path / "tale.yaml").write_text(SCENE)
    with pytest.raises(AuthoringError, match=r'1:1: model: there is no model "kolors-mini". Did you mean "kolors"\?'):
        load_storyboard(tmp_path / "tale.yaml", models=[tmp_path])


def test_a_damaged_card_is_told_at_the_model(problems, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.json").write_text("{")
    (problem,) = problems(f"model: ./own\n{SCENE}")
    assert problem.startswith("1:8: model: the model can't be used:")


def test_text_that_other_readers_take_for_something_else(load):
    story = load("title: no\nscenes:\n  - {prompt: on, note: 2024-01-01, shot: 'y', dialogue: 12:30}\n")
    (scene,) = story.scenes
    assert (story.title, scene.prompt, scene.note, scene.shot, scene.dialogue) == (
        "no",
        "on",
        "2024-01-01",
        "y",
        "12:30",
    )


def test_an_empty_value_is_as_good_as_none(load):
    story = load(
        "title:\nstyle:\ncharacters:\nloras:\ngrid:\nscenes:\n  - prompt: x\n    negative:\n    seeds:\n    id:\n"
    )
    assert (story.title, story.scenes[0].id) == ("tale", "scene-01")


def test_hostile_text_is_kept_as_it_is(load):
    text = "<script>alert(1)</script> \"'\\ \u202eRTL\u2066 & {{x}} </style>"
    story = load(f"scenes:\n  - prompt: |\n      {text}\n      second line\n")
    assert text_of(story.resolved(story.scenes[0], 0).prompt) == text.replace("{{x}}", "{x}") + "\nsecond line"


def test_ids_of_any_script(load):
    ids = ["沙发", "scène-1", "_x", "ไทย", "हिन्दी", "日本語_2", "a" * 64, "0"]
    text = "scenes:\n" + "".join(f"  - {{prompt: x, id: '{name}'}}\n" for name in ids)
    assert [scene.id for scene in load(text).scenes] == ids


# LoRAs: where they are looked for.


def test_loras_are_found_in_order(tmp_path, models, monkeypatch):
    (tmp_path / "working").mkdir()
    (tmp_path / "tale.yaml").write_text(f"loras: [pencil]\n{SCENE}")
    monkeypatch.chdir(tmp_path / "working")
    for folder in ("working/lora_weights", "lora_weights", ".", "given"):
        lora(tmp_path / folder, "pencil")
        story = load_storyboard(tmp_path / "tale.yaml", loras=[tmp_path / "given"], models=[models])
        assert story.resolved(story.scenes[0], 0).loras[0].path.samefile(tmp_path / folder / "pencil.safetensors")


def test_lora_paths_and_endings(load, tmp_path):
    lora(tmp_path / "sub", "a")
    (tmp_path / "b.ckpt").write_bytes(b"")
    story = load(f"loras: [sub/a.safetensors, b.ckpt]\n{SCENE}")
    assert [use.name for use in story.resolved(story.scenes[0], 0).loras] == ["a", "b"]


def test_missing_loras_are_told_with_a_near_name(problems, tmp_path):
    lora(tmp_path, "pencil")
    told = problems(f"loras: [pencl, ./nope.safetensors, pencil, pencil]\n{SCENE}")
    assert told[0] == '1:9: loras[0]: there is no LoRA "pencl". Did you mean "pencil"?'
    assert told[1].startswith('1:16: loras[1]: there is no LoRA "./nope.safetensors".')
    assert told[2].startswith('1:44: loras[3]: the LoRA "pencil" is given twice.')


# Includes.


def test_what_stands_in_the_story_wins_and_characters_come_together(load):
    story = load(
        "include: [one.yaml, two.yaml]\nsteps: 3\ncharacters: {mei: own}\nscenes:\n  - prompt: '{mei} {lin} {tom}'\n",
        one="steps: 1\nstyle: one\nsampler: euler\ncharacters: {mei: first, lin: first}\n",
        two="include: three.yaml\nstyle: two\n",
        three="style: three\nguidance: 2\ncharacters: {lin: third, tom: third}\n",
    )
    (scene,) = story.scenes
    assert (scene.steps, scene.guidance, scene.sampler) == (3, 2.0, "euler")
    assert text_of(story.resolved(scene, 0).prompt) == "two, own third third"
    assert story.warnings == ()


def test_an_empty_value_hides_nothing_that_is_included(load):
    story = load(
        "include: cast.yaml\nstyle:\ncharacters:\nscenes: [{prompt: '{mei}'}]\n",
        cast="style: anime\ncharacters: {mei: girl}\n",
    )
    assert text_of(story.resolved(story.scenes[0], 0).prompt) == "anime, girl"


def test_intervals_are_shared_and_a_scene_has_its_own(load):
    story = load(
        "include: cast.yaml\ncache_interval: 3\nprecision: fp8\nscenes:\n"
        "  - prompt: a\n  - prompt: b\n    guidance_interval: [0, 1]\n    cache_interval: 1\n",
        cast="guidance_interval: [0.2, 0.8]\ncache_interval: 2\n",
    )
    assert [scene.guidance_interval for scene in story.scenes] == [(0.2, 0.8), (0.0, 1.0)]
    assert [scene.cache_interval for scene in story.scenes] == [3, 1]
    assert story.precision == "fp8"
    assert (load(SCENE).scenes[0].guidance_interval, load(SCENE).scenes[0].cache_interval) == ((0.0, 1.0), 1)


def test_errors_point_into_the_included_file(problems):
    told = problems(
        "include: cast.yaml\nscenes:\n  - prompt: '{mei} {lin}'\n",
        cast="characters:\n  mei: 'a {x|y'\n  lin: '{nobody}'\nsteps: many\nneg: x\nscenes: []\ntitle: Cast\n",
    )
    assert told == [
        'cast.yaml:2:11: characters.mei: this "{" is never closed. Add "}"; for a literal brace write {{.',
        'cast.yaml:3:9: characters.lin: unknown character "nobody". Known: lin, mei. '
        "For literal braces write {{ and }}.",
        'cast.yaml:4:8: steps: expected a whole number, got text "many".',
        'cast.yaml:5:1: neg: unknown key "neg". Write "negative".',
        'cast.yaml:6:1: scenes: "scenes" can\'t be included. Included files hold what stories share; '
        "move it to the storyboard.",
        'cast.yaml:7:1: title: "title" can\'t be included. Included files hold what stories share; '
        "move it to the storyboard.",
    ]


def test_paths_in_an_included_file_are_relative_to_it(load, tmp_path):
    lora(tmp_path / "shared", "pencil")
    lora(tmp_path / "shared", "glow")
    (tmp_path / "shared" / "cast.yaml").write_text("include: more.yaml\nloras: [./pencil.safetensors, glow]\n")
    (tmp_path / "shared" / "more.yaml").write_text("steps: 9\n")
    story = load(f"include: shared/cast.yaml\n{SCENE}")
    assert story.scenes[0].steps == 9
    files = [use.path.resolve() for use in story.resolved(story.scenes[0], 0).loras]
    assert files == [tmp_path / "shared" / "pencil.safetensors", tmp_path / "shared" / "glow.safetensors"]


def test_includes_that_can_not_be(problems):
    told = problems(
        f"include: [nope.yaml, ring.yaml, bad.yaml, list.yaml, 3, 'a\\0b', tale.yaml]\n{SCENE}",
        ring="include: [ring.yaml, tale.yaml]\n",
        bad="a: b: c\n",
        list="- a\n",
    )
    assert "bad.yaml:1:5: this is not valid YAML" in told[0]
    assert "list.yaml:1:1: expected a mapping, got a list." in told[1]
    assert told[2].startswith("ring.yaml:1:11: include[0]: the files include each other: ring.yaml → ring.yaml.")
    assert told[3].startswith(
        "ring.yaml:1:22: include[1]: the files include each other: tale.yaml → ring.yaml → tale.yaml"
    )
    assert told[4] == '1:11: include[0]: there is no file "nope.yaml". Paths are relative to tale.yaml.'
    assert "include[4]: expected text, got the number 3" in told[5]
    assert "there is no file" in told[6]
    assert "include each other: tale.yaml → tale.yaml" in told[7]
    assert len(told) == 8


def test_a_hundred_files_are_included_and_no_more(problems):
    files = {f"f{i}": "steps: 3\n" for i in range(102)}
    told = problems(f"include: [{', '.join(f'{name}.yaml' for name in files)}]\n{SCENE}", **files)
    assert [problem.partition(": ")[2] for problem in told] == [
        "include[100]: more than 100 files are included.",
        "include[101]: more than 100 files are included.",
    ]


@pytest.mark.parametrize("key", ["include", "loras", "model"])
def test_names_that_no_file_can_have_are_told_like_missing_ones(problems, key):
    (told,) = problems(f"{key}: [{'x' * 300}]\n{SCENE}" if key != "model" else f"{key}: {'x' * 300}\n{SCENE}")
    assert f"{key}" in told
    assert "there is no" in told or "can't be used" in told


def test_a_circle_of_links_is_no_file(problems, tmp_path):
    (tmp_path / "ring.yaml").symlink_to("ring.yaml")
    (told,) = problems(f"include: ring.yaml\n{SCENE}")
    assert 'there is no file "ring.yaml"' in told


def test_diamonds_of_includes_are_read_once(load):
    files = {f"f{i}": f"include: [f{i + 1}.yaml, f{i + 1}.yaml, f{i + 1}.yaml]\n" for i in range(40)}
    start = time.perf_counter()
    load(f"include: f0.yaml\n{SCENE}", **files, f40="steps: 4\n")
    assert time.perf_counter() - start < 2


# Mistakes, each at its place.


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "1:1: expected a mapping, got a list."),
        ("hello\n", '1:1: expected a mapping, got text "hello".'),
        ("title: x\n", '1:1: scenes: "scenes" is missing.'),
        ("scenes: []\n", "1:9: scenes: expected at least 1 entry, got none."),
        ("scenes: {a: b}\n", "1:9: scenes: expected a list, got a mapping."),
        ("scenes: [x]\n", '1:10: scenes[0]: expected a mapping, got text "x".'),
        ("scenes:\n  - prompt：x\n", 'After a key comes a half-width ":" and a space.'),
        ("scenes:\n  - id: x\n", '2:5: scenes[0].prompt: "prompt" is missing.'),
        ("scenes:\n  - prompt: ''\n", "2:13: scenes[0].prompt: the text is empty."),
        ("scenes:\n  - prompt: ' '\n", "2:13: scenes[0].prompt: the text is empty."),
        ("scenes:\n  - prompt:\n", "2:12: scenes[0].prompt: expected text, got nothing."),
        (
            "scenes:\n  - prompt: {mei}\n",
            '2:13: scenes[0].prompt: expected text, got a mapping. A text that begins with "{"',
        ),
        ("scenes:\n  - prompt: true\n", 'expected text, got true. Put it in quotes: "true".'),
        (
            "scenes:\n  - prompt: [red hair]\n",
            '2:13: scenes[0].prompt: expected text, got a list. A text that begins with "["',
        ),
        (
            "scenes:\n  - prompt: [red hair] girl\n",
            '2:13: this reads as a list, not as text. A text that begins with "[" needs',
        ),
        ("scenes:\n  - id:a\n", '2:5: scenes[0]: expected a mapping, got text "id:a". A space is missing after "id:".'),
        ("scenes:\n  - id:a\n    prompt: x\n", '2:8: a space is missing after "id:".'),
        ("title:Tale\nscenes:\n  - prompt: x\n", '1:7: a space is missing after "title:".'),
        (f"{SCENE}    id: 01\n", '3:9: scenes[0].id: expected text, got the number 1. Put it in quotes: "01".'),
        (f"{SCENE}    id: &a 01\n", 'got the number 1. Put it in quotes: "1".'),
        ("scenes:\n  - prompt: 2024\n", 'expected text, got the number 2024. Put it in quotes: "2024".'),
        ('scenes:\n  - prompt: "a\\0b"\n', "2:13: scenes[0].prompt: holds the control character U+0000."),
        (f"titel: x\n{SCENE}", '1:1: titel: unknown key "titel". Did you mean "title"?'),
        (f"negative_prompt: x\n{SCENE}", 'unknown key "negative_prompt". Write "negative".'),
        (f"CFG-scale: 3\n{SCENE}", 'unknown key "CFG-scale". Write "guidance".'),
        (f"width: 3\n{SCENE}", 'unknown key "width". Write "size".'),
        (f"shot: x\n{SCENE}", 'unknown key "shot". It belongs under "scenes".'),
        (
            f"{SCENE}    characters: {{}}\n",
            '3:5: scenes[0].characters: unknown key "characters". It belongs at the top',
        ),
        (f"{SCENE}    zzzz: 1\n", 'unknown key "zzzz". Known: action,'),
        (f"title: a\ntitle: b\n{SCENE}", '2:1: title: the key "title" is given twice (first in line 1).'),
        (f"language: fr\n{SCENE}", '1:11: language: expected one of zh, en, got text "fr".'),
        (f"sampler: ddmi\n{SCENE}", 'got text "ddmi". Did you mean "ddim"?'),
        (f"model: kolors-mni\n{SCENE}", '1:8: model: there is no model "kolors-mni". Did you mean "kolors-mini"?'),
        (f"model: ./nope\n{SCENE}", "1:8: model: there is no model folder"),
        (f'model: "a\\0b"\n{SCENE}', "1:8: model: holds the control character U+0000."),
        (f"steps: 0\n{SCENE}", "1:8: steps: has to be at least 1, got 0."),
        (f"steps: 1001\n{SCENE}", "has to be at most 1,000, got 1001."),
        (f"steps: 2.5\n{SCENE}", "expected a whole number, got the number 2.5."),
        (f"steps: true\n{SCENE}", "expected a whole number, got true."),
        (f"guidance: 51\n{SCENE}", "has to be at most 50, got 51."),
        (f"guidance: .nan\n{SCENE}", "expected a finite number, got the number .nan."),
        (f"guidance: '4'\n{SCENE}", 'expected a number, got text "4".'),
        (f"reproducible: yes\n{SCENE}", 'expected one of standard, strict, got text "yes".'),
        (f"precision: int8\n{SCENE}", "expected one of fp32, fp16, bf16, fp8"),
        (
            f"guidance_interval: 0.5\n{SCENE}",
            "1:20: guidance_interval: expected two numbers from 0 to 1, got the number 0.5. Write [0.2, 0.8]",
        ),
        (
            f"guidance_interval: [0.2]\n{SCENE}",
            "1:20: guidance_interval: expected two numbers from 0 to 1, got a list.",
        ),
        (f"guidance_interval: [0, true]\n{SCENE}", "expected two numbers from 0 to 1, got a list."),
        (
            f"guidance_interval: [0.8, 0.2]\n{SCENE}",
            "1:20: guidance_interval: has to begin at 0 or later and end after that, at 1 or earlier; got [0.8, 0.2].",
        ),
        (f"guidance_interval: [20, 80]\n{SCENE}", "at 1 or earlier; got [20, 80]."),
        (f"guidance_interval: [0.5, 0.5]\n{SCENE}", "got [0.5, 0.5]."),
        (f"guidance_interval: [.nan, 1]\n{SCENE}", "has to begin at 0 or later"),
        (f"{SCENE}    guidance_interval: [-1, 1]\n", "3:24: scenes[0].guidance_interval: has to begin at 0 or later"),
        (f"cache_interval: 0\n{SCENE}", "1:17: cache_interval: has to be at least 1, got 0."),
        (f"cache_interval: 17\n{SCENE}", "has to be at most 16, got 17."),
        (f"{SCENE}    cache_interval: 2.5\n", "3:21: scenes[0].cache_interval: expected a whole number"),
        (f"cfg_interval: [0, 1]\n{SCENE}", 'unknown key "cfg_interval". Write "guidance_interval".'),
        (f"{SCENE}    deepcache: 3\n", '3:5: scenes[0].deepcache: unknown key "deepcache". Write "cache_interval".'),
        (f"{SCENE}    Deep-Cache: 3\n", 'unknown key "Deep-Cache". Write "cache_interval".'),
        (f"guidance_intervall: [0, 1]\n{SCENE}", 'Did you mean "guidance_interval"?'),
        (f"grid: {{columns: 0}}\n{SCENE}", "1:17: grid.columns: has to be at least 1, got 0."),
        (f"grid: {{captions: no}}\n{SCENE}", 'grid.captions: expected true or false, got text "no". Write false.'),
        (f"size: 100x64\n{SCENE}", "in steps of 32; the nearest size is 96x64."),
        (f"size: 4096x64\n{SCENE}", "paints 64 to 512 pixels a side, in steps of 32; the nearest size is 512x64."),
        (f"size: 999999x999999\n{SCENE}", "the nearest size is 512x512."),
        (f"size: 1:1000\n{SCENE}", "the nearest size is 64x512."),
        (f"size: 0:0\n{SCENE}", "an aspect has two sides, such as 16:9."),
        (f"size: big\n{SCENE}", 'expected a size, got text "big". Write width and height such as 768x512'),
        (f"size: 512\n{SCENE}", "expected a size, got the number 512. Write width and height such as 512x512"),
        (f"{SCENE}    size: 33x64\n", "3:11: scenes[0].size: no picture of"),
        (f"{SCENE}    duration: 0\n", "3:15: scenes[0].duration: has to be more than 0, got 0."),
        (
            f"{SCENE}    negative: {{replace: 3}}\n",
            "3:25: scenes[0].negative.replace: expected text, got the number 3.",
        ),
        (f"{SCENE}    negative: [a]\n", "3:15: scenes[0].negative: expected text, or {replace: text}, got a list."),
        (
            f"{SCENE}    loras: pencil\n",
            "3:12: scenes[0].loras: expected a list of LoRAs, or {replace: [a list of LoRAs]}",
        ),
        (f"loras: [{{name: x, strength: .nan}}]\n{SCENE}", "1:29: loras[0].strength: expected a finite number"),
        (f"loras: [{{name: x, strength: 5}}]\n{SCENE}", "loras[0].strength: has to be at most 4, got 5."),
        (f"characters: {{a b: x}}\n{SCENE}", "1:14: characters.a b: a name can't hold white space."),
        (f"characters: {{a: [x]}}\n{SCENE}", "1:17: characters.a: expected the character's description, or {prompt: …"),
        (f"characters: {{a: {{prompt: x, negativ: y}}}}\n{SCENE}", 'unknown key "negativ". Did you mean "negative"?'),
        (f"characters: {{a: '{{b}}', b: 'x {{a}}'}}\n{SCENE}", "1:17: characters.a: refers to itself: a → b → a."),
    ],
)
def test_a_mistake_is_told_with_its_place(problems, text, problem):
    assert any(problem in told for told in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("seeds", "problem"),
    [
        ("seed: -1", "2:23: scenes[0].seed: has to be at least 0, got -1."),
        ("seed: 4294967296", "has to be at most 4,294,967,295, got 4294967296."),
        (f"seed: {10**50}", "has to be at most 4,294,967,295, got 1000"),
        ("seed: '3'", 'expected a whole number, got text "3".'),
        ("seeds: [1，2]", 'expected a whole number, got text "1，2". "，" is full-width: write a half-width ","'),
        ("seeds: 1、2", '{start: 0, count: 8}, got text "1、2". "、" is full-width: write a half-width ","'),
        (
            "seeds: 3",
            "2:24: scenes[0].seeds: expected a list such as [0, 1, 2], or {start: 0, count: 8}, got the number 3. "
            "Write `seed: 3`.",
        ),
        ("seeds: []", "expected at least 1 entry, got none."),
        ("seeds: [1, 2, 1]", "the seed 1 is given twice."),
        ("seeds: [1, -1]", "2:28: scenes[0].seeds[1]: has to be at least 0, got -1."),
        ("seeds: {count: 0}", "2:32: scenes[0].seeds.count: has to be at least 1, got 0."),
        ("seeds: {count: 1001}", "has to be at most 1,000, got 1001."),
        ("seeds: {start: 1}", '"count" is missing.'),
        ("seeds: {start: 4294967295, count: 2}", "the last seed would be 4294967296; the highest is 4294967295."),
        ("seed: 1, seeds: [1]", '2:26: scenes[0].seeds: both "seed" and "seeds" are given.'),
        ("seeds: [1, 2], pick: 3", "2:38: scenes[0].pick: no take of this scene has the seed 3. Its seeds: 1, 2."),
        ("pick: {seed: 4}", "no take of this scene has the seed 4. Its seeds: 0."),
        ("pick: x", 'expected the seed of the chosen picture, or {seed: …}, got text "x".'),
    ],
)
def test_seeds_and_picks_that_can_not_be(problems, seeds, problem):
    (told,) = problems(f"scenes:\n  - {{prompt: x, {seeds}}}\n")
    assert problem in told


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../x", 'a name can\'t hold "." (full stop). Use letters of any script, digits, - and _.'),
        ("a/b", 'a name can\'t hold "/" (solidus).'),
        ("a\\\\b", "(reverse solidus)"),
        ("CON", '"CON" is a name that Windows keeps for itself.'),
        ("nul", "Windows keeps"),
        ("Com1", "Windows keeps"),
        ("a" * 300, "longer than 64 characters"),
        ("𠀀" * 64, "longer than 64 characters"),
        ("😀", "(grinning face)"),
        ("a b", "white space"),
        ("", "the name is empty."),
        ("-x", 'a name can\'t begin with "-"'),
        ("a\\u202eb", "an invisible character (right-to-left override)"),
        ("a\\0", "an invisible character"),
    ],
)
def test_ids_that_can_not_be(problems, name, problem):
    (told,) = problems(f'scenes:\n  - {{prompt: x, id: "{name}"}}\n')
    assert told.startswith("2:21: scenes[0].id: ")
    assert problem in told


def test_ids_are_taken_once(problems):
    text = "scenes:\n" + "".join(f"  - {{prompt: x, id: {name}}}\n" for name in ("Sofa", "sofa", "scene-04", "x"))
    told = problems(text + "  - prompt: y\n  - {prompt: z, id: scene-05}\n  - {prompt: z, id: x}\n")
    assert told == [
        '3:21: scenes[1].id: the id "sofa" is taken by the scene in line 2. Upper and lower case count as the same.',
        '7:21: scenes[5].id: the id "scene-05" is taken by the scene in line 6. Choose another.',
        '8:21: scenes[6].id: the id "x" is taken by the scene in line 5. Choose another.',
    ]


def test_unknown_characters_are_named_where_they_stand(problems):
    told = problems(
        "characters: {mei: girl}\nstyle: '{a}'\nnegative: '{b}'\nscenes:\n"
        '  - prompt: "{mie}，在{公园|{mie}}里"\n    negative: {replace: "no {c}"}\n'
        "  - prompt: |\n      one {mei}\n      two {d}\n"
    )
    assert [problem.partition(" unknown")[0] for problem in told] == [
        "2:9: style:",
        "3:12: negative:",
        "5:14: scenes[0].prompt:",
        "5:25: scenes[0].prompt:",
        "6:29: scenes[0].negative.replace:",
        "9:11: scenes[1].prompt:",
    ]
    assert 'unknown character "mie". Did you mean "mei"?' in told[2]


def test_all_mistakes_of_a_file_are_told_at_once_in_order(problems):
    told = problems(
        """\
titel: x
steps: many
size: 100x100
loras:
  - nope
  - {name: gone, strength: .nan}
characters:
  mei: "{open"
  lin: {prompt: girl, colour: red}
  bad name: x
scenes:
  - prompt: "{mei} and {lin} and {tom}"
    id: a/b
    seeds: [1, 1]
    pick: 7
  - id: sea
  - text
  - prompt: y
    id: SEA
    cfg: 3
    pick: 7
"""
    )
    assert [problem.partition(" ")[0] + problem.split(" ")[1] for problem in told] == [
        "1:1:titel:",
        "2:8:steps:",
        "3:7:size:",
        "5:5:loras[0]:",
        "6:5:loras[1]:",
        "6:28:loras[1].strength:",
        "8:9:characters.mei:",
        "9:23:characters.lin.colour:",
        "10:3:characters.bad",
        "12:34:scenes[0].prompt:",
        "13:9:scenes[0].id:",
        "14:12:scenes[0].seeds:",
        "16:5:scenes[1].prompt:",
        "17:5:scenes[2]:",
        "19:9:scenes[3].id:",
        "20:5:scenes[3].cfg:",
        "21:11:scenes[3].pick:",
    ]


def test_a_story_of_too_many_pictures_is_refused(problems):
    (told,) = problems("scenes:\n" + "  - {prompt: x, seeds: {count: 1000}}\n" * 101)
    assert "asks for 101,000 pictures" in told


def test_a_story_of_too_many_scenes_is_refused(problems):
    (told,) = problems("scenes:\n" + "  - {prompt: x}\n" * 20_001)
    assert told == "2:3: scenes: expected at most 20,000 entries, got 20001."


# Warnings, and problems found later.


def test_characters_that_appear_nowhere_are_warned_of(load):
    story = load(
        "include: cast.yaml\ncharacters:\n  mei: girl\n  lin: x\nscenes:\n  - prompt: '{mei}'\n",
        cast="characters: {tom: boy}\n",
    )
    (warning,) = story.warnings
    assert str(warning).endswith(
        'tale.yaml:4:8: characters.lin: the character "lin" appears nowhere. Write {lin} in a prompt.'
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "scenes:\n  - prompt: 在｛mei｝旁\n",
            "2:14: scenes[0].prompt: “｛” is full-width: it is painted as it stands.",
        ),
        ("scenes:\n  - prompt: “{mei}”\n", "2:13: scenes[0].prompt: the whole text stands in curly quotes “”"),
        ("scenes:\n  - prompt: '{mei} {红|蓝｜绿}'\n", "2:24: scenes[0].prompt: “｜” is full-width"),
        ("scenes:\n  - prompt: '{红|{a｜b|c}}'\n", "2:19: scenes[0].prompt: “｜” is full-width"),
        (
            "scenes:\n  - prompt: girl #1 in the park\n",
            '2:13: scenes[0].prompt: " #" begins a comment: "#1 in the park"',
        ),
        ("style: a #b\nscenes: [{prompt: x}, {prompt: y}]\n", '1:8: style: " #" begins a comment: "#b" is not read.'),
        (f"negative: a #b\n{SCENE}", '1:11: negative: " #" begins a comment: "#b" is not read.'),
        (f"{SCENE}    negative: {{replace: ｝}}\n", "3:25: scenes[0].negative.replace: “｝” is full-width"),
    ],
)
def test_slips_of_the_keyboard_are_warned_of_once_with_their_place(load, text, told):
    warnings = [str(warning) for warning in load(f"{text}characters: {{mei: girl}}\n").warnings]
    (warning,) = [warning for warning in warnings if "appears nowhere" not in warning]
    assert told in warning


def test_a_slip_in_a_character_is_warned_of_where_it_is_written(load):
    story = load(f"include: cast.yaml\n{SCENE}", cast="characters:\n  mei: ｛girl｝\n  lin: {prompt: “x”}\n")
    assert [str(warning).partition("cast.yaml:")[2].partition(" “")[0] for warning in story.warnings] == [
        "2:8: characters.mei:",
        "3:17: characters.lin.prompt: the whole text stands in curly quotes",
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        *("girl  # by the sea", "girl\n    #1 is the first", '"girl" #1', "'girl #1'", "girl#1", "|\n      girl #1"),
        *("“你好”，她说，“再见”", "她说“你好”", "红｜蓝", "'{红|蓝} ｜'"),
    ],
)
def test_honest_comments_quotes_and_signs_are_no_slips(load, prompt):
    assert load(f"scenes:\n  - prompt: {prompt}\n").warnings == ()


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("{红色｜蓝色}", "“｜” is full-width; a choice is written with |: {红色|蓝色}."),
        ("{mei｝", "“｛” and “｝” are full-width: write { and }."),
    ],
)
def test_errors_from_full_width_signs_name_them(problems, prompt, told):
    (found,) = problems(f"scenes:\n  - prompt: '{prompt}'\n")
    assert found.startswith("2:14: scenes[0].prompt: ") and found.endswith(told)


def test_a_list_in_a_line_with_wrong_indentation_is_not_taken_for_a_text(problems):
    (told,) = problems(f"{SCENE}   seeds: [0, 1]\n")
    assert "needs quotes" not in told


def test_a_later_problem_finds_its_place(load, tmp_path):
    lora(tmp_path, "pencil")
    story = load("loras:\n  - pencil\nscenes:\n  - prompt: x\n  - id: sea\n    prompt: y\n")
    problem = story.problem(story.place_of("sea"), "too long.", "Shorten it.")
    assert str(problem) == f"{tmp_path / 'tale.yaml'}:6:13: scenes[1].prompt: too long. Shorten it."
    assert story.problem(story.place_of("sea", "negative"), "x").line == 5
    ((_, where),) = story.lora_uses()
    assert str(story.problem(where, "does not fit.")).endswith("tale.yaml:2:5: loras[0]: does not fit.")


# Size and speed.


def test_five_thousand_scenes_load_in_seconds(load):
    scene = "  - {{id: s{0}, prompt: '{{{{mei}}}}，在{{{{海边|公园}}}}，第{0}幕', seeds: [0, 1], duration: 2}}\n"
    text = "characters: {mei: 女孩}\nscenes:\n" + "".join(scene.format(index) for index in range(5000))
    start = time.perf_counter()
    story = load(text)
    assert time.perf_counter() - start < 4  # 0.3 s on an idle machine
    assert len(story.scenes) == 5000
    assert story.scenes[-1].id == "s4999"


@pytest.mark.parametrize("prompt", ["{{" * 500_000, "{a}" * 300_000, "{a|b}" * 100_000, "}" * 900_000, "|" * 900_000])
def test_absurd_prompts_are_read_or_refused_quickly(load, prompt):
    start = time.perf_counter()
    try:
        story = load(f"scenes:\n  - prompt: '{prompt}'\n")
        assert story.resolved(story.scenes[0], 0).prompt is not None
    except AuthoringError as error:
        assert len(error.problems) <= 20
    assert time.perf_counter() - start < 10  # 2 s on an idle machine


def test_a_prompt_that_grows_too_long_is_refused(problems):
    story = f"characters: {{mei: {'x' * 3000}}}\nscenes:\n  - prompt: '{'{mei}' * 400}'\n"
    (told,) = problems(story)
    assert told.startswith("3:13: scenes[0].prompt: the text becomes longer than 1,000,000 characters.")


def test_characters_that_double_each_other_are_refused(problems):
    doubling = "".join(f"  c{i}: '{{x|{f'{{c{i + 1}}}' * 40}}}'\n" for i in range(6))
    (told,) = problems(f"characters:\n{doubling}  c6: x\nscenes:\n  - prompt: '{{c0}}'\n")
    assert told.startswith("4:7: characters.c2: becomes longer than 1,000,000 characters.")


def test_five_thousand_mistakes_are_told(problems):
    told = problems("scenes:\n" + "  - {prompt: x, neg: y}\n" * 5000)
    assert len(told) == 5000
    assert told[-1] == '5001:17: scenes[4999].neg: unknown key "neg". Write "negative".'


def test_loading_imports_nothing_heavy():
    heavy = "('torch', 'diffusers', 'transformers', 'PIL')"
    code = f"import sys, renderer.storyboard, renderer.schema; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=STORIES.parent, check=True)
    assert run.stdout.strip() == "[]"


KEYS = (
    "prompt scenes seeds seed loras characters negative id pick size name replace count start grid include model style "
    "strength x"
).split()
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["{a}", "16:9", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["scenes", "loras", "characters", "style", "include", "size", "grid"]), VALUES))
def test_whatever_a_file_holds_it_is_a_story_or_an_authoring_error(tmp_path_factory, models, data):
    import yaml

    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    try:
        story = load_storyboard(file, models=[models])
    except AuthoringError as error:
        assert error.problems
        return
    for scene in story.scenes:
        for seed in scene.seeds[:2]:
            resolved = story.resolved(scene, seed)
            assert resolved.prompt is not None and resolved.negative is not None


# Stories that ship.


@pytest.mark.parametrize(("name", "language", "scenes"), [("starlight", "zh", 8), ("two-friends", "en", 4)])
def test_the_stories_that_ship_load(models, name, language, scenes):
    story = load_storyboard(STORIES / f"{name}.yaml", models=[models])
    assert (story.language, len(story.scenes), story.warnings, story.grid.columns) == (language, scenes, (), 2)
    assert all(scene.shot and scene.action and scene.duration for scene in story.scenes)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_new_story_loads(load, language):
    story = load(new_story('My "story": 星', language))
    assert (story.title, story.language, story.warnings) == ('My "story": 星', language, ())
    assert len(story.scenes) == 3

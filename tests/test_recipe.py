"""Reading a recipe: every form of the file, every default, what the digest is of, and the schema for editors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from renderer.errors import AuthoringError, ModelError
from renderer.reading.yaml_file import read_yaml
from renderer.scaffold import new_recipe
from renderer.schema import recipe_schema, schema_text
from renderer.trainer.recipe import ImageSettings, Recipe, load_recipe
from tests.recipes import CARD, SHORTEST, link_model, write_recipe
from tests.test_cli import run

__all__ = ["run"]

STORIES = Path(__file__).parent.parent / "storyboards"


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    link_model(folder)
    link_model(
        folder, CARD.model_copy(update={"name": "taught", "edition": "taught@1", "learned_sizes": ((128, 128),)})
    )
    return folder


@pytest.fixture
def load(tmp_path, models):
    def load(text: str, name: str = "pencil.yaml") -> Recipe:
        return load_recipe(write_recipe(tmp_path, text, name), [models])

    return load


# What a recipe may say.


def test_the_shortest_recipe_is_the_classic_one(load, tmp_path, models):
    recipe = load(SHORTEST)
    assert (recipe.kind, recipe.name, recipe.title, recipe.licence) == ("lora", "pencil", "pencil", "")
    assert (recipe.model, recipe.edition, recipe.card) == ("kolors-mini", "kolors-mini@test", CARD)
    assert recipe.model_folder == models / "kolors-mini"
    assert recipe.data_folder == tmp_path / "pencil"
    assert recipe.image == ImageSettings(128, 128, crop="center", flip=False, buckets=False, upscale=False)
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.init, recipe.lora.dora) == (16, 4, "kaiming", False)
    assert recipe.lora.targets == ("to_q", "to_k", "to_v", "to_out.0")
    train = recipe.train
    assert (train.steps, train.steps_per_epoch, train.batch, train.accumulate) == (500, 500, 1, 1)
    assert (train.learning_rate, train.schedule, train.optimizer, train.precision) == (
        1e-4,
        "constant",
        "adamw",
        "auto",
    )
    assert (train.gradient_checkpointing, train.cache, train.min_snr, train.ema) == (True, True, None, None)
    assert (recipe.samples.prompts, recipe.samples.steps, recipe.samples.guidance) == ((), CARD.steps, CARD.guidance)
    assert (recipe.checkpoints.every, recipe.checkpoints.keep, recipe.checkpoints.files) == (100, 2, True)
    assert (recipe.validation.share, recipe.filter, recipe.executor, recipe.loggers) == (0, (), "default", ("csv",))
    assert (recipe.dreambooth, recipe.inversion, recipe.hypernetwork, recipe.warnings) == (None, None, None, ())
    assert recipe.text == SHORTEST


def test_the_folder_of_pictures_is_absolute_wherever_one_stands(tmp_path, models, monkeypatch):
    write_recipe(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_recipe("pencil.yaml", [models]).data_folder == tmp_path / "pencil"


def test_everything_that_a_recipe_may_say(load, tmp_path):
    recipe = load(
        """\
kind: lora
name: 铅笔
model: kolors-mini
title: Pencil
trigger_words: [铅笔画, pencil]
licence: CC0-1.0
data: {modelscope: some-one/anime, subset: a, split: b, revision: c, image: d, caption: f, limit: 9}
filter:
  - image_shape_filter: {min_width: 64, any_or_all: all}
  - image_deduplicator:
executor: ray
image: {size: 192x128, crop: random, flip: true, buckets: true, upscale: true}
lora: {rank: 8, alpha: 2, targets: [attn1.to_q, conv1], init: gaussian, dora: true}
train:
  epochs: 3
  steps_per_epoch: 40
  batch: 2
  accumulate: 4
  learning_rate: 2e-5
  schedule: cosine-restarts
  cycles: 2
  warmup: 10
  optimizer: adamw8bit
  weight_decay: 0
  clip: 0
  precision: bf16-mixed
  gradient_checkpointing: false
  seed: 7
  min_snr: 5
  noise_offset: 0.05
  caption_dropout: 0.1
  caption_shuffle: true
  caption_keep: 1
  ema: 0.999
  cache: false
  devices: [0, 1]
  strategy: ddp
  num_nodes: 2
validation: {share: 0.1, every: 20}
samples: {prompts: [一个女孩], negative: 模糊, every: 20, seed: 3, steps: 10, guidance: 1}
checkpoints: {every: 20, keep: 1, files: false}
loggers: [csv, tensorboard, lightning.pytorch.loggers.WandbLogger]
"""
    )
    assert (recipe.name, recipe.title, recipe.licence) == ("铅笔", "Pencil", "CC0-1.0")
    assert recipe.trigger_words == ("铅笔画", "pencil")
    assert recipe.data_folder is None
    assert recipe.data.model_dump(exclude={"folder"}) == {
        "modelscope": "some-one/anime",
        "subset": "a",
        "split": "b",
        "revision": "c",
        "image": "d",
        "text": None,
        "caption": "f",
        "limit": 9,
    }
    assert recipe.filter == ({"image_shape_filter": {"min_width": 64, "any_or_all": "all"}}, {"image_deduplicator": {}})
    assert recipe.image == ImageSettings(192, 128, crop="random", flip=True, buckets=True, upscale=True)
    assert recipe.lora.targets == ("attn1.to_q", "conv1")
    assert recipe.train.model_dump(exclude={"steps_per_epoch"}) == {
        "steps": 120,
        "epochs": 3,
        "batch": 2,
        "accumulate": 4,
        "learning_rate": 2e-5,
        "schedule": "cosine-restarts",
        "cycles": 2,
        "warmup": 10,
        "optimizer": "adamw8bit",
        "weight_decay": 0,
        "clip": 0,
        "precision": "bf16-mixed",
        "gradient_checkpointing": False,
        "seed": 7,
        "min_snr": 5,
        "noise_offset": 0.05,
        "caption_dropout": 0.1,
        "caption_shuffle": True,
        "caption_keep": 1,
        "ema": 0.999,
        "cache": False,
        "devices": (0, 1),
        "strategy": "ddp",
        "num_nodes": 2,
    }
    assert recipe.samples.model_dump() == {
        "prompts": ("一个女孩",),
        "negative": "模糊",
        "every": 20,
        "seed": 3,
        "steps": 10,
        "guidance": 1,
    }
    assert (recipe.executor, recipe.warnings) == ("ray", ())


@pytest.mark.parametrize(
    ("words", "expected"), [("trigger_words: pencil", ("pencil",)), ("trigger_words: [a, b]", ("a", "b")), ("", ())]
)
def test_trigger_words_are_a_text_or_a_list(load, words, expected):
    assert load(f"{SHORTEST}{words}\n").trigger_words == expected


def test_licence_may_be_spelled_either_way(load):
    assert load(f"{SHORTEST}license: MIT\n").licence == "MIT"


@pytest.mark.parametrize(
    ("written", "size"), [("64x96", (64, 96)), ("96", (96, 96)), ("1:1", (128, 128)), ("2:1", (192, 96))]
)
def test_a_size_is_written_in_three_ways(load, written, size):
    image = load(f"{SHORTEST}image: {{size: {written}}}\n").image
    assert (image.width, image.height) == size


def test_a_section_with_nothing_in_it_has_its_defaults(load):
    assert load(f"{SHORTEST}train:\n  # steps: 3\nsamples:\nlora:\nimage:\n").train.steps == 500


@pytest.mark.parametrize(("file", "name"), [("glow.yaml", "glow"), ("glow.recipe.yaml", "glow"), ("辉光.yml", "辉光")])
def test_a_recipe_without_a_name_has_its_file_s(load, file, name):
    assert load(SHORTEST, file).name == name


def test_prodigy_begins_at_its_own_rate(load):
    assert load(f"{SHORTEST}train: {{optimizer: prodigy}}\n").train.learning_rate == 1.0
    assert load(f"{SHORTEST}train: {{optimizer: prodigy, learning_rate: 0.5}}\n").train.learning_rate == 0.5


def test_dreambooth(load, tmp_path):
    text = f"kind: dreambooth\n{SHORTEST}dreambooth: {{class_prompt: a girl, class_folder: girls}}\n"
    (tmp_path / "girls").mkdir()
    recipe = load(text)
    assert recipe.class_folder == tmp_path / "girls"
    assert recipe.dreambooth is not None
    assert (recipe.dreambooth.class_pictures, recipe.dreambooth.prior_weight) == (100, 0.7)
    assert recipe.lora.rank == 16
    assert load(text.replace(", class_folder: girls", "")).class_folder is None


def test_textual_inversion(load):
    recipe = load(f"kind: textual-inversion\nname: mei\n{SHORTEST}inversion: {{token: mei, init: 女孩}}\n")
    assert recipe.inversion is not None
    assert (recipe.inversion.token, recipe.inversion.vectors, recipe.inversion.init) == ("mei", 4, "女孩")
    assert recipe.warnings == ()


def test_a_hypernetwork_needs_no_section(load):
    recipe = load(f"kind: hypernetwork\n{SHORTEST}")
    assert recipe.hypernetwork is not None
    assert (recipe.hypernetwork.structure, recipe.hypernetwork.widths) == ((1, 2, 1), None)


def test_a_model_is_found_by_its_path_beside_the_recipe(load, tmp_path):
    link_model(tmp_path / "own")
    recipe = load(f"model: own/kolors-mini\n{SHORTEST}")
    assert recipe.model_folder == tmp_path / "own" / "kolors-mini"


def test_kolors_that_is_not_here_names_the_command_once_all_else_is_right(load):
    with pytest.raises(ModelError, match="storyboard models pull kolors"):
        load(f"model: kolors\n{SHORTEST}")
    with pytest.raises(AuthoringError, match="steqs"):
        load(f"model: kolors\n{SHORTEST}steqs: 3\n")


def test_a_problem_found_later_has_its_place(load, tmp_path):
    recipe = load(f"{SHORTEST}train:\n  optimizer: prodigy\n")
    problem = recipe.problem(("train", "optimizer"), "is not here.", "Install it.")
    assert str(problem) == f"{tmp_path}/pencil.yaml:3:14: train.optimizer: is not here. Install it."


# What works, but hardly as it is meant.


def warnings(recipe: Recipe) -> list[str]:
    return [f"{problem.where}: {problem.what} {problem.todo}".strip() for problem in recipe.warnings]


def test_a_text_that_the_encoder_cuts_is_warned_of(load):
    long = "一个紫色短发小女孩" * 40
    recipe = load(
        f"data: {{folder: pencil, caption: {long}}}\nsamples: {{prompts: [short, {long}], negative: {long}}}\n"
    )
    found = warnings(recipe)
    assert [words.split(":")[0] for words in found] == ["data.caption", "samples.prompts[1]", "samples.negative"]
    assert all("reads 62 pieces; this is cut before" in words for words in found)


def test_vectors_count_as_pieces(load):
    text = f"kind: textual-inversion\nname: mei\n{SHORTEST}inversion: {{token: mei, vectors: VECTORS}}\n"
    text += "samples: {prompts: [a <mei> in the park]}\n"
    assert load(text.replace("VECTORS", "4")).warnings == ()
    assert "this is cut before" in warnings(load(text.replace("VECTORS", "60")))[0]


def test_a_size_that_the_model_never_saw_is_warned_of(load):
    assert load(f"model: taught\n{SHORTEST}").warnings == ()
    (words,) = warnings(load(f"model: taught\n{SHORTEST}image: {{size: 64x64}}\n"))
    assert words.startswith("image.size: taught has seen pictures of 128x128 only; at 64x64 it has more to learn.")


def test_a_rate_that_stops_prodigy_is_warned_of(load):
    (words,) = warnings(load(f"{SHORTEST}train: {{optimizer: prodigy, learning_rate: 1e-4}}\n"))
    assert words.startswith("train.learning_rate: Prodigy finds the rate itself")


def test_class_pictures_yet_to_be_painted_are_told_with_what_may_be_meant(load, tmp_path):
    (tmp_path / "girls").mkdir()
    recipe = load(f"kind: dreambooth\n{SHORTEST}dreambooth: {{class_prompt: a girl, class_folder: girl}}\n")
    (words,) = warnings(recipe)
    assert "100 pictures will be painted instead" in words
    assert 'Did you mean "girls"?' in words


def test_a_token_that_stories_will_not_know_is_warned_of(load):
    (words,) = warnings(load(f"kind: textual-inversion\n{SHORTEST}inversion: {{token: mei}}\n"))
    assert "<pencil>" in words


# What the digest is of.


def digest(load, extra: str = "", data: str = SHORTEST) -> str:
    return load(data + extra).digest


def test_the_digest_changes_with_what_is_learned(load):
    seen = {digest(load)}
    for extra in (
        "train: {steps: 501}",
        "train: {seed: 1}",
        "train: {min_snr: 5}",
        "train: {precision: bf16-mixed}",
        "lora: {rank: 8}",
        "lora: {dora: true}",
        "image: {flip: true}",
        "image: {size: 64x64}",
        "validation: {share: 0.5}",
        "filter: [{image_deduplicator: }]",
        "kind: hypernetwork",
        "model: taught",
    ):
        seen.add(digest(load, extra + "\n"))
    seen.add(digest(load, data="data: {folder: pencil, caption: x}\n"))
    assert len(seen) == 14


@pytest.mark.parametrize(
    "extra",
    [
        "name: glow",
        "title: Glow",
        "licence: MIT",
        "trigger_words: glow",
        "loggers: [tensorboard]",
        "executor: ray",
        "checkpoints: {every: 7, keep: 9}",
        "samples: {prompts: [x], every: 3}",
        "validation: {every: 3}",
        "train: {devices: 2, strategy: ddp, num_nodes: 2}",
        "train: {cache: false, gradient_checkpointing: false}",
        "train: {epochs: 5, steps_per_epoch: 100}",
        "train: {steps: 500}",
        "lora: {alpha: 4.0}",
    ],
)
def test_the_digest_stays_with_all_else(load, extra):
    assert digest(load, extra + "\n") == digest(load)


def test_the_digest_does_not_know_where_the_pictures_lie(load, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    assert digest(load, data="data: {folder: elsewhere}\n") == digest(load)


def test_settings_are_what_a_checkpoint_can_be_compared_by(load):
    settings = load(SHORTEST).settings
    assert json.loads(json.dumps(settings)) == settings
    assert (settings["kind"], settings["model"], settings["image"]["width"]) == ("lora", "kolors-mini@test", 128)
    assert settings["train"]["steps"] == 500


# The schema.


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(recipe_schema())


def objects(schema: object) -> Iterator[dict]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_the_schema_is_one_of_draft_07_and_describes_every_key():
    schema = recipe_schema()
    Draft7Validator.check_schema(schema)
    for found in objects(schema):
        assert "$ref" not in found or list(found) == ["$ref"]
        for name, key in found.get("properties", {}).items():
            assert key.get("description", "").strip(), name


def test_the_schema_beside_the_stories_is_up_to_date():
    assert (STORIES / "recipe.schema.json").read_text(encoding="utf-8") == schema_text(recipe_schema())


def test_the_recipes_that_ship_are_valid(validator):
    for file in STORIES.glob("*.recipe.yaml"):
        validator.validate(read_yaml(file).root.value)


DATA = {"data": {"folder": "x"}}


@pytest.mark.parametrize(
    "recipe",
    [
        DATA,
        DATA | {"license": "MIT", "trigger_words": "x", "train": {}, "image": {"size": 96}},
        DATA | {"filter": [{"image_deduplicator": None}, {"image_shape_filter": {"min_width": 3}}]},
        DATA | {"train": {"devices": "auto", "min_snr": None, "epochs": 1}, "trigger_words": ["x", "y"]},
    ],
)
def test_what_the_loader_takes_is_valid(validator, recipe):
    validator.validate(recipe)


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"data": {"folder": "x", "modelscope": "a/b"}},
        DATA | {"train": {"steps": 1, "epochs": 1}},
        DATA | {"train": {"lr": 1}},
        DATA | {"train": {"devices": "four"}},
        DATA | {"kind": "lor"},
        DATA | {"filter": {"image_deduplicator": None}},
        DATA | {"filter": [{"a": None, "b": None}]},
        DATA | {"image": {"size": "big"}},
        DATA | {"kind": "dreambooth", "dreambooth": {}},
    ],
)
def test_typical_mistakes_are_marked(validator, recipe):
    assert not validator.is_valid(recipe)


# A recipe to begin with.


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_new_recipe_loads_without_a_word(load, language, validator, tmp_path):
    recipe = load(new_recipe("pencil", language))
    assert recipe.warnings == ()
    assert recipe.data_folder == tmp_path / "pencil"
    assert recipe.text.startswith("# yaml-language-server: $schema=recipe.schema.json\n")
    validator.validate(read_yaml(recipe.path).root.value)


def test_new_writes_a_recipe_and_its_schema_and_never_over_one(run):
    code, out, _ = run("new", "my-style", "--recipe", "--language", "zh")
    assert code == 0
    assert "Put pictures into storyboards/my-style/" in out
    assert "storyboard train storyboards/my-style.recipe.yaml --data-only" in out
    assert json.loads(Path("storyboards/recipe.schema.json").read_text(encoding="utf-8")) == recipe_schema()
    Path("storyboards/my-style").mkdir()
    assert load_recipe("storyboards/my-style.recipe.yaml").name == "my-style"
    code, _, err = run("new", "my-style", "--recipe")
    assert code == 2
    assert "never overwritten" in err


def test_the_schema_of_recipes_is_written(run):
    code, out, _ = run("schema", "--recipe")
    assert code == 0
    assert json.loads(out) == recipe_schema()


def test_reading_a_recipe_costs_no_heavy_import(tmp_path):
    write_recipe(tmp_path, f"{SHORTEST}filter: [{{image_shape_filter: {{min_width: 64}}}}]\n")
    code = (
        "import sys; from renderer.trainer.recipe import load_recipe; load_recipe('pencil.yaml')\n"
        "print([name for name in ('torch', 'lightning', 'peft', 'data_juicer', 'diffusers') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout == "[]\n", ran.stderr

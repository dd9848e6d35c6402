"""Mistakes in a recipe: each is told at its place, all at once, with what was probably meant."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderer.errors import AuthoringError
from renderer.trainer.recipe import load_recipe
from renderer.trainer.recipes.forms import Kind
from renderer.trainer.recipes.recipe_file import RecipeFile
from tests.recipes import SHORTEST, link_model, write_recipe


def keys_of(annotation: object) -> list[str]:
    """The keys of the section that a field's annotation speaks of, none where it is no section."""
    models = [form for form in (annotation, *get_args(annotation)) if hasattr(form, "model_fields")]
    return [key for model in models for key in model.model_fields]


HAS_JUICER = importlib.util.find_spec("data_juicer") is not None


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    link_model(folder)
    return folder


@pytest.fixture
def problems(tmp_path, models):
    def problems(text: str, name: str = "pencil.yaml") -> list[str]:
        path = write_recipe(tmp_path, text, name)
        with pytest.raises(AuthoringError) as error:
            load_recipe(path, [models])
        return [str(problem).removeprefix(f"{path}:").replace(str(tmp_path), "TMP") for problem in error.value.problems]

    return problems


def test_all_mistakes_come_at_once_in_the_order_of_the_file(problems):
    found = problems(
        """\
kind: lorra
name: a/b
data:
  folder: pensil
  subset: x
filter: {image_deduplicator: }
image: {size: 100x100, krop: center}
lora: {rank: 0, targets: [to_x]}
train:
  steps: 10
  epochs: 2
  lr: 1e-4
samples: {prompts: a girl}
loggers: [csv, wandb]
titel: x
"""
    )
    assert [line.split(" ")[:2] for line in found] == [
        ["1:7:", "kind:"],
        ["2:7:", "name:"],
        ["4:11:", "data.folder:"],
        ["5:3:", "data.subset:"],
        ["6:9:", "filter:"],
        ["7:15:", "image.size:"],
        ["7:24:", "image.krop:"],
        ["8:14:", "lora.rank:"],
        ["8:27:", "lora.targets[0]:"],
        ["11:3:", "train.epochs:"],
        ["12:3:", "train.lr:"],
        ["13:20:", "samples.prompts:"],
        ["14:16:", "loggers[1]:"],
        ["15:1:", "titel:"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Keys by other names, and in other places.
        ("train: {lr: 1}", '1:9: train.lr: unknown key "lr". Write "learning_rate".'),
        ("train: {max_train_steps: 5}", 'Write "steps".'),
        ("train: {batch_size: 5}", 'Write "batch".'),
        ("train: {gradient_accumulation_steps: 5}", 'Write "accumulate".'),
        ("train: {mixed_precision: fp16}", 'Write "precision".'),
        ("train: {learning_rat: 1}", 'Did you mean "learning_rate"?'),
        ("lora: {network_dim: 5}", 'Write "rank".'),
        ("lora: {network_alpha: 5}", 'Write "alpha".'),
        ("image: {resolution: 96}", 'Write "size".'),
        ("lr: 1", '1:1: lr: unknown key "lr". Write "learning_rate" under "train".'),
        ("network_dim: 4", 'Write "rank" under "lora".'),
        ("resolution: 96", 'Write "size" under "image".'),
        ("rank: 4", 'unknown key "rank". It belongs under "lora".'),
        ("steps: 4", 'It belongs under "train" or "samples".'),
        ("every: 4", 'It belongs under "validation", "samples" or "checkpoints".'),
        ("train: {name: x}", "It belongs at the top of the file."),
        ("train: {rank: 4}", 'It belongs under "lora".'),
        ("filters: []", 'Write "filter".'),
        ("executor_type: ray", 'Write "executor".'),
        # Values of the wrong form, and out of range.
        ("train: {steps: many}", '1:16: train.steps: expected a whole number, got text "many".'),
        ("train: {steps: 0}", "has to be at least 1, got 0."),
        ("train: {learning_rate: 0}", "has to be more than 0, got 0."),
        ("train: {learning_rate: .nan}", "expected a finite number, got the number .nan."),
        ("train: {seed: -1}", "has to be at least 0, got -1."),
        ("train: {cache: yes}", 'expected true or false, got text "yes". Write true.'),
        ("train: {optimizer: adamv}", 'Did you mean "adamw"?'),
        ("train: {schedule: cosine_restarts}", 'Did you mean "cosine-restarts"?'),
        ("train: {precision: fp16}", 'expected one of auto, fp32, fp16-mixed, bf16-mixed, got text "fp16".'),
        ("train: {devices: [0, 0]}", "the device 0 is given twice."),
        ("train: {devices: 1.5}", "expected how many devices, auto, or a list of their numbers"),
        ("train: 5", "1:8: train: expected a mapping, got the number 5."),
        ("kind: textual_inversion", 'Did you mean "textual-inversion"?'),
        ("name: a b", "a name can't hold white space."),
        ("trigger_words: ['']", "the text is empty."),
        ("samples: {prompts: [' ']}", "1:21: samples.prompts[0]: the text is empty."),
        ("samples: {guidance: 99}", "has to be at most 50, got 99."),
        ("validation: {share: 1}", "has to be less than 1, got 1."),
        ("checkpoints: {keep: 0}", "has to be at least 1, got 0."),
        ("image: {size: big}", "Write width and height such as 768x512, one number for a square, or"),
        ("image: {size: -5}", "expected a size, got the number -5."),
        ("lora: {targets: []}", "expected at least 1 entry, got none."),
        ("licence: MIT\nlicense: MIT", '2:1: license: unknown key "license".'),
        ("kind: lora\nkind: lora", 'the key "kind" is given twice'),
        # What contradicts itself.
        ("train: {steps: 5, epochs: 1}", '1:19: train.epochs: both "steps" and "epochs" are given. Keep one of them.'),
        ("train: {epochs: 9000000}", "9,000,000 epochs of 500 steps are 4,500,000,000 steps."),
        ("train: {steps: 5, warmup: 5}", "1:27: train.warmup: the warm-up takes all of the 5 steps."),
        ("train: {cycles: 2}", '1:17: train.cycles: "cycles" is for cosine-restarts; this is constant.'),
        ("train: {steps: 9, steps_per_epoch: 3}", '1:19: train.steps_per_epoch: "steps_per_epoch" is for epochs, of'),
        ("train: {steps_per_epoch: 3}", "Remove it, or write epochs: 1."),
        ("train: {caption_keep: 1}", "Remove it, or write caption_shuffle: true."),
        # Loggers.
        ("loggers: [tensorbord]", 'there is no logger "tensorbord". Did you mean "tensorboard"?'),
        ("loggers: [wandb]", "Write lightning.pytorch.loggers.WandbLogger."),
        ("loggers: [csv, csv]", 'the logger "csv" is given twice.'),
        ("loggers: [os.system]", '"os.system" is no logger: it is of Python itself.'),
        ("loggers: [../evil.Logger]", '"../evil.Logger" is not the dotted name of a class.'),
        ("loggers: [lightning.__main__]", "is not the dotted name of a class."),
        ("loggers: [a.b()]", "is not the dotted name of a class."),
        # The model.
        ("model: kolors-mimi", 'there is no model "kolors-mimi". Did you mean "kolors-mini"?'),
        ("model: ./nowhere", "A path is relative to the file it stands in."),
        ("image: {size: 100x100}", "the nearest size is 96x96."),
        ("image: {size: 4096}", 'nothing can be trained at "4096x4096"'),
        ("lora: {targets: [to_out]}", "1:18: lora.targets[0]: no layer of kolors-mini is called, or ends in,"),
        ("lora: {targets: [to_out]}", 'Did you mean "to_out.0"?'),
        ("lora: {targets: [to_q, to_q]}", 'the target "to_q" is given twice.'),
        # Sections of another kind, and those that are missing.
        ("dreambooth: {class_prompt: x}", '1:1: dreambooth: "dreambooth" is for kind: dreambooth; this is kind: lora.'),
        ("inversion: {token: x}", '"inversion" is for kind: textual-inversion; this is kind: lora.'),
        ("hypernetwork: {}", '"hypernetwork" is for kind: hypernetwork; this is kind: lora.'),
        ("kind: hypernetwork\nlora: {rank: 4}", '"lora" is for kind: lora or dreambooth; this is kind: hypernetwork.'),
        ("kind: dreambooth", '1:7: kind: dreambooth needs the section "dreambooth".'),
        ("kind: textual-inversion", 'kind: textual-inversion needs the section "inversion".'),
        ("kind: dreambooth\ndreambooth: {prior_weight: 1}", '2:13: dreambooth.class_prompt: "class_prompt" is'),
        ("kind: textual-inversion\ninversion: {token: <mei>}", 'a name can\'t hold "<" (less-than sign).'),
        ("kind: textual-inversion\ninversion: {token: pencil, vectors: 63}", "reads 62 pieces; 63 vectors don't fit."),
        ("kind: hypernetwork\nhypernetwork: {structure: [1, 2]}", "its structure begins and ends with 1."),
        ("kind: hypernetwork\nhypernetwork: {widths: [7]}", "2:25: hypernetwork.widths[0]: the model has no"),
        ("kind: hypernetwork\nhypernetwork: {activation: rely}", 'Did you mean "relu"?'),
    ],
)
def test_a_mistake_is_told(problems, text, expected):
    (found,) = problems(f"{text}\n{SHORTEST}")
    assert expected in found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "kind: lora",
            '1:1: data: "data" is missing. Add it: Where the pictures come from, such as {folder: pencil/}.',
        ),
        ("data: {}", "1:7: data: nothing says where the pictures are."),
        ("data: pencil/", '1:7: data: expected a mapping, got text "pencil/".'),
        ("data: {folder: pensil}", '1:16: data.folder: there is no folder "pensil". Did you mean "pencil"?'),
        ("data: {folder: zzz}", 'there is no folder "zzz". Paths are relative to pencil.yaml.'),
        ("data: {folder: no/such/place}", 'there is no folder "no/such/place".'),
        ("data: {folder: pencil.yaml}", '"pencil.yaml" is a file. Name the folder that holds the pictures.'),
        (f"data: {{folder: {'x' * 5000}}}", "there is no folder"),
        ("data: {folder: pencil, modelscope: a/b}", 'both "folder" and "modelscope" are given.'),
        ("data: {modelscope: lowres_anime}", '"lowres_anime" is no data set on ModelScope. Write OWNER/NAME'),
        ("data: {folder: pencil, split: test}", '1:24: data.split: "split" is for data from ModelScope.'),
        ("data: {folder: pencil, limit: 0}", "has to be at least 1, got 0."),
        ("data: {folder: pencil, caption: x, text: tags}", '1:36: data.text: both "caption" and "text" are given.'),
        ("data: {foldr: pencil}", 'Did you mean "folder"?'),
        ("data: {path: pencil}", 'Write "folder".'),
    ],
)
def test_a_mistake_about_the_data_is_told(problems, data, expected):
    found = problems(f"{data}\ntitle: x\n")
    assert expected in found[0]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("pencil", "class pictures must not be among those that are learned."),
        ("pencil/class", "one folder, or one in the other."),
        (".", "one folder, or one in the other."),
        ("pencil.yaml", '"pencil.yaml" is a file.'),
    ],
)
def test_class_pictures_lie_apart(problems, folder, expected):
    section = f"dreambooth: {{class_prompt: a girl, class_folder: {folder}}}"
    (found,) = problems(f"kind: dreambooth\n{SHORTEST}{section}\n")
    assert found.startswith("3:50: dreambooth.class_folder:")
    assert expected in found


@pytest.mark.skipif(not HAS_JUICER, reason="Data-Juicer is not installed")
@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (
            "{image_shap_filter: }",
            '1:11: filter[0].image_shap_filter: Data-Juicer has no operator "image_shap_filter".',
        ),
        ("{image_shap_filter: }", 'Did you mean "image_shape_filter"?'),
        (
            "{image_shape_filter: {min_widht: 3}}",
            '1:32: filter[0].image_shape_filter.min_widht: "image_shape_filter" takes',
        ),
        ("{image_shape_filter: {min_widht: 3}}", 'Did you mean "min_width"?'),
        ("{image_shape_filter: {max_width: .inf}}", "Leave the argument out: without it there is no bound."),
        (
            "{image_shape_filter: {}, image_size_filter: {}}",
            "each entry is one operator with its arguments; here are 2.",
        ),
        ("{}", "each entry is one operator with its arguments; here are none."),
        ("image_deduplicator", 'expected a mapping, got text "image_deduplicator".'),
        ("{image_shape_filter: 3}", "expected a mapping, got the number 3."),
    ],
)
def test_a_mistake_in_the_filter_is_told(problems, process, expected):
    (found,) = problems(f"filter: [{process}]\n{SHORTEST}")
    assert expected in found


@pytest.mark.skipif(not HAS_JUICER, reason="Data-Juicer is not installed")
@pytest.mark.parametrize(
    "process",
    [
        "{image_aspect_ratio_filter: {min_ratio: 0.5, max_ratio: 2, any_or_all: any}}",
        "{image_size_filter: {min_size: 0, max_size: 20 MB}}",
        "{image_deduplicator: {method: phash, consider_text: true}}",
        "{image_watermark_filter: {hf_watermark_model: x, prob_threshold: 0.8, accelerator: cpu, num_proc: 2}}",
        "{ray_image_deduplicator: {backend: ray_actor, redis_address: x}}",
        "{text_length_filter: {min_len: 1, reversed_range: true}}",
        "{document_minhash_deduplicator_with_uid: }",
    ],
)
def test_operators_and_arguments_that_data_juicer_has_are_taken(tmp_path, models, process):
    load_recipe(write_recipe(tmp_path, f"filter: [{process}]\n{SHORTEST}"), [models])


def test_a_file_whose_name_is_none_for_a_lora_is_told(problems):
    (found,) = problems(SHORTEST, "my recipe.yaml")
    assert found.startswith("1:1: name: the file's name \"my recipe\" can't be its own: a name can't hold white space.")
    (found,) = problems(f"name: a b\n{SHORTEST}", "my recipe.yaml")
    assert found.startswith("1:7: name: a name can't hold white space.")


def test_a_storyboard_is_recognised(problems):
    (found,) = problems("title: x\nscenes:\n  - prompt: y\n")
    assert "this is a storyboard, not a recipe. `storyboard render` paints it." in found


@pytest.mark.parametrize("text", ["[a, b]", "5", "just words"])
def test_a_file_that_is_no_mapping_is_told(problems, text):
    assert "expected a mapping" in problems(text)[0]


@pytest.mark.parametrize("text", ["data: {folder: pencil", "", "a: *b", "data: !!python/object:os.system {}"])
def test_broken_yaml_is_told_with_its_place(problems, text):
    assert problems(text)[0][0].isdigit()


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**20)
    | st.floats()
    | st.sampled_from(["", "x", "a/b", "../..", "女", "1x1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "folder", "steps"]), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(
    [(key,) for key in RecipeFile.model_fields]
    + [(key, inner) for key, field in RecipeFile.model_fields.items() for inner in keys_of(field.annotation)]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(get_args(Kind)), changes=st.lists(st.tuples(KEYS, JUNK), min_size=1, max_size=4))
def test_whatever_is_written_is_a_recipe_or_its_mistakes(tmp_path, models, kind, changes):
    recipe: dict = {"kind": kind, "data": {"folder": "pencil"}}
    for where, junk in changes:
        if len(where) == 1:
            recipe[where[0]] = junk
        else:
            section = recipe.get(where[0])
            recipe[where[0]] = (section if isinstance(section, dict) else {}) | {where[1]: junk}
    path = write_recipe(tmp_path, yaml.safe_dump(recipe, allow_unicode=True))
    try:
        loaded = load_recipe(path, [models])
    except AuthoringError as error:
        assert all(problem.what and problem.line >= 1 for problem in error.problems)
    else:
        assert len(loaded.digest) == 64


def test_a_damaged_model_card_is_told(tmp_path):
    folder = link_model(tmp_path / "models")
    (folder / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(AuthoringError, match="the model can't be used"):
        load_recipe(write_recipe(tmp_path), [tmp_path / "models"])

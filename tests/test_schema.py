"""The JSON Schema: it is one, describes every field, and agrees with what the loader accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from renderer.reading.yaml_file import read_yaml
from renderer.scaffold import new_story
from renderer.schema import schema_text, storyboard_schema

STORIES = Path(__file__).parent.parent / "storyboards"
SCENES = [{"prompt": "x"}]


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(storyboard_schema())


def objects(schema: object) -> Iterator[dict]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_it_is_a_schema_of_draft_07():
    schema = storyboard_schema()
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = schema_text(schema)
    assert json.loads(text) == schema
    assert "$defs" not in text
    assert "prefixItems" not in text
    assert "\\u" not in text


def test_every_field_is_described():
    for schema in objects(storyboard_schema()):
        for name, field in schema.get("properties", {}).items():
            assert field.get("description", "").strip(), name


def test_nothing_stands_beside_a_reference():
    assert all(list(schema) == ["$ref"] for schema in objects(storyboard_schema()) if "$ref" in schema)


def test_the_stories_that_ship_are_valid(validator):
    for file in STORIES.glob("*.yaml"):
        if not file.stem.endswith(".recipe"):
            validator.validate(read_yaml(file).root.value)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_new_story_is_valid(validator, language, tmp_path):
    file = tmp_path / "new.yaml"
    file.write_text(new_story("new", language), encoding="utf-8")
    validator.validate(read_yaml(file).root.value)
    assert file.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=storyboard.schema.json\n")


def test_the_schema_beside_the_stories_is_up_to_date():
    assert (STORIES / "storyboard.schema.json").read_text(encoding="utf-8") == schema_text(storyboard_schema())


@pytest.mark.parametrize(
    "story",
    [
        {"scenes": SCENES},
        {"scenes": [{"prompt": "x", "seeds": {"count": 2}, "negative": {"replace": ""}, "loras": {"replace": []}}]},
        {"scenes": [{"prompt": "x", "seeds": [1, 2], "pick": {"seed": 1}, "id": "沙发", "duration": 0.5}]},
        {"scenes": SCENES, "size": "16:9", "include": ["a", "b"], "loras": ["a", {"name": "b", "strength": -1}]},
        {"scenes": SCENES, "size": "64x64", "include": "a", "characters": {"a": "x", "b": {"prompt": "y"}}},
        {"scenes": SCENES, "style": None, "grid": {"columns": 3}},
        {"scenes": SCENES, "guidance_interval": [0, 0.8], "cache_interval": 16, "precision": "fp8"},
        {"scenes": [{"prompt": "x", "guidance_interval": [0.2, 1], "cache_interval": 1}]},
        {"scenes": SCENES, "sweep": {"lora": "a", "strength": [0, 0.5]}, "loras": [{"name": "a", "step": 100}]},
        {"scenes": [{"prompt": "x", "sweep": "none", "pick": {"seed": 1, "strength": 0.5, "step": 100}}]},
        {"scenes": SCENES, "embeddings": ["a"], "hypernetworks": ["a", {"name": "b", "strength": 0.5}]},
        {"scenes": [{"prompt": "x", "embeddings": {"replace": []}, "hypernetworks": {"replace": ["a"]}}]},
    ],
)
def test_what_the_loader_takes_is_valid(validator, story):
    validator.validate(story)


@pytest.mark.parametrize(
    "story",
    [
        {},
        {"scenes": []},
        {"scenes": "x"},
        {"scenes": [{"id": "x"}]},
        {"scenes": [{"prompt": 3}]},
        {"scenes": [{"prompt": " "}]},
        {"scenes": [{"prompt": "x", "neg": "y"}]},
        {"scenes": [{"prompt": "x", "seed": -1}]},
        {"scenes": [{"prompt": "x", "seed": 2**32}]},
        {"scenes": [{"prompt": "x", "seed": 1.5}]},
        {"scenes": [{"prompt": "x", "seeds": 3}]},
        {"scenes": [{"prompt": "x", "seed": 1, "seeds": [1]}]},
        {"scenes": [{"prompt": "x", "id": "a/b"}]},
        {"scenes": [{"prompt": "x", "negative": {"replace": 3}}]},
        {"scenes": SCENES, "titel": "x"},
        {"scenes": SCENES, "steps": 0},
        {"scenes": SCENES, "sampler": "ddmi"},
        {"scenes": SCENES, "guidance_interval": 0.5},
        {"scenes": SCENES, "guidance_interval": [0, 2]},
        {"scenes": SCENES, "cache_interval": 0},
        {"scenes": SCENES, "size": "big"},
        {"scenes": SCENES, "size": 512},
        {"scenes": SCENES, "loras": "pencil"},
        {"scenes": SCENES, "loras": [{"name": "x", "strength": 5}]},
        {"scenes": SCENES, "characters": {"a": {"negative": "x"}}},
        {"scenes": SCENES, "grid": {"columns": 0}},
        {"scenes": SCENES, "sweep": {"lora": "a"}},
        {"scenes": SCENES, "sweep": {"lora": "a", "step": []}},
        {"scenes": SCENES, "sweep": "none"},
        {"scenes": [{"prompt": "x", "sweep": "pencil"}]},
        {"scenes": SCENES, "embeddings": [{"name": "a"}]},
        {"scenes": SCENES, "hypernetworks": [{"name": "a", "alpha": 1}]},
    ],
)
def test_typical_mistakes_are_marked(validator, story):
    assert not validator.is_valid(story)

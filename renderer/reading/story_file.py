"""The storyboard file as it is written: its keys, their forms and their limits."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Tag, WithJsonSchema

from renderer.kolors.card import Precision, Sampler
from renderer.reading.authoring import LIST, MAPPING, NUMBER, TEXT, Authored, describe, one_of_forms, refuse
from renderer.reading.name import MAX_ID, check_name
from renderer.reading.size import SIZE_PATTERN, read_size

MAX_SEED = 2**32 - 1
"""torch's CPU generator reads 32 bits of a seed."""
MAX_SEEDS = 1_000
MAX_SCENES = 20_000

SYNONYMS = {
    "neg": "negative",
    "negative_prompt": "negative",
    "negativeprompt": "negative",
    "cfg": "guidance",
    "cfg_scale": "guidance",
    "guidance_scale": "guidance",
    "scale": "strength",
    "weight": "strength",
    "width": "size",
    "height": "size",
    "resolution": "size",
    "aspect": "size",
    "ratio": "size",
    "aspect_ratio": "size",
    "num_inference_steps": "steps",
    "sampling_steps": "steps",
    "scheduler": "sampler",
    "checkpoint": "model",
    "lora": "loras",
    "lora_weights": "loras",
    "character": "characters",
    "cast": "characters",
    "scene": "scenes",
    "shots": "scenes",
    "panels": "scenes",
    "name": "id",
    "text": "prompt",
    "positive": "prompt",
    "positive_prompt": "prompt",
    "description": "prompt",
    "lang": "language",
    "dtype": "precision",
    "includes": "include",
    "import": "include",
    "picked": "pick",
    "chosen": "pick",
    "notes": "note",
    "comment": "note",
    "dialog": "dialogue",
    "seconds": "duration",
    "shot_size": "shot",
    "cols": "columns",
    "gap": "gutter",
}
"""Words that people write for a key that has another name."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def _text(text: str) -> str:
    if found := _CONTROL.search(text):
        raise refuse(f"holds the control character U+{ord(found[0]):04X}.", "Remove it.")
    return text


def _prompt(text: str) -> str:
    if not text.strip():
        raise refuse("the text is empty.", "Write what is to be seen.")
    return text


def _size(value: object) -> str:
    if not isinstance(value, str) or not read_size(value):
        example = f"{value}x{value}" if type(value) is int else "768x512"
        todo = f"Write width and height such as {example}, or an aspect such as 16:9."
        raise refuse(f"expected a size, got {describe(value)}.", todo)
    return value


def _seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    seen: set[int] = set()
    for seed in seeds:
        if seed in seen:
            raise refuse(f"the seed {seed} is given twice.", "Keep one of them.")
        seen.add(seed)
    return seeds


Text = Annotated[str, Field(strict=True), AfterValidator(_text)]
Prompt = Annotated[Text, AfterValidator(_prompt), WithJsonSchema({"type": "string", "pattern": r"\S"})]
Name = Annotated[
    str,
    AfterValidator(check_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": r"^[^\s/\\.:{}|]+$"}),
]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
Seed = Annotated[Whole, Field(ge=0, le=MAX_SEED)]
Strength = Annotated[Number, Field(ge=-4, le=4)]
Steps = Annotated[Whole, Field(ge=1, le=1000)]
Guidance = Annotated[Number, Field(ge=0, le=50)]
Size = Annotated[
    str,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["768x512", "16:9"]}),
]


class LoraEntry(Authored):
    """A LoRA with more than its name."""

    name: Text = Field(description="Its name in a LoRA folder, or its path relative to this file.", min_length=1)
    strength: Strength = Field(1.0, description="How strongly it is applied: 1 is exactly as trained, 0 not at all.")
    alpha: Annotated[Number, Field(gt=0, le=65536)] | None = Field(
        None, description="The alpha it was trained with, where the file does not state it."
    )
    rank: Annotated[Whole, Field(ge=1, le=65536)] | None = Field(
        None, description="The rank it was trained with, where the file does not state it."
    )
    diffsynth_alpha: Annotated[Number, Field(gt=0, le=65536)] | None = Field(
        None, description="DiffSynth 1.x's own lora_alpha: the factor by which it adds the product of up and down."
    )


LoraForm = Annotated[
    Annotated[Annotated[Text, Field(min_length=1)], Tag(TEXT)] | Annotated[LoraEntry, Tag(MAPPING)],
    one_of_forms("a LoRA's name, or {name: …, strength: …}"),
]
Loras = tuple[LoraForm, ...]


class CharacterEntry(Authored):
    """A character with more than a prompt."""

    prompt: Prompt = Field(description="What stands in a prompt for the character's name in braces.")
    negative: Text | None = Field(None, description="Added to the negative prompt wherever the character appears.")
    loras: Loras | None = Field(None, description="LoRAs that come along wherever the character appears.")


CharacterForm = Annotated[
    Annotated[Prompt, Tag(TEXT)] | Annotated[CharacterEntry, Tag(MAPPING)],
    one_of_forms("the character's description, or {prompt: …, negative: …, loras: […]}"),
]


class GridEntry(Authored):
    """How the grid of pictures is laid out."""

    columns: Annotated[Whole, Field(ge=1, le=64)] = Field(2, description="Pictures in a row.")
    cell: Annotated[Whole, Field(ge=16, le=4096)] = Field(512, description="Longer side of a picture in pixels.")
    gutter: Annotated[Whole, Field(ge=0, le=256)] = Field(16, description="Space between pictures in pixels.")
    rows: Annotated[Whole, Field(ge=1, le=1024)] = Field(8, description="Rows on a page.")
    captions: Flag = Field(True, description="Whether each picture has a line of text below it.")


class ReplaceText(Authored):
    """A text that takes the place of the board's."""

    replace: Text = Field(description="Used instead of the negative prompt of the whole story.")


class ReplaceLoras(Authored):
    """LoRAs that take the place of the board's."""

    replace: Loras = Field(description="Used instead of the LoRAs of the whole story.")


class SeedRange(Authored):
    """Seeds one after another."""

    start: Seed = Field(0, description="The first seed.")
    count: Annotated[Whole, Field(ge=1, le=MAX_SEEDS)] = Field(description="How many seeds.")


class PickEntry(Authored):
    """The chosen take of a scene."""

    seed: Seed = Field(description="Its seed.")


_NegativeForm = Annotated[
    Annotated[Text, Tag(TEXT)] | Annotated[ReplaceText, Tag(MAPPING)], one_of_forms("text, or {replace: text}")
]
_LorasForm = Annotated[
    Annotated[Loras, Tag(LIST)] | Annotated[ReplaceLoras, Tag(MAPPING)],
    one_of_forms("a list of LoRAs, or {replace: [a list of LoRAs]}"),
]
_SeedList = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MAX_SEEDS), AfterValidator(_seeds)]
_SeedsForm = Annotated[
    Annotated[_SeedList, Tag(LIST)] | Annotated[SeedRange, Tag(MAPPING)],
    one_of_forms("a list such as [0, 1, 2], or {start: 0, count: 8}"),
]
_PickForm = Annotated[
    Annotated[Seed, Tag(NUMBER)] | Annotated[PickEntry, Tag(MAPPING)],
    one_of_forms("the seed of the chosen picture, or {seed: …}"),
]
_IncludeForm = Annotated[
    Annotated[Text, Tag(TEXT)] | Annotated[tuple[Text, ...], Tag(LIST)],
    one_of_forms("the path of a file, or a list of paths"),
]


def _one_kind_of_seeds(schema: dict[str, Any]) -> None:
    schema["not"] = {"required": ["seed", "seeds"]}


class SceneEntry(Authored):
    """One scene of the story."""

    model_config = ConfigDict(json_schema_extra=_one_kind_of_seeds)

    id: Name | None = Field(None, description="Its name; scene-01, scene-02 … by its place where none is given.")
    prompt: Prompt = Field(
        description="What is to be seen. {name} stands for a character, {this|that} for a choice that the seed makes."
    )
    negative: _NegativeForm | None = Field(
        None,
        description="What is not to be seen, added to the story's; {replace: text} takes the place of the story's.",
    )
    style: Text | None = Field(None, description="Used instead of the story's style.")
    seed: Seed | None = Field(None, description="The one seed of this scene, 0 to 4294967295. Default 0.")
    seeds: _SeedsForm | None = Field(None, description="The seeds, a picture each: [0, 1, 2] or {start: 0, count: 8}.")
    pick: _PickForm | None = Field(None, description="The chosen picture: its seed.")
    size: Size | None = Field(None, description="Used instead of the story's size.")
    steps: Steps | None = Field(None, description="Used instead of the story's steps.")
    guidance: Guidance | None = Field(None, description="Used instead of the story's guidance.")
    sampler: Sampler | None = Field(None, description="Used instead of the story's sampler.")
    loras: _LorasForm | None = Field(
        None, description="LoRAs added to the story's; {replace: […]} takes the place of the story's."
    )
    shot: Text | None = Field(None, description="Shot size for the sheet, such as close-up, medium, full, wide.")
    camera: Text | None = Field(None, description="Camera angle and movement, for the sheet.")
    action: Text | None = Field(None, description="What happens, for the sheet.")
    dialogue: Text | None = Field(None, description="What is said, for the sheet.")
    note: Text | None = Field(None, description="A note for whoever reads the sheet.")
    duration: Annotated[Number, Field(gt=0, le=86400)] | None = Field(
        None, description="How long the scene lasts, in seconds."
    )


class Shared(Authored):
    """What an included file may hold, and a storyboard too."""

    include: _IncludeForm | None = Field(
        None, description="Files with what several stories share, relative to this file; what stands here wins."
    )
    language: Literal["zh", "en"] | None = Field(None, description="Language of the sheet: zh or en (default).")
    model: Annotated[Text, Field(min_length=1)] | None = Field(
        None, description="The model: kolors-mini (default, comes with the package), kolors, or a folder's path."
    )
    size: Size | None = Field(
        None, description="WIDTHxHEIGHT in pixels, or an aspect such as 16:9. Default: the model's."
    )
    steps: Steps | None = Field(None, description="Denoising steps. Default: the model's.")
    guidance: Guidance | None = Field(
        None, description="Classifier-free guidance scale; 1 paints without the negative prompt. Default: the model's."
    )
    sampler: Sampler | None = Field(None, description="How noise is removed step by step. Default: the model's.")
    style: Text | None = Field(None, description="Stands before every prompt.")
    negative: Text | None = Field(None, description="What is not to be seen in any scene.")
    loras: Loras | None = Field(None, description="LoRAs of every scene: names, or {name: …, strength: …}.")
    characters: dict[Name, CharacterForm] | None = Field(
        None, description="Who appears: {name} in a prompt stands for what is written here."
    )
    grid: GridEntry | None = Field(None, description="How the grid of pictures is laid out.")
    precision: Precision | None = Field(
        None, description="Number format of the weights while painting. Default: what the machine does best."
    )
    reproducible: Literal["standard", "strict"] | None = Field(
        None,
        description="strict: bit for bit the same on the same machine whatever is painted together. Default: standard.",
    )


class StoryFile(Shared):
    """A story in scenes, to be painted and looked at."""

    title: Text | None = Field(None, description="Title of the story. Default: the file's name.")
    scenes: Annotated[tuple[SceneEntry, ...], Field(min_length=1, max_length=MAX_SCENES)] = Field(
        description="The scenes in story order."
    )

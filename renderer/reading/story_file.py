"""The storyboard file as it is written: its keys, their forms and their limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Tag

from renderer.kolors.card import Precision, Sampler
from renderer.reading.adapter_entries import (
    Embeddings,
    EmbeddingsForm,
    Hypernetworks,
    HypernetworksForm,
    Loras,
    LorasForm,
    SweepEntry,
    SweepForm,
    TrainingStep,
)
from renderer.reading.authoring import LIST, MAPPING, NUMBER, TEXT, Authored, describe, one_of_forms, refuse
from renderer.reading.values import (
    CacheInterval,
    Flag,
    Guidance,
    GuidanceInterval,
    Name,
    Number,
    Prompt,
    Seed,
    Size,
    Steps,
    Strength,
    Text,
    Whole,
    check_each_once,
)

MAX_SEEDS = 1_000
MAX_SCENES = 20_000


class CharacterEntry(Authored):
    """A character with more than a prompt."""

    prompt: Prompt = Field(description="What stands in a prompt for the character's name in braces.")
    negative: Text | None = Field(None, description="Added to the negative prompt wherever the character appears.")
    loras: Loras | None = Field(None, description="LoRAs that come along wherever the character appears.")
    embeddings: Embeddings | None = Field(
        None, description="Embeddings that come along wherever the character appears: <name> in its prompt."
    )


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


class SeedRange(Authored):
    """Seeds one after another."""

    start: Seed = Field(0, description="The first seed.")
    count: Annotated[Whole, Field(ge=1, le=MAX_SEEDS)] = Field(description="How many seeds.")


class PickEntry(Authored):
    """The chosen take of a scene."""

    seed: Seed = Field(description="Its seed.")
    strength: Strength | None = Field(None, description="The LoRA's strength, where the scene sweeps it.")
    step: TrainingStep | None = Field(None, description="The step of the LoRA's training, where the scene sweeps it.")


def _seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    check_each_once("seed", seeds)
    return seeds


_NegativeForm = Annotated[
    Annotated[Text, Tag(TEXT)] | Annotated[ReplaceText, Tag(MAPPING)], one_of_forms("text, or {replace: text}")
]
_SEEDS = "a list such as [0, 1, 2], or {start: 0, count: 8}"


def _not_one_seed(seeds: object) -> object:
    if type(seeds) is int:
        raise refuse(f"expected {_SEEDS}, got {describe(seeds)}.", f"Write `seed: {seeds}`.")
    return seeds


_SeedList = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MAX_SEEDS), AfterValidator(_seeds)]
_SeedsForm = Annotated[
    Annotated[_SeedList, Tag(LIST)] | Annotated[SeedRange, Tag(MAPPING)],
    one_of_forms(_SEEDS),
    BeforeValidator(_not_one_seed),
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
    pick: _PickForm | None = Field(None, description="The chosen picture: its seed, or {seed: …, strength: …}.")
    size: Size | None = Field(None, description="Used instead of the story's size.")
    steps: Steps | None = Field(None, description="Used instead of the story's steps.")
    guidance: Guidance | None = Field(None, description="Used instead of the story's guidance.")
    sampler: Sampler | None = Field(None, description="Used instead of the story's sampler.")
    guidance_interval: GuidanceInterval | None = Field(
        None, description="Used instead of the story's guidance interval; [0, 1] guides every step."
    )
    cache_interval: CacheInterval | None = Field(
        None, description="Used instead of the story's cache interval; 1 reuses nothing."
    )
    loras: LorasForm | None = Field(
        None, description="LoRAs added to the story's; {replace: […]} takes the place of the story's."
    )
    sweep: SweepForm | None = Field(
        None, description="A LoRA to try out in this scene, instead of the story's sweep; none for none."
    )
    embeddings: EmbeddingsForm | None = Field(
        None, description="Embeddings added to the story's; {replace: […]} takes the place of the story's."
    )
    hypernetworks: HypernetworksForm | None = Field(
        None, description="Hypernetworks added to the story's; {replace: […]} takes the place of the story's."
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
    guidance_interval: GuidanceInterval | None = Field(
        None,
        description="In which part of the steps guidance is applied, such as [0.2, 0.8]: the others take half the time."
        " Default: [0, 1], all of them.",
    )
    cache_interval: CacheInterval | None = Field(
        None,
        description="With 3, only each third step goes through the whole model, and the others reuse what it found:"
        " quicker, a little less exact. Default: 1, all do.",
    )
    style: Text | None = Field(None, description="Stands before every prompt.")
    negative: Text | None = Field(None, description="What is not to be seen in any scene.")
    loras: Loras | None = Field(None, description="LoRAs of every scene: names, or {name: …, strength: …}.")
    sweep: SweepEntry | None = Field(
        None, description="A LoRA to try out in every scene: a take for each seed, strength and step of its training."
    )
    embeddings: Embeddings | None = Field(
        None, description="Names of embeddings: <name> in a prompt or negative then stands for the embedding."
    )
    hypernetworks: Hypernetworks | None = Field(
        None, description="Hypernetworks of every scene: names, or {name: …, strength: …}."
    )
    characters: dict[Name, CharacterForm] | None = Field(
        None, description="Who appears: {name} in a prompt stands for what is written here."
    )
    grid: GridEntry | None = Field(None, description="How the grid of pictures is laid out.")
    precision: Precision | None = Field(
        None,
        description="Number format of the weights while painting, fp8 being the least exact. Default: what the machine"
        " does best.",
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

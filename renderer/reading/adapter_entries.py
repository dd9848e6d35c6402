"""What a storyboard says of the files that change a model: LoRAs, sweeps of them, embeddings, hypernetworks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, Tag, WithJsonSchema, model_validator

from renderer.reading.authoring import LIST, MAPPING, TEXT, Authored, describe, one_of_forms, refuse
from renderer.reading.values import Number, Strength, Text, Whole, check_each_once

MAX_SWEPT = 100
"""Most strengths, and most steps, of a sweep: more than anyone compares by eye."""

TrainingStep = Annotated[Whole, Field(ge=1, le=10_000_000)]
FileName = Annotated[Text, Field(min_length=1)]


class LoraEntry(Authored):
    """A LoRA with more than its name."""

    name: FileName = Field(description="Its name in a LoRA folder, or its path relative to this file.")
    strength: Strength = Field(1.0, description="How strongly it is applied: 1 is exactly as trained, 0 not at all.")
    step: TrainingStep | None = Field(
        None, description="Not the finished LoRA but what it was at this step of its training: NAME.steps/STEP."
    )
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
    Annotated[FileName, Tag(TEXT)] | Annotated[LoraEntry, Tag(MAPPING)],
    one_of_forms("a LoRA's name, or {name: …, strength: …}"),
]
Loras = tuple[LoraForm, ...]


class ReplaceLoras(Authored):
    """LoRAs that take the place of the board's."""

    replace: Loras = Field(description="Used instead of the LoRAs of the whole story.")


LorasForm = Annotated[
    Annotated[Loras, Tag(LIST)] | Annotated[ReplaceLoras, Tag(MAPPING)],
    one_of_forms("a list of LoRAs, or {replace: [a list of LoRAs]}"),
]

Embeddings = tuple[FileName, ...]


class ReplaceEmbeddings(Authored):
    """Embeddings that take the place of the board's."""

    replace: Embeddings = Field(description="Used instead of the embeddings of the whole story.")


EmbeddingsForm = Annotated[
    Annotated[Embeddings, Tag(LIST)] | Annotated[ReplaceEmbeddings, Tag(MAPPING)],
    one_of_forms("a list of embeddings' names, or {replace: [a list of names]}"),
]


class HypernetworkEntry(Authored):
    """A hypernetwork with more than its name."""

    name: FileName = Field(description="Its name in a LoRA folder, or its path relative to this file.")
    strength: Strength = Field(1.0, description="How strongly it is applied: 1 is exactly as trained, 0 not at all.")


HypernetworkForm = Annotated[
    Annotated[FileName, Tag(TEXT)] | Annotated[HypernetworkEntry, Tag(MAPPING)],
    one_of_forms("a hypernetwork's name, or {name: …, strength: …}"),
]
Hypernetworks = tuple[HypernetworkForm, ...]


class ReplaceHypernetworks(Authored):
    """Hypernetworks that take the place of the board's."""

    replace: Hypernetworks = Field(description="Used instead of the hypernetworks of the whole story.")


HypernetworksForm = Annotated[
    Annotated[Hypernetworks, Tag(LIST)] | Annotated[ReplaceHypernetworks, Tag(MAPPING)],
    one_of_forms("a list of hypernetworks, or {replace: [a list of hypernetworks]}"),
]


def _strengths(strengths: tuple[float, ...]) -> tuple[float, ...]:
    check_each_once("strength", strengths)
    return strengths


def _steps(steps: tuple[int, ...]) -> tuple[int, ...]:
    check_each_once("step", steps)
    return steps


def _strength_or_step(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": ["strength"]}, {"required": ["step"]}]


class SweepEntry(Authored):
    """A LoRA tried out: a take for each seed, strength and step, to choose from by eye."""

    model_config = ConfigDict(json_schema_extra=_strength_or_step)

    lora: FileName = Field(description="The LoRA's name in a LoRA folder, or its path relative to this file.")
    strength: (
        Annotated[tuple[Strength, ...], Field(min_length=1, max_length=MAX_SWEPT), AfterValidator(_strengths)] | None
    ) = Field(None, description="The strengths to try, such as [0, 0.5, 1]. Default: the one it has in `loras`, or 1.")
    step: (
        Annotated[tuple[TrainingStep, ...], Field(min_length=1, max_length=MAX_SWEPT), AfterValidator(_steps)] | None
    ) = Field(None, description="The steps of its training to try, such as [100, 200]. Default: the finished LoRA.")

    @model_validator(mode="after")
    def _tries_something(self) -> SweepEntry:
        if self.strength is None and self.step is None:
            raise refuse("there is nothing to try.", "Give strength: […], step: […], or both.")
        return self


def _none(text: str) -> str:
    if text != "none":
        raise refuse(
            f"expected {_SWEEP_FORMS}, got {describe(text)}.", f"Write {{lora: {text}, strength: [0, 0.5, 1]}}."
        )
    return text


_SWEEP_FORMS = "{lora: …, strength: […], step: […]}, or none where the story has one"
NoSweep = Annotated[str, AfterValidator(_none), WithJsonSchema({"type": "string", "enum": ["none"]})]
SweepForm = Annotated[
    Annotated[NoSweep, Tag(TEXT)] | Annotated[SweepEntry, Tag(MAPPING)],
    one_of_forms(_SWEEP_FORMS),
]

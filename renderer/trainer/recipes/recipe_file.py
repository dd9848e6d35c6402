"""The recipe file as it is written: its keys and their limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field

from renderer.kolors.hypernetworks import Activation
from renderer.reading.authoring import Authored
from renderer.reading.name import MAX_ID
from renderer.reading.values import Flag, Guidance, Name, Number, Prompt, Seed, Steps, Text, Whole
from renderer.trainer.recipes.forms import (
    EMPTY_IS_DEFAULT,
    MAX_STEPS,
    Count,
    Crop,
    Devices,
    ImageSize,
    Init,
    Kind,
    Optimizer,
    Process,
    Schedule,
    Share,
    TrainPrecision,
    TriggerWords,
    Word,
    not_both,
)


class DataEntry(Authored):
    """Where the pictures and their captions come from."""

    model_config = ConfigDict(json_schema_extra=not_both("folder", "modelscope"))

    folder: Word | None = Field(
        None, description="A folder of pictures, relative to the recipe, with metadata.csv, metadata.jsonl or NAME.txt."
    )
    modelscope: Word | None = Field(
        None, description="A data set on ModelScope, such as AI-ModelScope/lowres_anime, instead of a folder."
    )
    subset: Word = Field("default", description="Which subset of the ModelScope data set.")
    split: Word = Field("train", description="Which split of the ModelScope data set.")
    revision: Word = Field("master", description="Which revision of the ModelScope data set.")
    image: Word | None = Field(None, description="The column that names the pictures. Default: found.")
    text: Word | None = Field(None, description="The column that holds the captions. Default: found.")
    caption: Prompt | None = Field(None, description="One caption for all pictures, instead of their own.")
    limit: Count | None = Field(None, description="Use at most so many pictures, the first ones.")


class ImageEntry(Authored):
    """What the model is shown of a picture."""

    size: ImageSize | None = Field(
        None, description="WIDTHxHEIGHT in pixels, one number for a square, or an aspect. Default: the model's size."
    )
    crop: Crop = Field("center", description="Which part of a picture that has another aspect: center or random.")
    flip: Flag = Field(False, description="Whether half of the pictures, at random, are mirrored left to right.")
    buckets: Flag = Field(
        False, description="Whether pictures are grouped by aspect, each trained near its own, instead of cropped."
    )
    upscale: Flag = Field(
        False, description="Whether pictures smaller than the size are enlarged; else they are left out."
    )


class LoraEntry(Authored):
    """The layers that are trained."""

    rank: Annotated[Whole, Field(ge=1, le=1024)] = Field(16, description="Rank of the two matrices of each layer.")
    alpha: Annotated[Number, Field(gt=0, le=65536)] = Field(4.0, description="Layers count alpha / rank.")
    targets: Annotated[tuple[Word, ...], Field(min_length=1)] = Field(
        ("to_q", "to_k", "to_v", "to_out.0"), description="Names, or ends of names, of the UNet's layers to train."
    )
    init: Init = Field("kaiming", description="How the first matrix begins (the second begins at 0).")
    dora: Flag = Field(False, description="Whether each layer's magnitude is trained apart from its direction (DoRA).")


class TrainEntry(Authored):
    """How it is trained. Of a loaded recipe, `steps` is what will be trained, `epochs` as it was written."""

    model_config = ConfigDict(json_schema_extra=not_both("steps", "epochs"))

    steps: Count = Field(500, description="Steps of the optimizer in all.")
    epochs: Count | None = Field(None, description="Instead of steps: so many times steps_per_epoch.")
    steps_per_epoch: Count = Field(500, description="Steps that count as an epoch.")
    batch: Annotated[Whole, Field(ge=1, le=4096)] = Field(1, description="Pictures looked at together.")
    accumulate: Annotated[Whole, Field(ge=1, le=4096)] = Field(1, description="Batches to each step of the optimizer.")
    learning_rate: Annotated[Number, Field(gt=0, le=10)] = Field(
        1.0e-4, description="The highest learning rate. Prodigy finds its own: 1.0."
    )
    schedule: Schedule = Field("constant", description="How the learning rate goes on after the warm-up.")
    cycles: Annotated[Whole, Field(ge=1, le=10_000)] = Field(1, description="How often cosine-restarts begins.")
    warmup: Annotated[Whole, Field(ge=0, le=MAX_STEPS)] = Field(
        0, description="Steps in which the learning rate rises from 0."
    )
    optimizer: Optimizer = Field("adamw", description="adamw, adamw8bit (CUDA only), or prodigy.")
    weight_decay: Annotated[Number, Field(ge=0, le=1)] = Field(0.01, description="Weight decay of the optimizer.")
    clip: Annotated[Number, Field(ge=0, le=1e6)] = Field(
        1.0, description="Longest gradient of a step, as its norm; 0: as long as it comes."
    )
    precision: TrainPrecision = Field("auto", description="auto: fp16-mixed on CUDA, fp32 elsewhere.")
    gradient_checkpointing: Flag = Field(True, description="Whether memory is saved by computing some things twice.")
    seed: Seed = Field(0, description="Decides noise, order, crops, flips and initial weights.")
    min_snr: Annotated[Number, Field(gt=0, le=1000)] | None = Field(
        None, description="Gamma of the min-SNR weighting, such as 5. Default: all timesteps weigh the same."
    )
    noise_offset: Annotated[Number, Field(ge=0, le=1)] = Field(
        0.0, description="How much of the noise is the same for all of a channel."
    )
    caption_dropout: Share = Field(0.0, description="Share of captions that are left out, for guidance.")
    caption_shuffle: Flag = Field(False, description="Whether the comma-separated tags of a caption are shuffled.")
    caption_keep: Annotated[Whole, Field(ge=0, le=1000)] = Field(
        0, description="How many of its first tags stay in front when a caption is shuffled."
    )
    ema: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="Decay of the moving average of the weights, such as 0.999. Default: none."
    )
    cache: Flag = Field(True, description="Whether latents and text states are computed once and kept on disk.")
    devices: Devices = Field(1, description="How many devices of this machine, auto, or a list of their numbers.")
    strategy: Word = Field("auto", description="Lightning's strategy for several devices, such as ddp.")
    num_nodes: Annotated[Whole, Field(ge=1, le=1024)] = Field(1, description="How many machines train together.")


class ValidationEntry(Authored):
    """What is held back to see how well it is learned."""

    share: Share = Field(0.0, description="Share of the pictures that are not trained on.")
    every: Count = Field(100, description="Steps from one validation to the next.")


class SamplesEntry(Authored):
    """Pictures painted while it is trained."""

    prompts: tuple[Prompt, ...] = Field((), description="A picture is painted of each.")
    negative: Text = Field("", description="What is not to be seen in them.")
    every: Count = Field(100, description="Steps from one set of pictures to the next.")
    seed: Seed = Field(0, description="Their seed, the same each time.")
    steps: Steps | None = Field(None, description="Denoising steps. Default: the model's.")
    guidance: Guidance | None = Field(None, description="Classifier-free guidance scale. Default: the model's.")


class CheckpointsEntry(Authored):
    """What is kept while it is trained."""

    every: Count = Field(100, description="Steps from one checkpoint to the next.")
    keep: Annotated[Whole, Field(ge=1, le=10_000)] = Field(2, description="How many states to resume from are kept.")
    files: Flag = Field(True, description="Whether each checkpoint also gives a file that storyboards can use.")


class DreamboothEntry(Authored):
    """The class of what is learned, shown beside it so that the model doesn't forget it."""

    class_prompt: Prompt = Field(description="What the class pictures show, such as: a girl.")
    class_folder: Word | None = Field(
        None, description="A folder of such pictures, relative to the recipe; those that it lacks are painted."
    )
    class_pictures: Annotated[Whole, Field(ge=1, le=100_000)] = Field(100, description="How many are used.")
    prior_weight: Annotated[Number, Field(ge=0, le=100)] = Field(0.7, description="How much their loss counts.")


class InversionEntry(Authored):
    """A new word for prompts."""

    token: Name = Field(description="The word; in prompts it is written <word>.")
    vectors: Count = Field(4, description="How many pieces it counts as.")
    init: Prompt | None = Field(None, description="A text that it means at first. Default: nothing known.")
    keep_norm: Flag = Field(
        False, description="Whether its vectors keep their lengths, those of known words: easier to combine."
    )


class HypernetworkEntry(Authored):
    """Small networks before the keys and values of attention, two for each width of context."""

    structure: Annotated[tuple[Annotated[Number, Field(gt=0, le=64)], ...], Field(min_length=2)] = Field(
        (1.0, 2.0, 1.0), description="Width of each layer as a multiple of the context's, from 1 to 1."
    )
    activation: Activation = Field("relu", description="Between the layers.")
    layer_norm: Flag = Field(False, description="Whether each layer is normalised.")
    dropout: Share = Field(0.0, description="Share of values that are dropped while training.")
    widths: Annotated[tuple[Count, ...], Field(min_length=1)] | None = Field(
        None, description="Which widths of context, such as [640, 1280, 2048]. Default: all of the model."
    )


def _spelled_either_way(schema: dict[str, Any]) -> None:
    schema["properties"]["license"] = schema["properties"]["licence"]


class RecipeFile(Authored):
    """What is trained, from which pictures, and how."""

    model_config = ConfigDict(json_schema_extra=_spelled_either_way)

    kind: Kind = Field("lora", description="lora (default), dreambooth, textual-inversion, or hypernetwork.")
    name: Name | None = Field(
        None,
        description=f"Its name in storyboards, up to {MAX_ID} characters, and its file's. Default: this file's name.",
    )
    model: Word = Field("kolors-mini", description="The model it is for: a name, or a folder's path.")
    title: Text = Field("", description="Its title, for its card.")
    trigger_words: TriggerWords = Field((), description="Words of a prompt that call for what is learned.")
    licence: Text = Field(
        "",
        validation_alias=AliasChoices("licence", "license"),
        description="Under what licence the result stands, such as CC0-1.0 (an SPDX identifier is best).",
    )
    data: DataEntry = Field(description="Where the pictures come from, such as {folder: pencil/}.")
    filter: tuple[Process, ...] = Field(
        (), description="Data-Juicer's process list, such as [{image_shape_filter: {min_width: 256}}]."
    )
    executor: Literal["default", "ray"] = Field("default", description="What Data-Juicer runs on: default or ray.")
    image: Annotated[ImageEntry, EMPTY_IS_DEFAULT] = Field(
        {}, validate_default=True, description="How pictures are sized, cut and mirrored."
    )
    lora: Annotated[LoraEntry, EMPTY_IS_DEFAULT] = Field(
        {}, validate_default=True, description="Rank, scale and place of the trained matrices."
    )
    train: Annotated[TrainEntry, EMPTY_IS_DEFAULT] = Field({}, validate_default=True, description="How it is trained.")
    validation: Annotated[ValidationEntry, EMPTY_IS_DEFAULT] = Field(
        {}, validate_default=True, description="What is held back to measure."
    )
    samples: Annotated[SamplesEntry, EMPTY_IS_DEFAULT] = Field(
        {}, validate_default=True, description="Pictures painted meanwhile."
    )
    checkpoints: Annotated[CheckpointsEntry, EMPTY_IS_DEFAULT] = Field(
        {}, validate_default=True, description="What is kept meanwhile."
    )
    loggers: tuple[Word, ...] = Field(
        ("csv",), description="csv, tensorboard, or another of Lightning's logger classes by its dotted name."
    )
    dreambooth: DreamboothEntry | None = Field(None, description="For kind: dreambooth.")
    inversion: InversionEntry | None = Field(None, description="For kind: textual-inversion.")
    hypernetwork: HypernetworkEntry | None = Field(None, description="For kind: hypernetwork.")

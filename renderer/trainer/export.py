"""What a training leaves behind: the LoRA file that storyboards and other programs load, and the card beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from renderer.files import file_sha256
from renderer.kolors.files.lineage import write_card as write_card_of

if TYPE_CHECKING:
    from torch import Tensor

    from renderer.kolors.lora.layers import Pair

CARD_FORMAT = 1


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """A layer's trained LoRA: its weight gains alpha/rank · up·down.

    `down` [rank, inputs] or, of a convolution, [rank, inputs, height, width]; `up` [outputs, rank] or [outputs, rank,
    1, 1]. `magnitude` [outputs] makes it a DoRA: the changed weight's rows are brought to these lengths.
    """

    down: Tensor
    up: Tensor
    alpha: float
    magnitude: Tensor | None = None

    @property
    def pair(self) -> Pair:
        """The layer as files hold it: on the CPU, no part of a training."""
        from renderer.kolors.lora.layers import Pair

        down, up = self.down.detach().cpu(), self.up.detach().cpu()
        magnitude = None
        if self.magnitude is not None:
            magnitude = self.magnitude.detach().cpu().reshape(-1, *(1,) * (down.ndim - 1))
        return Pair(down, up, self.alpha / down.shape[0], magnitude)


@dataclass(frozen=True, kw_only=True)
class LoraFacts:
    """What is known of a training's result, at the step at which it was saved; '' or empty for what isn't known.

    `base_model` is an edition such as `kolors-mini@2`, `recipe` the recipe's file name, `step` of `steps` the one that
    the file holds, `losses` means by name (`train`, `validation`), `resolution` width and height in pixels, `date` ISO
    8601 in UTC. `rank` and `alpha` are those trained with; a result that is no LoRA has none. `class_prompt`,
    `class_pictures` (how many) and `prior_weight` are DreamBooth's.
    """

    name: str
    base_model: str
    recipe: str
    recipe_digest: str
    data_digest: str
    step: int
    steps: int
    seed: int
    pictures: int
    resolution: tuple[int, int]
    kind: str = "lora"
    title: str = ""
    licence: str = ""
    trigger_words: tuple[str, ...] = ()
    losses: Mapping[str, float] = field(default_factory=dict)
    rank: int | None = None
    alpha: float | None = None
    class_prompt: str = ""
    class_pictures: int | None = None
    prior_weight: float | None = None
    date: str = ""


def write_lora(file: Path, layers: Mapping[str, TrainedLayer], facts: LoraFacts) -> str:
    """Writes the LoRA of the UNet's layers (diffusers' names) as diffusers and peft read it; the file's sha256.

    The scale alpha/rank is baked into the up halves, so that programs which expect alpha = rank are right. The same
    layers and facts give the same bytes: no clock, and not `facts.date`, is in them. Whole or not at all. Raises
    OSError.
    """
    from renderer.kolors.lora.write import write_pairs

    pairs = {name: layer.pair for name, layer in sorted(layers.items())}
    dora = any(pair.magnitude is not None for pair in pairs.values())
    file.parent.mkdir(parents=True, exist_ok=True)
    write_pairs(file, pairs, "diffusers", pairs.keys(), header_of(facts, dora))
    return file_sha256(file)


def header_of(facts: LoraFacts, dora: bool = False) -> dict[str, str]:
    """What a LoRA file's header says of its training, in kohya's words (`ss_…`) and in those of ModelSpec 1.0.

    `ss_network_alpha` is the alpha trained with; a file whose scale is baked in says so in `lora_adapter_metadata`.
    """
    model = facts.base_model.partition("@")[0]
    width, height = facts.resolution
    header = {
        "ss_base_model_version": facts.base_model,
        "ss_network_module": "networks.lora",
        "ss_network_dim": _words(facts.rank),
        "ss_network_alpha": _words(facts.alpha),
        "ss_network_args": json.dumps({"dora_wd": "True"} if dora else {}),
        "ss_output_name": facts.name,
        "ss_training_comment": facts.recipe,
        "ss_steps": str(facts.step),
        "ss_max_train_steps": str(facts.steps),
        "ss_seed": str(facts.seed),
        "ss_num_train_images": str(facts.pictures),
        "ss_num_reg_images": _words(facts.class_pictures),
        "ss_prior_loss_weight": _words(facts.prior_weight),
        "ss_resolution": f"({width}, {height})",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": f"{model}/lora",
        "modelspec.title": facts.title or facts.name,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.prediction_type": "epsilon",
        "modelspec.trigger_phrase": ", ".join(facts.trigger_words),
        "modelspec.license": facts.licence,
        "modelspec.tags": ", ".join(dict.fromkeys((model, facts.kind, "dora" if dora else "lora"))),
        "recipe_digest": facts.recipe_digest,
        "data_digest": facts.data_digest,
        "class_prompt": facts.class_prompt,
        "prior_weight": _words(facts.prior_weight),
    }
    return {name: value for name, value in header.items() if value}


def write_card(file: Path, facts: LoraFacts, sha256: str, samples: Path | None = None) -> Path:
    """Writes the card of a result beside it, as `NAME.json`: what is known of it, its sha256, its picture of samples.

    `file` is the result's own file, `samples` a picture. Whole or not at all. Returns the card's path. Raises OSError.
    """
    known = {name: value for name, value in vars(facts).items() if value not in (None, "", (), {})}
    picture = {"samples": Path(os.path.relpath(samples, file.parent)).as_posix()} if samples else {}
    return write_card_of(file, {"format": CARD_FORMAT} | known | {"sha256": sha256} | picture)


def _words(number: float | None) -> str:
    return "" if number is None else f"{number:g}"

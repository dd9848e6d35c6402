"""`kind: lora`: low-rank matrices beside the UNet's layers, by peft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from renderer.errors import TrainingError
from renderer.kolors.weights import Denoiser
from renderer.take import Take, TakeLora
from renderer.trainer.export import LoraFacts, TrainedLayer, write_lora
from renderer.trainer.kinds.kind import Kind
from renderer.trainer.recipe import Recipe

ADAPTER = "default"
"""peft's name for the one adapter there is."""


class LoraKind(Kind):
    """A LoRA, or a DoRA, of the UNet's layers that the recipe names."""

    def __init__(self, recipe: Recipe, denoiser: Denoiser) -> None:
        super().__init__(recipe, denoiser)
        _inject(recipe, denoiser.unet)
        for parameter in self.trained().values():
            parameter.data = parameter.data.float()  # peft gives them the type of the layers beside them

    def trained(self) -> dict[str, nn.Parameter]:
        """By peft's names: `LAYER.lora_A.default.weight` and so on."""
        return {name: it for name, it in self.denoiser.unet.named_parameters() if it.requires_grad}

    def write(self, file: Path, facts: LoraFacts) -> str:
        """Writes a LoRA file as diffusers and peft read it."""
        layers = {name: it for name, it in self.denoiser.unet.named_modules() if hasattr(it, "lora_A")}
        alpha = self.recipe.lora.alpha
        return write_lora(file, {name: _trained_layer(it, alpha) for name, it in layers.items()}, facts)

    def added(self, take: Take, file: Path, sha256: str) -> Take:
        """With the LoRA at strength 1, which is exactly as trained."""
        return replace(take, loras=(TakeLora(self.recipe.name, sha256, path=file),))

    def described(self, facts: LoraFacts) -> LoraFacts:
        """With rank and alpha."""
        return replace(facts, rank=self.recipe.lora.rank, alpha=self.recipe.lora.alpha)


def _inject(recipe: Recipe, unet: nn.Module) -> None:
    """Puts peft's layers around the UNet's. Raises TrainingError where the recipe's targets are none of them."""
    from peft import LoraConfig, inject_adapter_in_model

    lora = recipe.lora
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(lora.targets),
        init_lora_weights=True if lora.init == "kaiming" else lora.init,
        use_dora=lora.dora,
    )
    try:
        inject_adapter_in_model(config, unet, ADAPTER)
    except ValueError as error:  # peft's, for names that no layer has and for layers that it can't adapt
        targets = ", ".join(lora.targets)
        raise TrainingError(
            f"{recipe.path}: lora.targets: {targets} can't be trained in this model: {error}"
        ) from error


def _trained_layer(layer: Any, alpha: float) -> TrainedLayer:  # noqa: ANN401
    """A peft layer as the export takes it."""
    magnitudes = layer.lora_magnitude_vector
    return TrainedLayer(
        down=layer.lora_A[ADAPTER].weight.detach(),
        up=layer.lora_B[ADAPTER].weight.detach(),
        alpha=alpha,
        magnitude=magnitudes[ADAPTER].weight.detach() if ADAPTER in magnitudes else None,
    )

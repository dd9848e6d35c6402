"""`kind: hypernetwork`: small networks that change what the UNet's attentions make their keys and values of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from renderer.kolors.attention import change_contexts
from renderer.kolors.hypernetwork_layers import Hypernetwork, Network, layer_sizes, write_hypernetwork
from renderer.kolors.hypernetworks import Design, context_widths
from renderer.kolors.weights import Denoiser
from renderer.take import Take, TakeHypernetwork
from renderer.trainer.export import LoraFacts
from renderer.trainer.kinds.header import stated
from renderer.trainer.kinds.kind import Kind
from renderer.trainer.recipe import Recipe
from renderer.trainer.recipes.recipe_file import HypernetworkEntry


class HypernetworkKind(Kind):
    """Two networks for each width of context, at work in the very place where the painter has them at work."""

    def __init__(self, recipe: Recipe, denoiser: Denoiser) -> None:
        super().__init__(recipe, denoiser)
        assert recipe.hypernetwork is not None, "completed gives one"
        widths = recipe.hypernetwork.widths or context_widths(recipe.model_folder)
        self.hypernetwork = first_hypernetwork(recipe.hypernetwork, sorted(widths))
        self.hypernetwork.to(next(denoiser.unet.parameters()).device)
        change_contexts(denoiser.unet, [self.hypernetwork])

    def trained(self) -> dict[str, nn.Parameter]:
        """All weights and biases, by the names that the file has."""
        return dict(self.hypernetwork.named_parameters())

    def write(self, file: Path, facts: LoraFacts) -> str:
        """Writes a hypernetwork file."""
        return write_hypernetwork(file, self.hypernetwork, stated(facts))

    def added(self, take: Take, file: Path, sha256: str) -> Take:
        """With the hypernetwork at strength 1, which is exactly as trained."""
        return replace(take, hypernetworks=(TakeHypernetwork(self.recipe.name, sha256, path=file),))


def first_hypernetwork(entry: HypernetworkEntry, widths: list[int]) -> Hypernetwork:
    """A hypernetwork as it is before it is trained: it changes nothing, bit for bit.

    As A1111 begins, with weights of a small normal distribution and biases of 0, but for the last layer that has
    values: it is 0, so that the first step's gradient moves that one alone, and the model is left from where it is.
    """
    design = Design(entry.activation, entry.layer_norm, entry.dropout)
    hypernetwork = Hypernetwork(layer_sizes(widths, entry.structure), design)
    hypernetwork.initialize("normal", torch.default_generator)
    for network in (it for it in hypernetwork.modules() if isinstance(it, Network)):
        nn.init.zeros_(network.valued()[-1].weight)
    return hypernetwork

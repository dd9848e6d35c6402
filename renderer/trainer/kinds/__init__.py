"""The kinds of training: what each trains, and what it makes of it."""

from __future__ import annotations

from collections.abc import Mapping

from renderer.trainer.kinds.dreambooth import DreamboothKind
from renderer.trainer.kinds.hypernetwork import HypernetworkKind
from renderer.trainer.kinds.kind import Kind
from renderer.trainer.kinds.lora import LoraKind
from renderer.trainer.kinds.textual_inversion import TextualInversionKind

KINDS: Mapping[str, type[Kind]] = {
    "lora": LoraKind,
    "dreambooth": DreamboothKind,
    "textual-inversion": TextualInversionKind,
    "hypernetwork": HypernetworkKind,
}
"""By the recipe's name of the kind."""

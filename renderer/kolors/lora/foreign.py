"""Why a file of weights is no LoRA for Kolors' UNet, in words."""

from __future__ import annotations

from collections.abc import Sequence

_FOREIGN = (
    (
        (".hada_", ".lokr_", ".oft_", ".diff.", ".diff_b", ".w_norm", ".b_norm"),
        "LyCORIS weights other than LoRA, not supported",
    ),
    (
        ("lora_te", "text_encoder."),
        "made for another architecture: it changes a CLIP text encoder; Kolors has ChatGLM3",
    ),
    (
        ("lora_transformer_", "double_blocks", "transformer."),
        "made for another architecture: for a diffusion transformer",
    ),
)
"""What tensors' names hold in files of other kinds, and what such a file is."""


def foreign(names: Sequence[str], unknown: Sequence[str]) -> str:
    """Why a file with these tensors, of which some are of no known spelling, is no LoRA for a UNet; '' when it is."""
    for marks, words in _FOREIGN:
        if any(mark in f"{name}." for name in names for mark in marks):
            return words
    if not unknown:
        return ""
    if len(unknown) == len(names):
        return f"not a LoRA: it holds {len(names)} plain tensors, as a full checkpoint does ({names[0]}, …)"
    return f"not a LoRA that can be used here: {len(unknown)} of its tensors are unknown ({unknown[0]}, …)"

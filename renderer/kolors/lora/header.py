"""What a LoRA file's header says of the tensors beside it, in the words of kohya, ModelSpec 1.0 and diffusers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from renderer.kolors.lora.layers import Pair
from renderer.kolors.lora.targets import Target

OF_THE_FILE = ("format", "lora_adapter_metadata", "sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256")
"""What is said of the tensors and not of the training: written anew with the tensors."""
_IMPLEMENTATION: dict[Target, str] = {"kohya": "sgm", "diffusers": "diffusers", "diffsynth1": ""}


def header_for(to: Target, pairs: Mapping[str, Pair], metadata: Mapping[str, str], sha256: str) -> dict[str, str]:
    """The whole header of a safetensors file: `metadata`, which is of the training, and what is said of the tensors.

    `sha256` is that of the tensors' bytes, which kohya's trainer and ModelSpec name files by.
    """
    header = of_training(metadata) | {"format": "pt", "sshs_model_hash": sha256}
    if "modelspec.sai_model_spec" in header:
        header |= {"modelspec.hash_sha256": f"0x{sha256}", "modelspec.implementation": _IMPLEMENTATION[to]}
    if to == "diffusers":
        config = {f"unet.{name}": value for name, value in _peft_config(pairs).items()}
        return header | {"lora_adapter_metadata": json.dumps(config, sort_keys=True)}
    alphas = {stated_alpha(pair, alpha_of(pairs, metadata)) for pair in pairs.values()}
    network = {"ss_network_module": "networks.lora", "ss_network_alpha": _one(alphas)}
    return network | {"ss_network_dim": _one({pair.rank for pair in pairs.values()})} | header


def of_training(metadata: Mapping[str, str]) -> dict[str, str]:
    """Of a file's header what stays true when the file is written in another spelling."""
    return {name: value for name, value in metadata.items() if name not in OF_THE_FILE}


def alpha_of(pairs: Mapping[str, Pair], metadata: Mapping[str, str]) -> float:
    """The alpha that a LoRA with a baked scale was trained with, as its header tells in kohya's words; else its rank.

    One for all layers, of whatever rank: diffusers mistakes kohya's alphas where they differ.
    """
    with suppress(KeyError, ValueError):
        alpha = float(metadata["ss_network_alpha"])
        if 0 < alpha < math.inf:
            return alpha
    return float(_common_rank(pairs))


def stated_alpha(pair: Pair, baked: float) -> float:
    """What a kohya file says of a layer: its own alpha, or `baked` where its scale is baked into the halves."""
    return baked if pair.scale == 1 else pair.scale * pair.rank


def _peft_config(pairs: Mapping[str, Pair]) -> dict[str, Any]:
    """What peft's LoraConfig is made of: alpha = rank everywhere, in layers of another rank too."""
    ranks = {layer: pair.rank for layer, pair in pairs.items()}
    rank = _common_rank(pairs)
    others = {f"^{layer}": own for layer, own in sorted(ranks.items()) if own != rank}
    return {
        "r": rank,
        "lora_alpha": rank,
        "target_modules": sorted(ranks),
        "use_dora": any(pair.magnitude is not None for pair in pairs.values()),
        "rank_pattern": others,
        "alpha_pattern": others,
    }


def _common_rank(pairs: Mapping[str, Pair]) -> int:
    return Counter(pair.rank for pair in pairs.values()).most_common(1)[0][0]


def _one(values: Collection[float]) -> str:
    """The only one; kohya's word where they differ."""
    return f"{next(iter(values)):g}" if len(values) == 1 else "Dynamic"

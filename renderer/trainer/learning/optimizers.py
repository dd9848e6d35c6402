"""The optimizers that a recipe may name."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stdout

import torch
from torch import nn

from renderer.errors import TrainingError
from renderer.trainer.recipes.recipe_file import TrainEntry


def make_optimizer(
    train: TrainEntry, parameters: Iterable[nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """The recipe's optimizer for these parameters. Raises TrainingError where this machine can't have it."""
    if train.optimizer == "prodigy":
        return _prodigy(train, parameters)
    if train.optimizer == "adamw8bit":
        return _adamw8bit(train, parameters, device)
    return torch.optim.AdamW(parameters, lr=train.learning_rate, weight_decay=train.weight_decay)


def _prodigy(train: TrainEntry, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Prodigy, set as its authors advise for diffusion models (https://github.com/konstmish/prodigy)."""
    try:
        from prodigyopt import Prodigy
    except ImportError as error:
        raise TrainingError("train.optimizer: prodigy needs a package. Run: pip install prodigyopt") from error
    with redirect_stdout(io.StringIO()):  # where it says that weight decay is decoupled
        optimizer: torch.optim.Optimizer = Prodigy(
            parameters,
            lr=train.learning_rate,
            weight_decay=train.weight_decay,
            use_bias_correction=True,
            safeguard_warmup=True,
        )
    return optimizer


def _adamw8bit(train: TrainEntry, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    if device.type != "cuda":
        raise TrainingError(
            f"train.optimizer: adamw8bit needs an NVIDIA GPU, and this training runs on {device.type}. Choose adamw."
        )
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise TrainingError("train.optimizer: adamw8bit needs a package. Run: pip install bitsandbytes") from error
    optimizer: torch.optim.Optimizer = AdamW8bit(parameters, lr=train.learning_rate, weight_decay=train.weight_decay)
    return optimizer

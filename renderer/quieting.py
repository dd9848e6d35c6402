"""Lightning and torch's compiler without their advice, which is for programmers."""

from __future__ import annotations

import logging
import warnings


def quieten_lightning() -> None:
    """Errors are told as ever; advice on loggers, workers and devices is not."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")


def quieten_compiler() -> None:
    """Without a GPU it warns that there is none, wherever CUDA's files lie."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)

"""Lightning without its advice, which is for programmers."""

from __future__ import annotations

import logging
import warnings


def quieten_lightning() -> None:
    """Errors are told as ever; advice on loggers, workers and devices is not."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")

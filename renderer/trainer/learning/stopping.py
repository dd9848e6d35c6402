"""Ctrl-C and SIGTERM: the step in hand is finished and saved, then the training ends."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import lightning

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop(lightning.Callback):
    """Ends a training after a step when it is asked to; first among the callbacks, which may ask whether it `asked`."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def signals_kept(self) -> Iterator[None]:
        """Afterwards Ctrl-C and SIGTERM are what they were before."""
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            yield
        finally:
            if _in_main_thread():
                for number, handler in before.items():
                    signal.signal(number, handler)

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Takes the signals from Lightning, which would drop the step in hand."""
        if _in_main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._ask)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: object, batch: int, batch_idx: int
    ) -> None:
        """Ends the training if any of its processes was asked to."""
        self.asked = trainer.strategy.reduce_boolean_decision(self.asked, all=False)
        trainer.should_stop = trainer.should_stop or self.asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        log.info("stopping after this step")


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

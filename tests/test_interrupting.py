"""Ctrl-C while a file is in hand, or something is imported that would swallow it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import pytest

from renderer.interrupting import interrupts_held

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends itself a signal")


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_waits_for_the_file_in_hand():
    order = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        order.append("finished")
    assert order == ["finished"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_comes_when_the_block_ends_and_is_not_swallowed():
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        with suppress(BaseException):
            press()
        reached.append(True)
    assert reached and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_afterwards_it_comes_at_once():
    with interrupts_held():
        pass
    with pytest.raises(KeyboardInterrupt):
        press()


def test_an_error_inside_stays_what_it_is_unless_there_was_an_interrupt():
    with pytest.raises(ZeroDivisionError), interrupts_held():
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        press()
        raise ZeroDivisionError


def test_handlers_of_others_and_other_threads_are_left_alone():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with interrupts_held():
            press()
            assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
    entered = []

    def elsewhere():
        with interrupts_held():
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert entered == [before]

"""Work beside other work: in order, whole, and with its errors told."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from renderer.painting.beside import Beside


def test_all_is_done_in_order_when_the_block_ends():
    done = []
    with Beside(done.append, waiting=2) as beside:
        for number in range(50):
            beside.put(number)
    assert done == [*range(50)]


def test_it_is_another_thread_that_works_while_this_one_goes_on():
    may, seen = threading.Event(), []

    def work(item):
        assert may.wait(10)
        seen.append(threading.current_thread())

    with Beside(work) as beside:
        beside.put(1)
        beside.put(2)
        assert seen == []
        may.set()
    assert len(seen) == 2 and threading.current_thread() not in seen


def test_no_more_than_a_few_items_wait():
    may, put = threading.Event(), []

    def hand_over(beside):
        for number in range(10):
            beside.put(number)
            put.append(number)

    with Beside(lambda _: may.wait(10), waiting=3) as beside:
        hand = threading.Thread(target=hand_over, args=(beside,))
        hand.start()
        hand.join(0.2)
        assert len(put) <= 4  # three wait, one is in hand
        may.set()
        hand.join()
    assert len(put) == 10


def test_an_error_ends_the_work_and_comes_out():
    done = []

    def work(item):
        if item == 1:
            raise OSError("full")
        done.append(item)

    with pytest.raises(OSError, match="full"), Beside(work, waiting=1) as beside:
        for number in range(100):
            beside.put(number)
            time.sleep(0.001)
    assert done == [0]


def test_an_error_at_the_last_item_comes_out_of_the_block():
    with pytest.raises(ZeroDivisionError), Beside(lambda item: 1 / item) as beside:
        beside.put(0)


def test_after_ctrl_c_what_was_handed_over_is_done():
    done = []

    def work(item):
        time.sleep(0.02)
        done.append(item)

    with pytest.raises(KeyboardInterrupt), Beside(work) as beside:
        for number in range(5):
            beside.put(number)
        raise KeyboardInterrupt
    assert done == [*range(5)]


def test_a_second_ctrl_c_loses_nothing_either():
    done = []

    def work(item):
        if item == 0:
            threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        time.sleep(0.1)
        done.append(item)

    with Beside(work) as beside:
        for number in range(3):
            beside.put(number)
    assert done == [0, 1, 2]

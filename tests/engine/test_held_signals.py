"""Signals that wait, and that wait no longer than they should."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from ocibuild_core.engine.held_signals import signals_held


class CameError(Exception):
    """The signal was handled."""


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    def come(*_: object) -> None:
        raise CameError

    before = signal.signal(signal.SIGUSR1, come)
    yield
    assert signal.signal(signal.SIGUSR1, before) is come


def send() -> None:
    """To the process: any of its threads may get it."""
    os.kill(os.getpid(), signal.SIGUSR1)


def test_one_that_comes_meanwhile_is_handled_at_the_end_whichever_thread_gets_it() -> None:
    done: list[str] = []
    idle = threading.Event()
    other = threading.Thread(target=idle.wait)
    other.start()

    def interrupted() -> None:
        with signals_held((signal.SIGUSR1,)):
            send()
            done.extend("a step" for _ in range(1000))

    try:
        with pytest.raises(CameError):
            interrupted()
    finally:
        idle.set()
        other.join()
    assert len(done) == 1000


def test_an_error_of_the_block_counts_more() -> None:
    def fails() -> None:
        with signals_held((signal.SIGUSR1,)):
            send()
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        fails()


def test_what_is_ignored_stays_so() -> None:
    """A program that is started meanwhile would not have it from a handler."""
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with signals_held((signal.SIGUSR2,)):
            assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_elsewhere_than_in_the_main_thread_nothing_is_done() -> None:
    found = []

    def run() -> None:
        with signals_held((signal.SIGUSR1,)):
            found.append(signal.getsignal(signal.SIGUSR1))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert callable(found[0])

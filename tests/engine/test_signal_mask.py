"""Signals that wait, and that wait no longer than they should."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from ocibuild_core.engine.signal_mask import signals_blocked


class CameError(Exception):
    """The signal was handled."""


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    def come(*_: object) -> None:
        raise CameError

    before = signal.signal(signal.SIGUSR1, come)
    yield
    signal.signal(signal.SIGUSR1, before)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_one_that_comes_meanwhile_is_handled_at_the_end() -> None:
    done = []

    def interrupted() -> None:
        with signals_blocked((signal.SIGUSR1,)):
            os.kill(os.getpid(), signal.SIGUSR1)
            done.append("all of it")

    with pytest.raises(CameError):
        interrupted()
    assert done == ["all of it"]


def test_a_handler_that_raises_as_the_block_begins_leaves_nothing_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python runs what is due within the call that blocks; the kernel's part of that is done by then."""
    block = signal.pthread_sigmask

    def come(how: int, numbers: object) -> object:
        before = block(how, numbers)  # type: ignore[arg-type]
        if how == signal.SIG_BLOCK and numbers:
            monkeypatch.undo()
            raise CameError
        return before

    monkeypatch.setattr(signal, "pthread_sigmask", come)
    with pytest.raises(CameError), signals_blocked((signal.SIGTERM,)):
        pytest.fail("it was to raise")

"""Signals as an exception, so that whatever is open is closed on the way out."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):  # like KeyboardInterrupt
    """A signal asked us to end. No `Exception`: nothing may take it for a failure of its own.

    Args:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What the shell expects of a program that a signal ended."""
        return 128 + self.number


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` at the first of `SIGNALS`; the clean-up that follows is not disturbed by further ones.

    For the main thread. A signal that whoever started us has switched off (`nohup`) stays off.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    active = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in active:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    for number in active:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in active:
            signal.signal(number, before[number])

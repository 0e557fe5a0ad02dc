"""Signals that wait while something is done that none of their handlers may tear apart."""

from __future__ import annotations

import signal
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that ask us to end."""


@contextmanager
def signals_held(numbers: Collection[int]) -> Iterator[None]:
    """Let the handlers of these signals wait until the block ends.

    The kernel's mask of this thread would not do: another thread gets the signal then, and Python runs the handler in
    the main thread all the same. What has no handler of Python's is left as it is; so are all in another thread, where
    none runs.
    """
    came: list[int] = []
    before = {}
    try:
        for number in numbers:
            handler = signal.getsignal(number)
            if callable(handler):
                try:
                    signal.signal(number, lambda number, _frame: came.append(number))
                except ValueError:
                    break  # not the main thread
                before[number] = handler
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)

"""Signals that wait while something is done that none of them may tear apart."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@contextmanager
def signals_blocked(numbers: Collection[int]) -> Iterator[None]:
    """Let these signals wait until the block ends.

    Python runs the handlers that are due within the very call that blocks, and they may raise: that must not leave the
    signals blocked for ever.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

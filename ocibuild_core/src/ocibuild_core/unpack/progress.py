"""Says how far long work is: nothing about what is over in a few seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERVAL = 5.0
_MEGABYTE = 1_000_000


class Progress:
    """Tells people every few seconds.

    Args:
        tell: takes a line.
        total: bytes to be read.
        monotonic: seconds that never go back.
    """

    def __init__(
        self, tell: Callable[[str], None], total: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._total = total
        self._monotonic = monotonic
        self._next = monotonic() + _INTERVAL

    def at(self, done: int, layer: str) -> None:
        """So many bytes are read. Cheap enough for every piece."""
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL
        self._tell(f"unpacking: {done // _MEGABYTE} of {self._total // _MEGABYTE} MB, {layer}")

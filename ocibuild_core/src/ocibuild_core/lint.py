"""Counts the warnings of `--check` in what BuildKit prints: its exit code does not tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MARK = b"\nWARNING: "
"""How each begins (frontend/subrequests/lint in moby/buildkit)."""


class WarningCount:
    """Hands output on, and counts.

    Args:
        take: takes the output.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._end = b"\n"
        self.found = 0

    def take(self, piece: bytes) -> None:
        """A piece of output, cut anywhere."""
        seen = self._end + piece
        self.found += seen.count(_MARK)
        # Shorter than the mark, so that none is counted twice.
        self._end = seen[-(len(_MARK) - 1) :]
        self._take(piece)

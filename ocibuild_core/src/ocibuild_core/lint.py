"""What `--check` asks BuildKit, and what its exit code does not tell: warnings, and a Dockerfile that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINT, _OUTLINE = "requestid=frontend.lint", "requestid=frontend.outline"
"""Options of the frontend (frontend/subrequests in moby/buildkit)."""
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


def outline_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments of a check, made those of an outline, which fails where the Dockerfile cannot be built at all.

    A check succeeds there without a word: its result has the error, and buildctl shows the warnings alone.
    """
    return [_OUTLINE if argument == LINT else argument for argument in arguments]

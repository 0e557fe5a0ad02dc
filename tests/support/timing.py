"""Requirements that are times, on machines that may be busy with something else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_TRIES = 3


def within(seconds: float, attempt: Callable[[], _T]) -> _T:
    """What `attempt` gives; it takes at most so long, in one of three tries at least."""
    for _ in range(_TRIES):
        began = time.monotonic()
        found = attempt()
        took = time.monotonic() - began
        if took < seconds:
            return found
    raise AssertionError(f"it took {took:.1f} s, not {seconds:g}, in the last of {_TRIES} tries")

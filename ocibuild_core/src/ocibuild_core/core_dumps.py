"""Core dumps: none of a process that knows secrets. A build's would lie in its context."""

from __future__ import annotations

import resource

_before: list[tuple[int, int]] = []


def forbid_core_dumps() -> None:
    """For this process and, unless they allow them again, its children."""
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    _before.append(limits)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))


def allow_core_dumps_again() -> None:
    """As far as they were when this program was started: for a child of whose steps the user may want them."""
    if _before:
        resource.setrlimit(resource.RLIMIT_CORE, _before[0])

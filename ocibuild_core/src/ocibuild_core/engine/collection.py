"""Keeping to the cache's limit although every build is short.

BuildKit collects garbage a second after its start and a second after a build (control/control.go in moby/buildkit). A
daemon that ends with its build may never live that long, so after some such runs it is told to.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.engine.config import reserved_space

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_LONG_ENOUGH = 2.0
"""Seconds after which the daemon has had its chance."""
_PATIENCE = 10
"""Short runs in a row before it is told; that costs the build that does it some 50 ms."""
_MEGABYTE = 10**6


def is_due(counter: Path, lived: float) -> bool:
    """Count a run; whether it is time. Then, and after a long run, counting begins anew.

    Where it cannot be counted, as on a full disk, it is time, too.

    Args:
        counter: a file of the state directory; its size is the count.
        lived: seconds that the daemon was ready.
    """
    try:
        return _count(counter, lived)
    except OSError:
        return True


def _count(counter: Path, lived: float) -> bool:
    if lived > _LONG_ENOUGH:
        counter.unlink(missing_ok=True)
        return False
    fd = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b".")
        is_time = os.fstat(fd).st_size >= _PATIENCE
    finally:
        os.close(fd)
    if is_time:
        counter.unlink(missing_ok=True)
    return is_time


def has_secret_history(cache_types: Collection[str]) -> bool:
    """Whether the daemon writes a secret into its history.

    buildctl sends the token of GitHub's cache as an attribute of the import (cmd/buildctl/build/util.go), and the
    history keeps attributes. Pruned records stay in their file's free pages, so that the file has to go, too.
    """
    return "gha" in cache_types


def prune_arguments(max_cache: int) -> list[str]:
    """The arguments of `buildctl` that hold the cache to its limit (cmd/buildctl/prune.go; it counts in megabytes)."""
    return [
        "prune",
        f"--keep-storage={max_cache / _MEGABYTE}",
        f"--keep-storage-min={reserved_space(max_cache) / _MEGABYTE}",
    ]

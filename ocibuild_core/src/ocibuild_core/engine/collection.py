"""Keeping to the cache's limit, at the end of a build.

BuildKit would collect garbage a second after its start and after each build (control/control.go in moby/buildkit). To
count, it holds every cache mount that was used since it counted last, and a step that wants a mount which is held gets
a new, empty one (`getRefCacheDirNoCache` in solver/llbsolver/mounts/mount.go). With a daemon that lives as long as its
build, that is just when the steps run. So ours is told to leave it, and asked for it when no step runs any more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ocibuild_core.engine.config import reserved_space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_PATIENCE = 10
"""Seconds of building after which it is time, each run one at least. Collecting takes some 50 ms."""
_PATIENCE_WHEN_SHORT = 3
"""The same where the disk is nearly full. Not at once: many are so for years, by what is not ours."""
_LEAST_FREE = 0.1
"""The free part of the disk below which it is nearly full; BuildKit is told of the same (`minFreeSpace`)."""
_MEGABYTE = 10**6
_POLICY = frozenset(("gc", "gcpolicy", "gckeepstorage", "reservedSpace", "maxUsedSpace", "minFreeSpace"))


def has_policy(extra: Mapping[str, object], max_cache: int) -> bool:
    """Whether the user's own tables of buildkitd.toml say how to collect, more than our limit does.

    Then it is BuildKit's business alone, as there.
    """
    worker = extra.get("worker")
    oci = worker.get("oci") if isinstance(worker, Mapping) else None
    said = oci if isinstance(oci, Mapping) else {}
    return any(key in _POLICY and (key, value) != ("maxUsedSpace", str(max_cache)) for key, value in said.items())


def is_due(counter: Path, lived: float) -> bool:
    """Count a run; whether it is time. Then counting begins anew.

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
    fd = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b"." * min(max(1, int(lived)), _PATIENCE))
        disk = os.fstatvfs(fd)
        is_short = disk.f_bavail < disk.f_blocks * _LEAST_FREE
        is_time = os.fstat(fd).st_size >= (_PATIENCE_WHEN_SHORT if is_short else _PATIENCE)
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

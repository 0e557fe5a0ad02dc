"""The control groups of a daemon's containers: found by their unique parent, emptied, removed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "ocibuild-"
_PATIENCE = 1.0
"""Seconds for killed processes to leave their group."""


def parent_name(identifier: str) -> str:
    """The cgroup below which a run's containers are; `identifier` is the name of its runtime directory."""
    return f"{_PREFIX}{identifier}"


def missing_groups(parent: str) -> tuple[Path, ...]:
    """The groups that steps below `parent` will make, because they are not there yet; the outermost of each hierarchy.

    BuildKit joins the parent, `buildkit` and a step's own name (executor/oci/spec.go).
    """
    way = Path(os.path.normpath(f"/{parent.lstrip('/')}/buildkit")).relative_to("/")
    groups = ([each / part for part in (*reversed(way.parents[:-1]), way)] for each in _hierarchies())
    return tuple(next(group for group in some if not group.exists()) for some in groups if not some[-1].exists())


def remove_empty_groups(groups: Sequence[Path]) -> None:
    """Remove these and all below, as far as nobody is in there."""
    deadline = time.monotonic() + _PATIENCE
    for group in groups:
        while not _remove_directories(group) and time.monotonic() < deadline:
            time.sleep(0.005)


def remove_groups(name: str) -> None:
    """Kill what is left in the groups of that name, in every hierarchy, and remove them."""
    deadline = time.monotonic() + _PATIENCE
    for group in _groups_named(name):
        while not _remove_tree(group) and time.monotonic() < deadline:
            time.sleep(0.005)


def _groups_named(name: str) -> Iterator[Path]:
    yield from (group for group in (each / name for each in _hierarchies()) if group.is_dir())


def _hierarchies() -> list[Path]:
    """The unified one, and those of each controller of version 1 (cgroups(7))."""
    try:
        return [ROOT, *(Path(entry.path) for entry in os.scandir(ROOT) if entry.is_dir(follow_symlinks=False))]
    except OSError:
        return []


def _remove_tree(group: Path) -> bool:
    """Remove a group and those below, deepest first; False while something still lives in there."""
    _kill_all(group)
    return _remove_directories(group)


def _remove_directories(group: Path) -> bool:
    is_gone = True
    for directory, _, _ in os.walk(group, topdown=False):
        try:
            Path(directory).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            is_gone = False
    return is_gone


def _kill_all(group: Path) -> None:
    try:
        # Version 2 since Linux 5.14; takes everything below along, forks included.
        (group / "cgroup.kill").write_text("1")
    except OSError:
        pass
    else:
        return
    for directory, _, _ in os.walk(group):
        try:
            members = Path(directory, "cgroup.procs").read_text().split()
        except OSError:
            continue
        for member in members:
            _kill(int(member))


def _kill(process: int) -> None:
    try:
        # 0 stands for a process that this namespace cannot see; to kill(2) it would mean our own group.
        if process > 0:
            os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass

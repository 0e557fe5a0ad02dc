"""Whether there is a place for the engine's state, of a kind that overlayfs takes, with room in it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.auth.private_dir import private_directory
from ocibuild_core.doctor.checks import failure, fine, warning
from ocibuild_core.engine.config import reserved_space
from ocibuild_core.engine.settings import DEFAULT_MAX_CACHE
from ocibuild_core.errors import EngineError
from ocibuild_core.places import free_bytes, is_directory, working_directory
from ocibuild_core.settings.values import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_core.diagnostics import Finding
    from ocibuild_core.doctor.attempts import StateReport
    from ocibuild_core.doctor.scene import Scene

_LEAST_STATE = 200 * 10**6
"""Bytes below which hardly a base image fits."""
_LEAST_TEMPORARY = 16 * 10**6
"""Bytes for what a build writes there: sockets, settings, notes. Images go elsewhere."""
_LEAST_INODES = 10_000
"""Files of a small base image."""
_ELSEWHERE = "choose a directory on ext4, xfs or tmpfs with --state-dir, or mount a volume on /scratch"


def look_at_state(scene: Scene) -> Iterator[Finding]:
    """Which directory the engine takes. Raises EngineError where none will do."""
    if isinstance(scene.state, str):
        yield failure(
            "the state directory could not be looked at",
            why=scene.state,
            do="choose one with --state-dir, on a file system that answers",
        )
        return
    if "summary" in scene.state:
        raise EngineError(
            scene.state["summary"], why=scene.state["why"], tried=scene.state["tried"], do=scene.state["do"]
        )
    if scene.state["notice"]:
        yield warning(scene.state["notice"], do=scene.state["remedy"])
        return
    yield fine(f"{scene.state['path']} keeps the cache")


def look_at_overlay(scene: Scene) -> Iterator[Finding]:
    """overlayfs, mounted in the state directory."""
    report = _report(scene)
    if report is None:
        yield fine("not tried without a state directory")
        return
    if isinstance(scene.namespaces, str) or scene.namespaces["user"] or scene.namespaces["mounts"]:
        yield fine("not tried where namespaces and mounts are refused")
        return
    kind = _file_system(scene, Path(report["path"]))
    if not report["overlay"]:
        yield fine(f"works in {report['path']} ({kind})")
        return
    yield warning(
        f"overlayfs does not work in {report['path']} ({kind})",
        why=f"{report['overlay']}\nBuildKit copies whole trees instead: that takes longer and more room",
        do=_ELSEWHERE,
    )


def look_at_room(scene: Scene) -> Iterator[Finding]:
    """Free bytes and files where the engine and the program write."""
    report = _report(scene)
    if report:
        least = reserved_space(DEFAULT_MAX_CACHE)
        yield _room(Path(report["path"]), _LEAST_STATE, least, do="make room there, or choose another with --state-dir")
    try:
        temporary = tempfile.gettempdir()
    except FileNotFoundError as error:
        yield failure("there is no temporary directory", why=error.strerror or str(error), do="set TMPDIR to one")
        return
    yield _room(Path(temporary), 0, _LEAST_TEMPORARY, do="make room there, or set TMPDIR to another directory")


def look_at_private_directory(scene: Scene) -> Iterator[Finding]:
    """Where a build keeps what only it may see, made and removed. Raises UsageError where no place will do."""
    with private_directory(scene.env, outside=(working_directory(), Path(scene.settings.context))) as directory:
        yield fine(f"{directory.parent} takes the build's private directory")


def _report(scene: Scene) -> StateReport | None:
    if isinstance(scene.state, str) or "summary" in scene.state:
        return None
    return scene.state


def _room(place: Path, least: int, better: int, *, do: str) -> Finding:
    """What is free in `place`: a failure below `least` bytes, a warning below `better`."""
    while not is_directory(place):
        place = place.parent  # a throw-away directory that is gone already
    found = os.statvfs(place)
    free = free_bytes(place)
    # Some file systems count no files, and say so by 0 of 0.
    is_short_of_files = bool(found.f_files) and found.f_favail < _LEAST_INODES
    text = f"{place} has {show_size(free)} free"
    if free <= least or (found.f_files and not found.f_favail):
        return failure(text if free <= least else f"{place} has room for no more files", do=do)
    if is_short_of_files:
        return warning(f"{place} has room for {found.f_favail} more files only", do=do)
    return warning(text, do=do) if free < better else fine(text)


def _file_system(scene: Scene, path: Path) -> str:
    """The type of the file system that a path is on (proc_pid_mountinfo(5))."""
    found = ("", "unknown")
    try:
        lines = (scene.proc / "self" / "mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return found[1]
    for line in lines:
        mounted, _, source = line.partition(" - ")
        point = mounted.split(" ")[4]
        # Of mounts on one point the last covers the others.
        if path.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, source.split(" ")[0])
    return found[1]

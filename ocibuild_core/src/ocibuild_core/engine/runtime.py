"""A private directory for sockets, configuration and running containers; it is gone when the run is."""

from __future__ import annotations

import os
from pathlib import Path

from ocibuild_core.engine.lease import is_private, lease_new
from ocibuild_core.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocibuild_core.engine.lease import Lease

RUN = Path("/run")
"""Root's own place for such things, and where the users' are (file-hierarchy(7))."""
_MAX_SOCKET_PATH = 107
"""Bytes of a unix socket's path, without the final NUL (unix(7), sun_path)."""
_LONGEST_SOCKET = len("/0123456789ab/rootlesskit/api.sock")


def make_runtime_directory(env: Mapping[str, str], uid: int, *, for_programs: bool = False, run: Path = RUN) -> Lease:
    """Make it in the first place that is ours, writable, and short enough for sockets.

    Args:
        env: the user's environment.
        uid: the user.
        run: see `RUN`.
        for_programs: programs will be run from there, so that it may not be mounted noexec.

    Raises:
        EngineError: no place will do.
    """
    tried: list[str] = []
    for parent in _parents(env, uid, run):
        if len(os.fsencode(parent)) + _LONGEST_SOCKET > _MAX_SOCKET_PATH:
            tried.append(f"{parent} (too long for a socket's path)")
            continue
        if for_programs and _is_noexec(parent.parent):
            tried.append(f"{parent} (mounted noexec)")
            continue
        try:
            return _lease_below(parent, uid)
        except OSError as error:
            tried.append(f"{parent} ({error.strerror or error})")
    raise EngineError(
        "no directory will do for the engine's sockets", tried=tried, do="set TMPDIR to a short, writable directory"
    )


def _parents(env: Mapping[str, str], uid: int, run: Path) -> Iterator[Path]:
    """Where a private directory may go, best first. Root's XDG_RUNTIME_DIR is often the one of who called sudo."""
    if uid == 0:
        yield run / "ocibuild"
    for directory in (env.get("XDG_RUNTIME_DIR", ""), f"{run}/user/{uid}"):
        if directory.startswith("/") and _is_owned(Path(directory), uid):
            yield Path(directory) / "ocibuild"
    for directory in (env.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108  # made private, and checked
        if directory.startswith("/"):
            yield Path(directory) / f"ocibuild-{uid}"


def _lease_below(parent: Path, uid: int) -> Lease:
    name = os.urandom(6).hex()
    try:
        _make_private(parent, uid)
        return lease_new(parent, name)
    except FileNotFoundError:
        # A run that ended just now took its empty parent away.
        _make_private(parent, uid)
        return lease_new(parent, name)


def _make_private(path: Path, uid: int) -> None:
    """Make the directory, or find it made by us and closed to everybody else. OSError otherwise."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        # Whoever made it first in a directory that all may write to could be anybody.
        if not is_private(path, uid=uid):
            raise PermissionError(0, "it is not a private directory of this user") from None


def _is_noexec(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_NOEXEC)
    except OSError:
        return False


def _is_owned(path: Path, uid: int) -> bool:
    try:
        return path.stat().st_uid == uid
    except OSError:
        return False

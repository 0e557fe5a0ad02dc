"""Directories that belong to one run, told apart from what a dead run left behind by a lock.

A lock (flock(2)) is held by the keeper, so it ends when the run does, however it ended. Process ids would not do: they
are used again, and mean nothing to another container that shares the directory.
"""

from __future__ import annotations

import fcntl
import os
import stat

from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOCK = "lock"
_UNFINISHED = ".lock-"
_MAKING = 60.0
"""Seconds that nobody takes to make a directory and its lock."""


class Lease(NamedTuple):
    """A directory that is ours for as long as `lock` is open.

    Args:
        path: the directory.
        lock: a file descriptor, not inherited over exec.
    """

    path: Path
    lock: int


def lease_new(parent: Path, name: str) -> Lease:
    """Make the directory `parent/name`, mode 0700, and hold its lock. OSError when it cannot be."""
    path = parent / name
    path.mkdir(mode=0o700)
    # Locked before it gets its name: whoever finds a lock file finds it held, or its holder dead.
    unfinished = path / f"{_UNFINISHED}{os.getpid()}"
    lock = _open_lock(unfinished)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unfinished.rename(path / _LOCK)
    return Lease(path=path, lock=lock)


def lease_existing(path: Path) -> Lease | None:
    """Hold the lock of a directory that lasts; None while another run holds it. OSError when it cannot be locked."""
    lock = _open_lock(path / _LOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return Lease(path=path, lock=lock)


def sweep(parent: Path, prefix: str, remove: Callable[[Path], None], *, uid: int, now: float) -> None:
    """Hand every directory of a dead run to `remove`. What others own or still hold is left alone.

    Args:
        parent: where the directories are; may be missing.
        prefix: the beginning of their names.
        remove: removes one; called with its lock held.
        uid: the only owner whose directories are touched.
        now: seconds since the epoch.
    """
    try:
        names = [name for name in os.listdir(parent) if name.startswith(prefix)]  # noqa: PTH208  # names, not paths
    except OSError:
        return
    for name in names:
        path = parent / name
        try:
            dead = lease_existing(path) if is_private(path, uid=uid) and _is_made(path, now) else None
        except OSError:
            continue
        if dead is None:
            continue
        try:
            remove(path)
        finally:
            os.close(dead.lock)


def is_private(path: Path, *, uid: int) -> bool:
    """Whether it is a real directory of that user that nobody else may enter. OSError when it is not there."""
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o077


def _is_made(path: Path, now: float) -> bool:
    """Whether its lock is in place; a run that died while it made the directory never gets there."""
    return (path / _LOCK).exists() or now - path.lstat().st_mtime > _MAKING


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

"""A directory of our own for the length of a build: private, short of path, swept after a crash."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MAX_SOCKET_PATH = 107
"""Bytes of a unix socket's path: `sun_path` has 108 with its final NUL (unix(7))."""

_PREFIX = "ocibuild-"
_NAME = r"ocibuild-[0-9]+-[0-9a-f]{8}(\.new)?"
_LONGEST_SOCKET = len("/ocibuild-4194304-00000000/broker.sock")
_UNMAPPED = 65534
"""The owner of what belongs to nobody in this user namespace (user_namespaces(7), overflowuid)."""

_ROOM = 32 * 1024
"""Bytes that must find room: a whole disk still takes directories and empty files. The helper is the largest part."""
_MAKING = 60.0
"""Seconds after which a directory that never got its name is nobody's."""


@contextlib.contextmanager
def private_directory(env: Mapping[str, str], *, outside: Sequence[Path]) -> Iterator[Path]:
    """A directory (0700) that is removed at the end, and by the next run if this one is killed.

    Args:
        env: for `TMPDIR` and `XDG_RUNTIME_DIR`.
        outside: directories that it must not lie in: what lies there may become part of the image.

    Raises:
        UsageError: no place will do.
    """
    refusals: list[str] = []
    for parent in parents(env):
        try:
            place = _checked_place(parent, outside)
            sweep(place)
            directory, lock = _make(place, check=_check_usable)
        except OSError as error:
            refusals.append(f"{parent} ({error.strerror})")
            continue
        try:
            yield directory
        finally:
            _remove(directory)
            os.close(lock)
        return
    raise UsageError(
        "there is no place for the build's private directory",
        tried=refusals,
        do="make room, or set TMPDIR to a writable directory outside of the working directory, with a short path",
    )


@contextlib.contextmanager
def private_tree(parent: Path) -> Iterator[Path]:
    """As `private_directory`, in this place, for whatever a user brings: however deep, however closed its parts are.

    Raises OSError where none can be made.
    """
    sweep(parent)
    directory, lock = _make(parent, check=lambda _: None)
    try:
        yield directory
    finally:
        _remove_tree(directory)
        os.close(lock)


def parents(env: Mapping[str, str]) -> list[Path]:
    """Where it may lie, in this order."""
    places = (env.get("TMPDIR"), "/tmp", env.get("XDG_RUNTIME_DIR"), "/run", "/dev/shm")  # noqa: S108  # candidates
    return list(dict.fromkeys(path for place in places if place and (path := Path(place)).is_absolute()))


def sweep(parent: Path) -> None:
    """Remove what killed processes of this user left. Nothing secret is in it; it is only untidy."""
    try:
        names = [name for name in os.listdir(parent) if name.startswith(_PREFIX)]  # noqa: PTH208  # /tmp may be full
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            if re.fullmatch(_NAME, name) and _is_stale(parent / name):
                _remove_tree(parent / name)


def _checked_place(parent: Path, outside: Sequence[Path]) -> Path:
    """The real directory, in which nobody else can put anything in the place of ours.

    Where a link leads to it, its owner could make it lead elsewhere while we are there.
    """
    real = parent.resolve(strict=True)
    # Where somebody works in `/` itself, every place lies in it and the rule says nothing.
    if any(real.is_relative_to(place) for place in map(Path.resolve, outside) if place != place.parent):
        raise OSError(errno.EINVAL, "it lies in what is built")
    _check_trust(real)
    if len(os.fsencode(real)) + _LONGEST_SOCKET > MAX_SOCKET_PATH:
        raise OSError(errno.ENAMETOOLONG, "its path is too long for a socket")
    return real


def _check_trust(place: Path) -> None:
    """Nobody else may put a directory of his own in the place of ours: it names a program that will be run."""
    for directory in (place, *place.parents):
        info = directory.stat()
        mode = info.st_mode
        if info.st_uid not in (0, os.geteuid(), _UNMAPPED):
            raise OSError(errno.EPERM, f"{directory} belongs to another user")
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            raise OSError(errno.EPERM, f"others may write to {directory}, which is not sticky")


def _make(parent: Path, *, check: Callable[[Path], None]) -> tuple[Path, int]:
    """A new directory and the descriptor that holds its lock.

    It gets its name when it is locked, so that a sweeper never sees one that only looks abandoned.
    """
    name = f"ocibuild-{os.getpid()}-{os.urandom(4).hex()}"
    unnamed = parent / f"{name}.new"
    unnamed.mkdir(mode=0o700)
    lock = -1
    try:
        check(unnamed)
        lock = os.open(unnamed, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        unnamed.rename(parent / name)
    except OSError:
        _remove(unnamed)
        if lock >= 0:
            os.close(lock)
        raise
    return parent / name, lock


def _remove(directory: Path) -> None:
    """Remove what is in there as far as that is possible: files and directories of our own making."""
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                _remove(path)
            else:
                path.unlink(missing_ok=True)
        directory.rmdir()


def _remove_tree(directory: Path) -> None:
    from ocibuild_core.unpack.removing import remove_tree  # noqa: PLC0415  # only for contexts from stdin, and strays

    with contextlib.suppress(OSError):
        remove_tree(directory)


def _check_usable(directory: Path) -> None:
    probe = directory / "probe"
    probe.touch(mode=0o700)
    probe.write_bytes(bytes(_ROOM))
    # access(2) says no for a file on a file system that is mounted noexec; a program is put here.
    if not os.access(probe, os.X_OK):
        raise OSError(errno.EACCES, "programs cannot be run there (noexec)")
    probe.unlink()


def _is_stale(directory: Path) -> bool:
    """Ours, and its lock is free: the process that made it is gone, also when it ran in another container."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        if info.st_uid != os.geteuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return not directory.name.endswith(".new") or time.time() - info.st_mtime > _MAKING

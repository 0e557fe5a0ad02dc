"""Directories of the tree, found without the kernel ever resolving a path that somebody else wrote."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Self

from ocibuild_core.unpack.errors import LayerError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is opened: itself, never what a link in its place leads to."""
_MOST_LINKS = 255  # as many as Go's filepath.EvalSymlinks follows
_MOST_OPEN = 128
_OWNER_ALL = 0o700
_UNLISTED = 0  # the time of a directory that no layer lists
_IS_NONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Directory:
    """An open directory of the tree. What is done in it must leave its time as it was, so that is put back at the end.

    Attributes:
        path: from the root, without symbolic links; empty for the root itself.
        fd: its descriptor.
        mode: the permissions that it is to have.
        mtime: the time that it is to have, in nanoseconds.
        is_changed: something was made or removed in it, or its mode or time were set.
        is_held: it stays open while other directories are opened.
        layer: the last layer that put something into it.
    """

    __slots__ = ("fd", "is_changed", "is_held", "layer", "mode", "mtime", "path")

    def __init__(self, path: bytes, fd: int, *, mode: int, mtime: int) -> None:
        self.path = path
        self.fd = fd
        self.mode = mode
        self.mtime = mtime
        self.is_changed = False
        self.is_held = False
        self.layer = -1

    def child(self, name: bytes) -> bytes:
        """The path of what is called `name` in here."""
        return self.path + b"/" + name if self.path else name

    def set_mode(self, mode: int) -> None:
        """Give it these permissions; what its owner needs to work in it goes away at the end only."""
        self.mode = mode
        self.is_changed = True
        os.fchmod(self.fd, mode | _OWNER_ALL)

    def close(self, *, is_gone: bool = False) -> None:
        """Put mode and time in place, unless it is removed anyway."""
        fd, self.fd = self.fd, -1  # whoever still uses it fails, instead of working in what has the number next
        try:
            if self.is_changed and not is_gone:
                if self.mode & _OWNER_ALL != _OWNER_ALL:
                    os.fchmod(fd, self.mode)
                os.utime(fd, ns=(self.mtime, self.mtime))
        finally:
            os.close(fd)


class Directories:
    """The directories of a tree, some of them kept open. A context manager that closes them.

    Args:
        root: descriptor of the root, which becomes its own.
    """

    def __init__(self, root: int) -> None:
        self.root = Directory(b"", root, mode=stat.S_IMODE(os.fstat(root).st_mode), mtime=_UNLISTED)
        self.root.is_changed = True
        self._open: dict[bytes, Directory] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for directory in (*self._open.values(), self.root):
            directory.close(is_gone=kind is not None)
        self._open.clear()

    def make(self, parts: Sequence[bytes]) -> Directory:
        """The directory at this path, through symbolic links inside the tree; made where it is missing.

        Raises LayerError when something else is in the way.
        """
        found = self._known(b"/".join(parts)) or self._walk(parts, may_make=True)
        if found is None:
            raise LayerError(f"{shown(b'/'.join(parts))} is no directory")
        return found

    def find(self, parts: Sequence[bytes]) -> Directory | None:
        """Like `make`, but None when there is none."""
        return self._known(b"/".join(parts)) or self._walk(parts, may_make=False)

    def child(self, parent: Directory, name: bytes) -> Directory | None:
        """The directory `name` in `parent`; None when that is something else, a symbolic link for one."""
        return self._known(parent.child(name)) or self._enter(parent, name)

    def make_child(self, parent: Directory, name: bytes) -> Directory:
        """A new directory in `parent`. FileExistsError when something has that name."""
        os.mkdir(name, 0o700, dir_fd=parent.fd)
        parent.is_changed = True
        made = self._enter(parent, name)
        if made is None:
            raise LayerError(f"{shown(parent.child(name))} vanished while it was used")
        if parent.mode & stat.S_ISGID:
            os.fchown(made.fd, -1, os.getegid())
        made.set_mode(0o755)
        made.mtime = _UNLISTED
        return made

    def forget(self, path: bytes) -> None:
        """Close the directory at this path and all below: they are removed."""
        below = path + b"/"
        for known in [one for one in self._open if one == path or one.startswith(below)]:
            self._open.pop(known).close(is_gone=True)

    def _known(self, path: bytes) -> Directory | None:
        if not path:
            return self.root
        found = self._open.pop(path, None)
        if found is not None:
            self._open[path] = found  # the first of the dict is the one that was longest not used
        return found

    def _walk(self, parts: Sequence[bytes], *, may_make: bool) -> Directory | None:
        here = self.root
        missing: list[bytes] = []  # below `here`; nothing that is not there is a link, so `..` only takes a name back
        links = 0
        to_go = list(reversed(parts))
        while to_go:
            name = to_go.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                here = here if missing else self._again(here.path.rpartition(b"/")[0])
                del missing[-1:]
                continue
            found = None if missing else self.child(here, name)
            if found is not None:
                here = found
                continue
            target = None if missing else _link_target(here, name)
            if target is None:
                missing.append(name)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise LayerError(f"{shown(b'/'.join(parts))} leads through more than {_MOST_LINKS} symbolic links")
            here = self.root if target.startswith(b"/") else here
            to_go += reversed(target.split(b"/"))
        if missing and not may_make:
            return None
        return self._make_missing(here, missing)

    def _make_missing(self, parent: Directory, names: Sequence[bytes]) -> Directory | None:
        """Each of them in the one before; None where something else has that name."""
        try:
            for name in names:
                parent = self.make_child(parent, name)
        except FileExistsError:
            return None
        return parent

    def _again(self, path: bytes) -> Directory:
        """The directory at a path that is known to hold no links."""
        here = self.root
        for name in path.split(b"/") if path else ():
            found = self.child(here, name)
            if found is None:
                raise LayerError(f"{shown(path)} vanished while it was used")
            here = found
        return here

    def _enter(self, parent: Directory, name: bytes) -> Directory | None:
        opened = open_directory(parent.fd, name)
        if opened is None:
            return None
        fd, status = opened
        found = Directory(parent.child(name), fd, mode=stat.S_IMODE(status.st_mode), mtime=status.st_mtime_ns)
        found.is_changed = found.mode & _OWNER_ALL != _OWNER_ALL
        self._open[found.path] = found
        if len(self._open) > _MOST_OPEN:
            oldest = next(one for one in self._open.values() if not one.is_held)
            self._open.pop(oldest.path).close()
        return found


def open_directory(parent: int, name: bytes) -> tuple[int, os.stat_result] | None:
    """Descriptor and status of a directory that can be worked in; None when `name` is none, or is a link to one.

    The status is the one before: a directory that its owner may not read or write is opened up.
    """
    try:
        fd = os.open(name, DIRECTORY, dir_fd=parent)
    except PermissionError:
        return _open_up(parent, name)
    except OSError as error:
        if error.errno in _IS_NONE:
            return None
        raise
    status = os.fstat(fd)
    if status.st_mode & _OWNER_ALL != _OWNER_ALL:
        os.fchmod(fd, stat.S_IMODE(status.st_mode) | _OWNER_ALL)
    return fd, status


def _open_up(parent: int, name: bytes) -> tuple[int, os.stat_result]:
    place = os.open(name, DIRECTORY | os.O_PATH, dir_fd=parent)
    try:
        status = os.fstat(place)
        # A descriptor made with O_PATH takes no fchmod; this way leads to the very same directory (proc(5)).
        os.chmod(f"/proc/self/fd/{place}", stat.S_IMODE(status.st_mode) | _OWNER_ALL)  # noqa: PTH101
        return os.open(name, DIRECTORY, dir_fd=parent), status
    finally:
        os.close(place)


def _link_target(directory: Directory, name: bytes) -> bytes | None:
    try:
        return os.readlink(name, dir_fd=directory.fd)
    except OSError:  # nothing there, or no link
        return None

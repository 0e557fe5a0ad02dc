"""Removing trees: however deep, whatever their modes, with a few descriptors, and nothing that is mounted in them.

A mount point is busy, and rmdir(2) says so before it looks whether anything is in there. So each directory is first
removed as if it were empty: that finds a bind mount of the same file system, too, which no status of a file shows.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from ocibuild_core.unpack.directories import DIRECTORY, open_directory

if TYPE_CHECKING:
    from pathlib import Path

_HOLDS_SOMETHING = (errno.ENOTEMPTY, errno.EEXIST)
"""What rmdir(2) says of it; POSIX has both."""


def remove_tree(path: Path) -> None:
    """Remove a directory and all below; nothing when it is not there. OSError where something is mounted.

    shutil.rmtree fails on what is very deep, and on directories that their owner may not write.
    """
    parent = os.open(path.parent, DIRECTORY & ~os.O_NOFOLLOW)
    try:
        remove_directory(parent, os.fsencode(path.name))
    finally:
        os.close(parent)


def remove_directory(parent: int, name: bytes) -> None:
    """Remove the directory `name` in `parent` and all below; nothing when there is no such directory.

    Raises OSError at a mount point, of which nothing is removed.
    """
    here = _open(parent, name)
    if here is None:
        return
    way = [name]
    to_go = [_remove_files(here)]
    try:
        while to_go:
            if to_go[-1]:
                child = to_go[-1].pop()
                below = _open(here, child)
                if below is not None:
                    here = _step(here, below)
                    way.append(child)
                    to_go.append(_remove_files(here))
                continue
            to_go.pop()
            done = way.pop()
            if way:  # from a directory that is open, `..` leads to the one it was reached from
                here = _step(here, os.open(b"..", DIRECTORY, dir_fd=here))
                os.rmdir(done, dir_fd=here)
    finally:
        os.close(here)
    os.rmdir(name, dir_fd=parent)


def _open(parent: int, name: bytes) -> int | None:
    """A directory that holds something. One that holds nothing is removed; None then, and where there is none."""
    try:
        os.rmdir(name, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno not in _HOLDS_SOMETHING:
            raise
    else:
        return None
    opened = open_directory(parent, name)
    return opened[0] if opened else None


def _step(here: int, there: int) -> int:
    os.close(here)
    return there


def _remove_files(directory: int) -> list[bytes]:
    """Remove all but directories; the names of those."""
    left = []
    with os.scandir(directory) as found:
        for one in found:
            if one.is_dir(follow_symlinks=False):
                left.append(os.fsencode(one.name))
            else:
                os.unlink(one.name, dir_fd=directory)
    return left

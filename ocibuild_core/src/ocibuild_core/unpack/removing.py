"""Removing trees: however deep, whatever their modes, and with a few descriptors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.unpack.directories import DIRECTORY, open_directory

if TYPE_CHECKING:
    from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a directory and all below; nothing when it is not there.

    shutil.rmtree fails on what is very deep, and on directories that their owner may not write.
    """
    parent = os.open(path.parent, DIRECTORY & ~os.O_NOFOLLOW)
    try:
        remove_directory(parent, os.fsencode(path.name))
    finally:
        os.close(parent)


def remove_directory(parent: int, name: bytes) -> None:
    """Remove the directory `name` in `parent` and all below; nothing when there is no such directory."""
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

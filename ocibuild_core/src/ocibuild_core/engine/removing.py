"""Removing what a run made, whatever is in the way."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def remove_tree(path: Path) -> bool:
    """Remove a directory of ours and everything below; False when something stayed, as what is mounted in there does.

    shutil.rmtree would do that too, and go into what is mounted; its import alone takes longer than this removal.
    """
    if path.is_symlink():
        return _try(os.unlink, os.fspath(path))  # what it leads to is not ours
    is_gone = True
    directories = []
    for directory, subdirectories, files in os.walk(path, onerror=None):
        directories.append(directory)
        for name in files:
            is_gone &= _try(os.unlink, os.path.join(directory, name))  # noqa: PTH118  # many thousands at times
        subdirectories[:] = [name for name in subdirectories if _is_to_be_emptied(os.path.join(directory, name))]  # noqa: PTH118
    for directory in reversed(directories):
        is_gone &= _try(os.rmdir, directory)
    return is_gone


def empty_directory(path: Path) -> None:
    """Make the directory, mode 0700, or remove what is in there."""
    remove_tree(path)
    path.mkdir(mode=0o700, exist_ok=True)


def _is_to_be_emptied(path: str) -> bool:
    """Try to remove a directory, or a link to one; whether that takes removing what it holds.

    A mount point is busy, and rmdir(2) says so before it looks whether anything is in there: a bind mount of the same
    file system, too, which no status of a file shows.
    """
    try:
        os.rmdir(path)  # noqa: PTH106  # many thousands at times
    except NotADirectoryError:
        _try(os.unlink, path)
        return False
    except OSError as error:
        return error.errno not in (errno.EBUSY, errno.ENOENT)
    return False


def _try(remove: Callable[[str], None], path: str) -> bool:
    try:
        remove(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True

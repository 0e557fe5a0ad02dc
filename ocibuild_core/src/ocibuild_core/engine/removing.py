"""Removing what a run made, whatever is in the way."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def remove_tree(path: Path) -> bool:
    """Remove a directory of ours and everything below; False when something stayed.

    shutil.rmtree would do, but its import alone takes longer than this removal.
    """
    if path.is_symlink():
        return _try(os.unlink, os.fspath(path))  # what it leads to is not ours
    is_gone = True
    for directory, subdirectories, files in os.walk(path, topdown=False, onerror=None):
        for name in files:
            is_gone &= _try(os.unlink, os.path.join(directory, name))  # noqa: PTH118  # many thousands at times
        for name in subdirectories:
            child = os.path.join(directory, name)  # noqa: PTH118
            is_gone &= _try(os.unlink if os.path.islink(child) else os.rmdir, child)  # noqa: PTH114
    return _try(os.rmdir, os.fspath(path)) and is_gone


def empty_directory(path: Path) -> None:
    """Make the directory, mode 0700, or remove what is in there."""
    remove_tree(path)
    path.mkdir(mode=0o700, exist_ok=True)


def _try(remove: Callable[[str], None], path: str) -> bool:
    try:
        remove(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True

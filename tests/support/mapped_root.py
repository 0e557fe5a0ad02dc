"""Looking at, and removing, what a rootless engine leaves behind: files of the user's subordinate ids.

To the user himself they are a stranger's. In a user namespace that maps those ids he is their root.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from support.missing import need_program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_testkit.leaks import Leak, LeakWatcher

_SEARCH = """
import pickle, sys
watcher, roots, ignored = pickle.load(sys.stdin.buffer)
pickle.dump(watcher.find_in_files(*roots, ignore=ignored), sys.stdout.buffer)
"""


def as_mapped_root(*command: str) -> list[str]:
    """The command, so that it runs with root's rights over all of this user's ids."""
    if os.geteuid() == 0:
        return list(command)
    need_program("unshare", "util-linux")
    return ["unshare", "--user", "--map-root-user", "--map-auto", *command]


def find_leaks(watcher: LeakWatcher, root: Path, ignored: Sequence[Path]) -> tuple[Leak, ...]:
    """`LeakWatcher.find_in_files`, also where the user may not look."""
    if os.geteuid() == 0 or not _has_closed_places(root):
        return watcher.find_in_files(root, ignore=ignored)
    command = as_mapped_root(sys.executable, "-c", _SEARCH)
    asked = pickle.dumps((watcher, (root,), tuple(ignored)))
    found = subprocess.run(command, input=asked, stdout=subprocess.PIPE, check=True)
    return tuple(pickle.loads(found.stdout))  # noqa: S301  # our own child's


def _has_closed_places(root: Path) -> bool:
    return any(
        not os.access(os.path.join(directory, name), os.R_OK, follow_symlinks=False)  # noqa: PTH118  # one a file
        for directory, directories, files in os.walk(root)
        for name in (*directories, *files)
    )


def remove_tree(directory: Path) -> None:
    """Remove it with all that is below."""
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        subprocess.run(as_mapped_root("rm", "-rf", "--", str(directory)), check=True)

"""What is to be gone when a run is over. The keeper does it; the program does when its keeper was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ocibuild_core.engine.cgroups import parent_name, remove_empty_groups, remove_groups
from ocibuild_core.engine.lease import sweep
from ocibuild_core.engine.removing import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from ocibuild_core.engine.jobs import KeeperJob

_DEFAULTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)


def clean_up(job: KeeperJob) -> None:
    """Remove a run's control groups and directories. Its processes have been ended, or are about to."""
    if job.daemon:
        remove_groups(job.daemon.cgroup_parent)
        remove_empty_groups(job.groups)
    for file in job.forgotten:
        with contextlib.suppress(OSError):  # a daemon that never came so far has none
            file.unlink()
    if job.throw_away:
        _remove(job.throw_away, job)
    remove_tree(job.runtime)
    _remove_if_empty(job.runtime.parent)


def sweep_left_overs(job: KeeperJob) -> None:
    """Remove what earlier runs left that nobody could clean up after."""

    def remove(path: Path) -> None:
        remove_groups(parent_name(path.name))
        _remove(path, job)

    for parent, prefix in job.swept:
        sweep(parent, prefix, remove, uid=os.geteuid(), now=time.time())
    _remove_if_empty(job.runtime.parent)


def _remove(path: Path, job: KeeperJob) -> None:
    if remove_tree(path) or not job.removal:
        return
    # Files of the user's subordinate ids are his only in a namespace of his own.
    argv = [*job.removal, str(path)]
    path_of_system = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
    os.waitpid(os.posix_spawn(argv[0], argv, path_of_system, setsigmask=(), setsigdef=_DEFAULTS), 0)
    remove_tree(path)


def _remove_if_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()

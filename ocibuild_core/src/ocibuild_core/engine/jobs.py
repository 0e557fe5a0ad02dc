"""What a keeper is given to do, and how it and the program name a process to each other."""

from __future__ import annotations

from enum import Enum

from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ocibuild_core.engine.lease import Lease


class Isolation(Enum):
    """What makes the kernel end all of the daemon's processes with it."""

    NAMESPACES = "process and mount namespaces, made by the keeper"
    ROOTLESSKIT = "namespaces that rootlesskit makes"


class DaemonJob(NamedTuple):
    """How the daemon is started.

    Args:
        argv: the command, absolute.
        env: its environment.
        log: the file for its output.
        configuration: what `--config` in `argv` names.
        isolation: see `Isolation`.
        cgroup_parent: the name of the cgroup of its containers.
        runc_directory: what to cover with a file system of its own, for runc would share it with others; None where
            runc has a directory of its own.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    configuration: Path
    isolation: Isolation
    cgroup_parent: str
    runc_directory: Path | None = None

    def __repr__(self) -> str:
        return f"DaemonJob(argv={self.argv!r})"  # an environment may hold secrets


class KeeperJob(NamedTuple):
    """What a keeper watches over.

    Args:
        daemon: what it starts; None for a BuildKit that runs elsewhere.
        leases: whose locks it holds until all is cleaned up.
        runtime: removed at the end, with its parent if that is empty then.
        temporary: emptied at the end.
        throw_away: removed at the end.
        forgotten: files removed at the end.
        groups: control groups that steps make, removed at the end if nobody is in them.
        swept: parents and name prefixes of directories that dead runs may have left.
        removal: the beginning of a command that removes the path appended to it, for what the user cannot remove.
    """

    daemon: DaemonJob | None
    leases: tuple[Lease, ...]
    runtime: Path
    temporary: Path | None = None
    throw_away: Path | None = None
    forgotten: tuple[Path, ...] = ()
    groups: tuple[Path, ...] = ()
    swept: tuple[tuple[Path, str], ...] = ()
    removal: tuple[str, ...] = ()


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks; None when there is none. With the id it names one process for good."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # on the way to every solve
            # The command's name, in parentheses, may hold anything (proc_pid_stat(5)).
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None

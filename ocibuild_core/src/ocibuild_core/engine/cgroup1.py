"""Control groups of version 1 inside a container that was given none.

runc looks for the hierarchies below /sys/fs/cgroup (opencontainers/cgroups, fs/paths.go). Container managers on hosts
with version 1, Concourse's among them, leave that directory empty even in privileged containers. With version 2 there
is nothing to do.
"""

from __future__ import annotations

import os
from pathlib import Path

from ocibuild_core.engine import linux

ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def hierarchies(membership: str) -> tuple[str, ...]:
    """The version 1 hierarchies that a process is in, as mount options; from /proc/PID/cgroup (cgroups(7))."""
    found: list[str] = []
    for line in membership.splitlines():
        number, controllers, _ = line.split(":", 2)
        if number == "0" or not controllers:
            continue  # version 2
        found.append(f"none,{controllers}" if controllers.startswith("name=") else controllers)
    return tuple(found)


def missing_hierarchies(membership: Path = _MEMBERSHIP, root: Path = ROOT) -> tuple[str, ...]:
    """The hierarchies that have to be mounted; empty when something is mounted already."""
    if os.path.ismount(root):
        return ()
    return hierarchies(membership.read_text())


def mount_hierarchies(options: tuple[str, ...]) -> None:
    """Mount them in this mount namespace, each in a directory of its own. OSError says which one failed."""
    ROOT.mkdir(parents=True, exist_ok=True)
    linux.mount("cgroup", str(ROOT), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, "mode=0755")
    for option in options:
        name = option.removeprefix("none,").removeprefix("name=")
        directory = ROOT / name
        directory.mkdir()
        linux.mount("cgroup", str(directory), "cgroup", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, option)
        for controller in name.split(","):
            if controller != name:
                (ROOT / controller).symlink_to(name)

"""What root needs to run BuildKit directly: checked before the start, because the daemon's own errors come late."""

from __future__ import annotations

from pathlib import Path

from ocibuild_core.errors import EngineError

IDS_NEEDED = 65536
"""What a step may count on: images use ids up to 65534, and a terminal belongs to group 5."""
_CAP_SYS_ADMIN = 21
"""Its bit in a capability set (capabilities(7), linux/capability.h)."""


def check_root(*, proc: Path = Path("/proc")) -> None:
    """Raise EngineError when this root may not mount, as in a container that is not privileged."""
    if _is_capable(proc):
        return
    raise EngineError(
        "BuildKit cannot run as root here",
        why="this root has no CAP_SYS_ADMIN, as in a container that is not privileged",
        do="start the container privileged (Concourse: privileged: true; docker: --privileged)\n"
        "or use a BuildKit that runs already: --addr ADDRESS (BUILDKIT_HOST)\n"
        "or run as an ordinary user with newuidmap and entries in /etc/subuid and /etc/subgid, where user namespaces "
        "are allowed (docker: --user 1000 --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined)",
    )


def remedy_of_root(text: str) -> str:
    """What to do about root's daemon that could not start, going by what it or the kernel said; empty when unknown."""
    if "operation not permitted" not in text.lower():
        return ""
    return "start the container privileged, with its own /proc not masked; or use --addr ADDRESS"


def few_ids_notice(*, proc: Path = Path("/proc")) -> str:
    """What people should know when their user namespace has too few ids for the steps of a build; empty otherwise."""
    try:
        lines = (proc / "self" / "gid_map").read_text().splitlines()
    except OSError:
        return ""
    count = sum(int(line.split()[2]) for line in lines)
    if count >= IDS_NEEDED:
        return ""
    return f"this user namespace has {count} of {IDS_NEEDED} ids: steps that need more will fail"


def is_mapped_root(*, proc: Path = Path("/proc")) -> bool:
    """Whether this root is one of a user namespace only, as in a container of an ordinary user (user_namespaces(7))."""
    try:
        return (proc / "self" / "uid_map").read_text().split() != ["0", "0", "4294967295"]
    except OSError:
        return False


def _is_capable(proc: Path) -> bool:
    try:
        status = (proc / "self" / "status").read_text()
    except OSError:
        return True  # no /proc to ask: the daemon will say
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "")
    return not effective or bool(int(effective, 16) >> _CAP_SYS_ADMIN & 1)

"""BuildKit for an ordinary user: what has to be there, and the command that makes him root of his own namespace."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from ocibuild_core.engine.find import find_on_path
from ocibuild_core.engine.privileges import IDS_NEEDED
from ocibuild_core.errors import EngineError
from ocibuild_core.records import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Lack(NamedTuple):
    """What is missing.

    Args:
        reason: what it is.
        remedy: what to do about it.
        is_of_container: it is how the container is started; otherwise a command for root.
    """

    reason: str
    remedy: str
    is_of_container: bool = False


_FIRST_ID = 100000
"""Where useradd begins to hand out subordinate ids (login.defs(5), SUB_UID_MIN)."""

MORE_NAMESPACES = "sysctl -w user.max_user_namespaces=28633"
# What switches user namespaces off for ordinary users: the file below /proc, the value that does it, the remedy.
_SWITCHES = (
    ("sys/user/max_user_namespaces", "0", MORE_NAMESPACES),
    ("sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
)
_APPARMOR = "sys/kernel/apparmor_restrict_unprivileged_userns"
_EMPTY = ("/sys/fs/binfmt_misc", "/fs/nfsd")
"""Directories of /proc that are there only to be mounted on."""
_NAMESPACES = ("--net=host", "--disable-host-loopback")


def check_machine(uid: int, path: str, *, etc: Path = Path("/etc"), proc: Path = Path("/proc")) -> None:
    """Raise one EngineError that names everything an ordinary user lacks to run BuildKit.

    Args:
        uid: the user.
        path: the PATH that the daemon will have.
        etc: the directory of subuid and subgid.
        proc: the kernel's view of this process and its settings.
    """
    lacks = [
        *missing_programs(path),
        *missing_ids(uid, etc),
        *closed_switches(proc),
        *no_new_privileges(proc),
        *covered_proc(proc),
    ]
    if lacks:
        commands = dict.fromkeys(lack.remedy for lack in lacks if not lack.is_of_container)
        starts = dict.fromkeys(lack.remedy for lack in lacks if lack.is_of_container)
        remedies = [*(["as root:"] if commands else []), *commands, *starts]
        raise EngineError(
            "BuildKit cannot run as an ordinary user here",
            why="\n".join(lack.reason for lack in lacks),
            do="\n".join([*remedies, "or use a BuildKit that runs already: --addr ADDRESS"]),
        )


def rootless_command(rootlesskit: Path, state: Path, daemon: Sequence[str]) -> list[str]:
    """The daemon as root of a user, mount and process namespace of its own, with the machine's network.

    The process namespace makes the kernel end every step when the daemon ends. /etc is a copy, for rootlesskit and
    BuildKit may write there (docs/rootless.md in moby/buildkit).
    """
    return [str(rootlesskit), f"--state-dir={state}", *_NAMESPACES, "--copy-up=/etc", "--pidns", *daemon]


def removal_command(rootlesskit: Path, python: str) -> list[str]:
    """The command that removes the directory appended to it, whose files belong to the user's subordinate ids."""
    script = (
        f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); from pathlib import Path\n"
        "from ocibuild_core.engine.removing import remove_tree; remove_tree(Path(sys.argv[1]))"
    )
    return [str(rootlesskit), *_NAMESPACES, python, "-ISc", script]


def remedy(log: str, *, proc: Path = Path("/proc")) -> str:
    """What to do about a daemon that could not start as an ordinary user, going by its log; empty when unknown."""
    lowered = log.lower()
    is_refused = "operation not permitted" in lowered or "permission denied" in lowered
    if "directory under /tmp" in lowered:  # rootlesskit's own place, whatever TMPDIR says (pkg/copyup/tmpfssymlink)
        return "rootlesskit needs a /tmp that is writable: mount one there (docker: --tmpfs /tmp), or use --addr"
    if is_refused and is_restricted_by_apparmor(proc):
        return "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if "/proc" in lowered and "mount" in lowered and is_refused:
        return "give the container an unmasked /proc (docker: --security-opt systempaths=unconfined), or use --addr"
    if is_refused:
        return (
            "in a container, allow user namespaces and mounts (docker: --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined), or use --addr"
        )
    return ""


def subordinate_ranges(text: str) -> list[tuple[str, int, int]]:
    """Owner, first id and count of each line of /etc/subuid or subgid (subuid(5)); malformed lines are passed over."""
    fields = (line.split(":") for line in text.splitlines())
    return [
        (owner, int(first), int(count))
        for owner, first, count in (each for each in fields if len(each) == 3)  # noqa: PLR2004  # the file's columns
        if first.isdecimal() and count.isdecimal()
    ]


def own_ranges(uid: int, kind: str, etc: Path = Path("/etc")) -> list[tuple[int, int]]:
    """First id and count of each range that the file `kind` (subuid or subgid) gives a user."""
    names = {_name_of(uid), str(uid)}
    return [(first, count) for owner, first, count in subordinate_ranges(text_of(etc / kind)) if owner in names]


def missing_programs(path: str) -> list[Lack]:
    """What PATH lacks of the programs that map subordinate ids (newuidmap(1))."""
    found = {name: find_on_path(name, path) for name in ("newuidmap", "newgidmap")}
    missing = [name for name, place in found.items() if place is None]
    if missing:
        return [Lack(f"PATH has no {', no '.join(missing)}", "apt-get install uidmap")]
    powerless = [str(place) for place in found.values() if place and not _may_map(place)]
    if powerless:
        together = " ".join(powerless)
        return [Lack(f"not setuid, and without file capabilities: {together}", f"chmod u+s {together}")]
    return []


def _may_map(program: Path) -> bool:
    if program.stat().st_mode & stat.S_ISUID:
        return True
    try:
        return bool(os.getxattr(program, "security.capability"))
    except OSError:
        return False


def missing_ids(uid: int, etc: Path = Path("/etc")) -> list[Lack]:
    """Which files give the user too few subordinate ids."""
    # Where a directory service hands them out (nsswitch.conf, `subid:`), the files say nothing.
    if "subid:" in text_of(etc / "nsswitch.conf"):
        return []
    name = _name_of(uid)
    found: list[Lack] = []
    for kind in ("subuid", "subgid"):
        ranges = subordinate_ranges(text_of(etc / kind))
        if sum(count for _, count in own_ranges(uid, kind, etc)) >= IDS_NEEDED:
            continue
        free = max([start + count for _, start, count in ranges] + [_FIRST_ID])
        found.append(
            Lack(
                f"{etc / kind} gives {name} fewer than {IDS_NEEDED} ids",
                f"echo {name}:{free}:{IDS_NEEDED} >> {etc / kind}",
            )
        )
    return found


def closed_switches(proc: Path = Path("/proc")) -> list[Lack]:
    """Which settings of the kernel keep user namespaces from ordinary users."""
    return [
        Lack(f"{proc / file} is {value}: ordinary users get no namespaces of their own", remedy)
        for file, value, remedy in _SWITCHES
        if text_of(proc / file).strip() == value
    ]


def is_restricted_by_apparmor(proc: Path = Path("/proc")) -> bool:
    """Whether AppArmor takes the rights in a user namespace away from programs without a profile."""
    return text_of(proc / _APPARMOR).strip() == "1"


def no_new_privileges(proc: Path = Path("/proc")) -> list[Lack]:
    """Whether this process may gain no privileges, which newuidmap has to (prctl(2), PR_SET_NO_NEW_PRIVS)."""
    if "\nNoNewPrivs:\t1" not in text_of(proc / "self" / "status"):
        return []
    return [
        Lack(
            "this process may gain no privileges (no_new_privs), and newuidmap has to",
            "start the container without no-new-privileges (Kubernetes: allowPrivilegeEscalation: true)",
            is_of_container=True,
        )
    ]


def covered_proc(proc: Path = Path("/proc")) -> list[Lack]:
    """What hides parts of /proc: the kernel then lets no user namespace mount one, which every step needs.

    A mount on a directory that the kernel keeps empty hides nothing (mnt_already_visible in fs/namespace.c of Linux).
    """
    mounts = [line.split() for line in text_of(proc / "self" / "mountinfo").splitlines()]  # proc_pid_mountinfo(5)
    whole = [fields[0] for fields in mounts if fields[3] == "/" and fields[fields.index("-") + 1] == "proc"]
    covers = {
        one: [fields[4] for fields in mounts if fields[1] == one and not fields[4].endswith(_EMPTY)] for one in whole
    }
    if not covers or not all(covers.values()):
        return []
    covered = sorted(next(iter(covers.values())))
    named = ", ".join([*covered[:3], *(["…"] if len(covered) > 3 else [])])  # noqa: PLR2004  # enough to see which
    return [
        Lack(
            f"parts of /proc are covered ({named}), so no step could get a /proc",
            "start the container with all of /proc (docker: --security-opt systempaths=unconfined; "
            "Kubernetes: procMount: Unmasked)",
            is_of_container=True,
        )
    ]


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def text_of(path: Path) -> str:
    """What a file of the kernel's or of /etc says; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

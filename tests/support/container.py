"""Containers as Concourse and docker make them, run by the engine's own runc.

Concourse's: worker/runtime/spec in concourse/concourse (capabilities.go, mounts.go, namespaces.go, devices.go).
Docker's defaults: oci/caps and oci/defaults.go in moby/moby.

What differs: they share the machine's network, so that the tests' registries are within reach, and have no capability
that the machine's own root lacks.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_buildkit import binary

from support.missing import fail_missing
from support.programs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# In the order of their numbers (linux/capability.h).
_CAPABILITIES = (  # noqa: SIM905  # twelve lines less
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
).split()
_UNPRIVILEGED = (  # noqa: SIM905  # the same
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID "
    "SYS_CHROOT"
).split()
_ROOT_OUTSIDE = 65534
_COVERED = ("acpi", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")

Spec = dict[str, Any]
Mount = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a container may do.

    Args:
        capabilities: as the kernel names them, without `CAP_`.
        covers_proc: parts of /proc are hidden or read-only, and /sys is read-only.
        user: who runs in it.
        user_namespace: its root is somebody else outside.
    """

    capabilities: Sequence[str]
    covers_proc: bool = False
    user: int = 0
    user_namespace: bool = False


PRIVILEGED = Rights(capabilities=_CAPABILITIES)
"""A Concourse task with `privileged: true`."""
UNPRIVILEGED = Rights(capabilities=_UNPRIVILEGED, user_namespace=True)
"""Any other Concourse task."""
DOCKER = Rights(capabilities=_UNPRIVILEGED, covers_proc=True)
"""`docker run`."""
DOCKER_USER = Rights(capabilities=_UNPRIVILEGED, covers_proc=True, user=1000)
"""`docker run --user 1000` with user namespaces allowed."""
UNCOVERED_USER = Rights(capabilities=_UNPRIVILEGED, user=1000)
"""The same with `--security-opt systempaths=unconfined`."""


def bind(source: Path, destination: str) -> Mount:
    """A volume."""
    return {"destination": destination, "source": str(source), "type": "bind", "options": ["bind", "rw"]}


def tmpfs(destination: str, *options: str) -> Mount:
    """A file system in memory."""
    return {"destination": destination, "source": "tmpfs", "type": "tmpfs", "options": list(options)}


CGROUPS: Mapping[str, Sequence[Mount]] = {
    "of the runtime": [{"destination": "/sys/fs/cgroup", "source": "cgroup", "type": "cgroup", "options": ["nosuid"]}],
    "version 2": [{"destination": "/sys/fs/cgroup", "source": "cgroup", "type": "cgroup2", "options": ["nosuid"]}],
    "none": [],
}
"""What is at /sys/fs/cgroup: what runc puts there (on a machine with version 1 its hierarchies), version 2, nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A root file system that stays as it is, to run programs on.

    Args:
        rootfs: the root file system.
        env: the image's variables.
        directory: for what is made meanwhile; on a file system that overlays can be made of.
    """

    rootfs: Path
    env: Mapping[str, str]
    directory: Path
    mounts: list[Mount] = field(default_factory=list)

    def run(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        mounts: Sequence[Mount] = (),
        rights: Rights = PRIVILEGED,
        cgroups: str = "of the runtime",
        cwd: str = "/",
        stdin: str = "",
        readonly: bool = False,
        enter: Sequence[str] = (),
        seconds: float = 120,
    ) -> Run:
        """Run a program to its end, in a container of its own.

        Args:
            argv: the program and its arguments.
            env: params; on top of the image's.
            mounts: volumes; in this order.
            rights: what the container may do.
            cgroups: a key of `CGROUPS`.
            cwd: where it runs.
            stdin: what it reads.
            readonly: its root file system is read-only.
            enter: what runs runc, if it does not run by itself.
            seconds: after which it is killed.
        """
        name = f"ocibuild-test-{secrets.token_hex(4)}"
        bundle = self.directory / name
        bundle.mkdir(parents=True)
        variables = {"HOME": "/home/ocibuild" if rights.user else "/root", **self.env, **(env or {})}
        spec = _spec(argv, variables, [*_system(rights), *CGROUPS[cgroups], *self.mounts, *mounts], rights, cwd)
        with _overlay(self.rootfs, bundle, _ROOT_OUTSIDE if rights.user_namespace else 0) as root:
            spec["root"] = {"path": str(root), "readonly": readonly}
            (bundle / "config.json").write_text(json.dumps(spec))
            runc = [str(binary("runc")), "--root", str(bundle / "state")]
            command = [*enter, *runc, "run", "--bundle", str(bundle), name]
            try:
                ended = subprocess.run(
                    command, input=stdin, capture_output=True, text=True, errors="replace", check=False, timeout=seconds
                )
            finally:
                subprocess.run([*runc, "delete", "--force", name], check=False, capture_output=True)
        return Run(command=argv, code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr)


def _spec(
    argv: Sequence[str], env: Mapping[str, str], mounts: Sequence[Mount], rights: Rights, cwd: str
) -> dict[str, Any]:
    """The container as the OCI runtime specification has it (config.md, config-linux.md)."""
    bounding = [f"CAP_{name}" for name in rights.capabilities if _has_capability(name)]
    held = [] if rights.user else bounding
    namespaces = ["pid", "ipc", "uts", "mount"]
    linux: Spec = {"resources": {"devices": [{"allow": True, "access": "rwm"}]}}
    if rights.user_namespace:
        # Root is the highest id outside, everybody else himself.
        namespaces += ["user", "network"]
        linux["uidMappings"] = linux["gidMappings"] = [
            {"containerID": 0, "hostID": _ROOT_OUTSIDE, "size": 1},
            {"containerID": 1, "hostID": 1, "size": 65533},
        ]
    if rights.covers_proc:
        linux["maskedPaths"] = [f"/proc/{name}" for name in _COVERED]
        linux["readonlyPaths"] = [f"/proc/{name}" for name in _READ_ONLY]
    linux["namespaces"] = [{"type": kind} for kind in namespaces]
    return {
        "ociVersion": "1.0.2",
        "hostname": "task",
        "process": {
            "user": {"uid": rights.user, "gid": rights.user},
            "args": list(argv),
            "env": [f"{name}={value}" for name, value in env.items()],
            "cwd": cwd,
            "capabilities": {"bounding": bounding, "effective": held, "permitted": held, "inheritable": held},
        },
        "mounts": list(mounts),
        "linux": linux,
    }


def _system(rights: Rights) -> list[Mount]:
    quiet = ["nosuid", "noexec", "nodev"]
    sys_options = quiet if rights == PRIVILEGED else [*quiet, "ro"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
        tmpfs("/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
        tmpfs("/dev/shm", *quiet, "mode=1777"),  # noqa: S108  # a mount point
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": quiet},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": sys_options},
    ]


@contextmanager
def _overlay(lower: Path, bundle: Path, owner: int) -> Iterator[Path]:
    """The root file system with a layer over it that takes what is written; `owner` may make mount points."""
    places = {name: bundle / name for name in ("upper", "work", "root")}
    for place in places.values():
        place.mkdir()
    os.chown(places["upper"], owner, owner)
    options = f"lowerdir={lower},upperdir={places['upper']},workdir={places['work']}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(places["root"])], check=True)
    try:
        yield places["root"]
    finally:
        subprocess.run(["umount", str(places["root"])], check=True)


def _has_capability(name: str) -> bool:
    status = Path("/proc/self/status").read_text()
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(bounding, 16) >> _CAPABILITIES.index(name) & 1)


def need_root() -> None:
    """Fail unless root runs the tests."""
    if os.geteuid() != 0:
        fail_missing("privileged containers are made by root", "run this test as root")

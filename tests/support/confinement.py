"""Commands that run others where something is taken away: file systems covered, namespaces or system calls refused.

Each works for root and for an ordinary user, who gets the rights for it in a user namespace, and loses them again.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from support.missing import need_program

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_CAPABILITIES = ("setpriv", "--ambient-caps=-all", "--inh-caps=-all", "--")

# A user namespace with so many of the machine's ids (an ordinary user gets his own alone), in which so many further
# ones may be made (namespaces(7), "The /proc/sys/user directory"); then the command.
_USER_NAMESPACE = """
import ctypes, os, sys
ids, further, *command = sys.argv[1:]
ready, go = os.pipe(), os.pipe()
uid, gid = os.geteuid(), os.getegid()
child = os.fork()
if child == 0:
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(ready[1], b".")
    os.read(go[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write(further)
    os.execvp(command[0], command)
os.read(ready[0], 1)
if uid:
    with open(f"/proc/{child}/setgroups", "w") as file:
        file.write("deny")
for kind, own in (("uid", uid), ("gid", gid)):
    with open(f"/proc/{child}/{kind}_map", "w") as file:
        file.write(f"{own} {own} 1" if uid else f"0 0 {ids}")
os.write(go[1], b".")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

# A seccomp filter that answers mount(2) with EPERM (seccomp(2); the numbers are of linux/audit.h and unistd.h).
_WITHOUT_MOUNT = """
import ctypes, errno, os, struct, sys
arch, mount = {"x86_64": (0xC000003E, 165), "aarch64": (0xC00000B7, 40)}[os.uname().machine]
code = [
    (0x20, 0, 0, 4), (0x15, 0, 3, arch),
    (0x20, 0, 0, 0), (0x15, 0, 1, mount),
    (0x06, 0, 0, 0x00050000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000),
]
program = b"".join(struct.pack("HBBI", *each) for each in code)
buffer = ctypes.create_string_buffer(program)
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
if os.geteuid():
    assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filter, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
"""


def with_mounts(mounts: str, argv: Sequence[str]) -> list[str]:
    """After these shell commands, in a mount namespace of its own, where whoever runs the tests is root."""
    rights = () if os.geteuid() == 0 else ("--user", "--map-root-user", "--map-auto")
    return [*_unshare(*rights), *_shell(mounts), *argv]


def with_mounts_below(mounts: str, argv: Sequence[str]) -> list[str]:
    """The same, but an ordinary user who runs the tests is himself again after the shell commands."""
    if os.geteuid() == 0:
        return with_mounts(mounts, argv)
    return [*_unshare("--user", "--map-current-user", "--keep-caps"), *_shell(mounts), *_NO_CAPABILITIES, *argv]


def _unshare(*rights: str) -> tuple[str, ...]:
    need_program("unshare", "util-linux")
    return ("unshare", *rights, "--mount", "--propagation", "private")


def _shell(commands: str) -> tuple[str, ...]:
    return ("sh", "-c", f'set -e\n{commands}\nexec "$@"', "sh")


def without_user_namespaces(argv: Sequence[str]) -> list[str]:
    """Where user.max_user_namespaces is 0."""
    return [sys.executable, "-c", _USER_NAMESPACE, "4294967295", "0", *argv]


def with_own_id_alone(argv: Sequence[str]) -> list[str]:
    """Where nobody's subordinate ids are, as in a container of an ordinary user."""
    return [sys.executable, "-c", _USER_NAMESPACE, "65536", "1000", *argv]


def without_mount(argv: Sequence[str]) -> list[str]:
    """Under a seccomp filter that refuses to mount."""
    return [sys.executable, "-c", _WITHOUT_MOUNT, *argv]


def without_new_privileges(argv: Sequence[str]) -> list[str]:
    """Where no program gains rights by being setuid."""
    need_program("setpriv", "util-linux")
    return ["setpriv", "--no-new-privs", *argv]

"""Run a command as root in a user namespace, which has binfmt handlers of its own since Linux 6.7: apart.py COMMAND …

Its root is the machine's, with the ids that an image needs. With `--arm64` programs of arm64 run in it; without, it has
a network of its own, so that runc can make a container there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ocibuild_core.binfmt import registration
from ocibuild_core.engine import linux

APART = (sys.executable, __file__)
WITH_ARM64 = (*APART, "--arm64")

_IDS = "0 0 65536\n"
_CLONE_NEWNET = 0x40000000
_BINFMT = "/proc/sys/fs/binfmt_misc"
_QEMU = Path("/usr/libexec/qemu-binfmt/aarch64-binfmt-P")


def main() -> int:
    """Run it; its exit code."""
    ready, is_ready = os.pipe()
    mapped, is_mapped = os.pipe()
    child = os.fork()
    if child == 0:
        is_emulated = sys.argv[1] == "--arm64"
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS | (0 if is_emulated else _CLONE_NEWNET))
        os.write(is_ready, b"1")
        os.read(mapped, 1)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        if is_emulated:
            linux.mount("binfmt_misc", _BINFMT, "binfmt_misc", 0)
            Path(_BINFMT, "register").write_text(registration("qemu-aarch64", "arm64", _QEMU))
        command = sys.argv[2:] if is_emulated else sys.argv[1:]
        os.execvp(command[0], command)
    os.read(ready, 1)
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{kind}").write_text(_IDS)
    os.write(is_mapped, b"1")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())

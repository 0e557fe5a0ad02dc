"""Run a command where programs of arm64 run: emulated.py COMMAND …

A user namespace has a binfmt_misc of its own (since Linux 6.7), so the handler is seen by nobody else. Its root is the
machine's, with the ids that an image needs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ocibuild_core.engine import linux

_IDS = "0 0 65536\n"
_BINFMT = "/proc/sys/fs/binfmt_misc"
_QEMU = "/usr/bin/qemu-aarch64-static"
# The ELF header of a 64-bit program for EM_AARCH64, and which of its bits count (as in Debian's qemu-user-static).
_MAGIC = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def main() -> int:
    """Run it; its exit code."""
    ready, is_ready = os.pipe()
    mapped, is_mapped = os.pipe()
    child = os.fork()
    if child == 0:
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
        os.write(is_ready, b"1")
        os.read(mapped, 1)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        linux.mount("binfmt_misc", _BINFMT, "binfmt_misc", 0)
        # F opens the emulator now, so that it is there in containers, too.
        Path(_BINFMT, "register").write_text(f":qemu-aarch64:M::{_MAGIC}:{_MASK}:{_QEMU}:F")
        os.execvp(sys.argv[1], sys.argv[1:])
    os.read(ready, 1)
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{kind}").write_text(_IDS)
    os.write(is_mapped, b"1")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())

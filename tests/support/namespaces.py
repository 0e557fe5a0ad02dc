"""Python code in a mount namespace of its own, where it may mount what it likes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from support.missing import need_program

if TYPE_CHECKING:
    from pathlib import Path

_START = """
import os, signal, sys
from pathlib import Path
place = Path(sys.argv[1])

def become_ordinary(*paths):
    if sys.argv[2]:
        # An ordinary user's own namespace gave him root's rights, and no other user to become: capset(2) takes them.
        import ctypes
        header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, none) == 0
        return
    for path in paths:
        os.chown(path, 4321, 4321)
    os.setgroups([])
    os.setresgid(4321, 4321, 4321)
    os.setresuid(4321, 4321, 4321)

def fail_at(event, count, what):
    left = [count]
    def hook(name, arguments):
        if name == event:
            left[0] -= 1
            if left[0] == 0:
                what()
    sys.addaudithook(hook)
"""


def run_in_namespace(mounts: str, code: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Mount, then run the code.

    Args:
        mounts: shell commands; `$1` is `place`.
        code: Python. It finds `place`, `become_ordinary(*paths)`, which gives the paths to a user without rights and
            then becomes that user, and `fail_at(event, count, what)`, which calls `what` at the count-th audit event.
        place: a directory for it.
    """
    need_program("unshare", "util-linux")
    is_root = os.geteuid() == 0
    rights = [] if is_root else ["--user", "--map-root-user"]
    script = f'set -e\n{mounts}\nexec "$2" -c "$3" "$1" "$4"'
    return subprocess.run(
        [
            *("unshare", *rights, "--mount", "--propagation", "private", "sh", "-c", script, "sh"),
            *(str(place), sys.executable, _START + code, "" if is_root else "ordinary"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

"""A real unprivileged user, who can run everything that this checkout's environment holds."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.mapped_root import remove_tree
from support.missing import need_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).parents[2]

_PREFIX = "ocibuild-test-"

# Opens a way to directories that only root can reach (an interpreter below /root), in a mount namespace of its own:
# what lies in the way is covered, and only the directories are put back. Then becomes the user.
_ENTER = """
set -e
uid=$1 gid=$2 covered=$3; shift 3
if [ -n "$covered" ]; then
    held=$(mktemp -d); count=0
    for kept; do
        [ "$kept" = -- ] && break
        count=$((count + 1)); mkdir "$held/$count"; mount --bind "$kept" "$held/$count"
    done
    mount -t tmpfs -o mode=755 tmpfs "$covered"
    count=0
    while [ "$1" != -- ]; do
        count=$((count + 1)); mkdir -p "$1"; mount --bind "$held/$count" "$1"; umount "$held/$count"; shift
    done
    rm -rf "$held"
fi
while [ "$1" != -- ]; do shift; done
exec setpriv --reuid="$uid" --regid="$gid" --clear-groups "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryUser:
    """A user without rights, with subordinate ids, so that BuildKit runs through rootlesskit.

    Args:
        name: the login name.
        uid: the user's id.
        gid: the group's id.
        home: a home of the user's own; short, so that sockets fit below it.
        runtime: XDG_RUNTIME_DIR.
    """

    name: str
    uid: int
    gid: int
    home: Path
    runtime: Path

    def command(self, *argv: str) -> list[str]:
        """The command that runs `argv` as this user; its environment is handed through."""
        if os.getuid() == self.uid:
            return list(argv)
        covered, kept = _way_in()
        enter = ["sh", "-c", _ENTER, "sh", str(self.uid), str(self.gid), covered, *kept, "--", *argv]
        return ["unshare", "--mount", "--propagation", "slave", *enter] if covered else enter

    def env(self) -> dict[str, str]:
        """What a login would set."""
        return {
            "HOME": str(self.home),
            "USER": self.name,
            "LOGNAME": self.name,
            "XDG_RUNTIME_DIR": str(self.runtime),
            "TMPDIR": str(self.home / "tmp"),
        }

    def own(self, path: Path) -> Path:
        """Give `path` and all below it to this user; returns it."""
        for each in (path, *path.rglob("*")):
            os.chown(each, self.uid, self.gid, follow_symlinks=False)
        return path


@contextmanager
def ordinary_user() -> Iterator[OrdinaryUser]:
    """The user who runs the tests; a made one, who goes again, when that is root."""
    need_program("newuidmap", "uidmap")
    if os.getuid():
        entry = pwd.getpwuid(os.getuid())
        with _places(entry) as user:
            yield user
        return
    for program in ("useradd", "userdel"):
        need_program(program, "passwd")
    _remove_left_over()
    name = f"{_PREFIX}{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--user-group", "--shell", "/bin/sh", name], check=True)
    try:
        _check_subordinate_ids(name)
        with _places(pwd.getpwnam(name)) as user:
            yield user
    finally:
        subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


@contextmanager
def _places(entry: pwd.struct_passwd) -> Iterator[OrdinaryUser]:
    base = Path(tempfile.mkdtemp(prefix="ob-", dir="/tmp"))  # short: TMPDIR may be deep
    try:
        user = OrdinaryUser(
            name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=base / "home", runtime=base / "run"
        )
        for directory in (user.home, user.home / "tmp", user.runtime):
            directory.mkdir(mode=0o700)
        base.chmod(0o755)
        user.own(base)
        yield user
    finally:
        remove_tree(base)


def _check_subordinate_ids(name: str) -> None:
    for kind in ("subuid", "subgid"):
        if not re.search(rf"^{name}:", Path(f"/etc/{kind}").read_text(), re.MULTILINE):
            last = [int(line.split(":")[1]) + int(line.split(":")[2]) for line in _lines(f"/etc/{kind}")]
            first = max(last, default=100000)
            subprocess.run(["usermod", f"--add-{kind}s", f"{first}-{first + 65535}", name], check=True)


def _lines(path: str) -> list[str]:
    return [line for line in Path(path).read_text().splitlines() if line.count(":") == 2]


def _remove_left_over() -> None:
    """Remove the users of earlier runs that were killed."""
    for entry in pwd.getpwall():
        number = entry.pw_name.removeprefix(_PREFIX)
        if number != entry.pw_name and number.isdecimal() and not Path(f"/proc/{number}").exists():
            subprocess.run(["userdel", "--force", entry.pw_name], check=False, capture_output=True)


def _way_in() -> tuple[str, Sequence[str]]:
    """The directory to be covered ("" for none), and the directories below it that the user needs."""
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), REPOSITORY]
    for covered in _closed_ancestors(needed):
        inside = [path for path in needed if path.is_relative_to(covered)]
        outermost = [
            path for path in inside if not any(path != other and path.is_relative_to(other) for other in inside)
        ]
        return str(covered), [str(path) for path in dict.fromkeys(outermost)]
    return "", ()


def _closed_ancestors(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        for ancestor in reversed(path.parents):
            if not ancestor.stat().st_mode & 0o001:
                yield ancestor

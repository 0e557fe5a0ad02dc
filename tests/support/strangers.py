"""Somebody else than who runs the tests: another user of the machine, and files of his."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.mapped_root import as_mapped_root
from support.missing import need_program

if TYPE_CHECKING:
    from pathlib import Path

    from support.users import OrdinaryUser

_SUBORDINATE = 1
"""In the namespace of an ordinary user's own ids: the first of his subordinate ids, outside a stranger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Another user.

    Args:
        user: he, when root runs the tests; of an ordinary user's own ids one is taken that is not himself.
    """

    user: OrdinaryUser | None

    def command(self, *argv: str) -> list[str]:
        """The command, so that he runs it."""
        if self.user:
            return self.user.command(*argv)
        need_program("setpriv", "util-linux")
        own = (f"--reuid={_SUBORDINATE}", f"--regid={_SUBORDINATE}", "--clear-groups")
        return as_mapped_root("setpriv", *own, *argv)

    def take(self, path: Path) -> int:
        """Make it his; returns his id."""
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)
        else:
            subprocess.run(as_mapped_root("chown", f"{_SUBORDINATE}:{_SUBORDINATE}", str(path)), check=True)
        uid = path.stat().st_uid
        assert uid != os.geteuid()
        return uid


def stranger(user: OrdinaryUser) -> Stranger:
    """Somebody else than who runs the tests.

    Args:
        user: the tests' ordinary user.
    """
    return Stranger(user=user if os.geteuid() == 0 else None)

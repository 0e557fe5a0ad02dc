"""Destinations that no output may have: what is moved there replaces what was there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_KINDS = {stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
_DEVICES = "/dev/"


def refuse_unwritable(destinations: Iterable[Path]) -> None:
    """Raise UsageError for stdout, and for what is neither file nor directory: root would replace `/dev/null` itself.

    Args:
        destinations: where outputs are to go; absolute.
    """
    for destination in destinations:
        if destination.name == "-":
            raise UsageError(
                "an output cannot go to stdout",
                why="BuildKit's log is there, and an output changes over as a whole when the build has succeeded",
                do="write it to a file: dest=PATH",
            )
        kind = _special(destination)
        if kind:
            raise UsageError(
                f"an output cannot go to {destination}",
                why=f"it is a {kind}, and an output replaces what was at its place",
                do="name a file; to keep nothing, leave the output out",
            )


def _special(path: Path) -> str:
    """What a path is that is neither file nor directory; empty for those, and for what is not there."""
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:
        return ""
    # A redirected /dev/stdout leads to a plain file, which its link is not.
    is_link_of_devices = path.is_symlink() and os.path.normpath(path).startswith(_DEVICES)
    return kind or ("link among the devices" if is_link_of_devices else "")

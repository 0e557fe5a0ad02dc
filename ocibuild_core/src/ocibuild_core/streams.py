"""The standard streams."""

from __future__ import annotations

import os
import sys

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}


def open_missing_streams() -> None:
    """Open those that this process was started without (`>&-`), with nothing behind them.

    Python has None in their place, and the next file that is opened would take their number: a child would print into
    a lock.
    """
    for fd, (name, mode) in enumerate(_MODES.items()):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
            os.set_inheritable(fd, True)  # noqa: FBT003  # no name to give it
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for ever

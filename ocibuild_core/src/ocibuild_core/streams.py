"""The standard streams."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}


def keep_stdout() -> None:
    """Keep stdout for results: descriptor 1 is stderr from now on, whatever a plugin, its SDK or their children print.

    `sys.stdout` leads to where it led before, and says with `StdoutError` that this takes nothing any more. Call after
    `open_missing_streams`.
    """
    before = sys.stdout
    before.flush()
    raw = _Stdout(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=bool(before.line_buffering),
    )
    # By this one the width of the terminal is found.
    sys.__stdout__ = sys.stdout  # type: ignore[misc]  # a constant for everybody else


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


class StdoutError(OSError):
    """stdout takes nothing any more: the disk behind it is full, say. Nothing else tells it from any file's error."""


class _Stdout(io.FileIO):
    def write(self, content: ReadableBuffer, /) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StdoutError(error.errno, error.strerror) from None

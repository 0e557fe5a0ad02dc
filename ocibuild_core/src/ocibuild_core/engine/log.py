"""The last lines of a daemon's log, as far as they say something to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TAIL = 32768
_LINES = 15


def said_in(log: Path) -> str:
    """The last lines below the log's name, for `why` of an error; a sentence when there are none."""
    try:
        lines = last_lines(log)
    except OSError as error:
        return f"its log {log} cannot be read: {error.strerror}"
    return f"the last lines of {log}:\n{lines}" if lines else f"its log {log} is empty"


def last_lines(log: Path, count: int = _LINES) -> str:
    """The last lines without Go's stack traces. OSError when it cannot be read."""
    with log.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL))
        text = file.read().decode(errors="replace")
    return "\n".join(without_stacks(text.splitlines())[-count:])


def without_stacks(lines: list[str]) -> list[str]:
    """The lines that are no frames. A frame is a function's line and a tab-indented line with its file."""
    kept: list[str] = []
    for line in lines:
        if line.startswith("\t") and kept:
            kept.pop()
        elif line.strip():
            kept.append(line)
    return kept

"""The last lines of a daemon's log, as far as they say something to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TAIL = 32768
_LINES = 15


def last_lines(log: Path, count: int = _LINES) -> str:
    """The last lines without Go's stack traces; a sentence when there are none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"its log {log} cannot be read: {error.strerror}"
    lines = without_stacks(text.splitlines())[-count:]
    return "\n".join(lines) if lines else f"its log {log} is empty"


def without_stacks(lines: list[str]) -> list[str]:
    """The lines that are no frames. A frame is a function's line and a tab-indented line with its file."""
    kept: list[str] = []
    for line in lines:
        if line.startswith("\t") and kept:
            kept.pop()
        elif line.strip():
            kept.append(line)
    return kept

"""Files that the other scripts here make from the code: written, or with `--check` compared."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_or_check(directory: Path, files: Mapping[str, str], *, others: tuple[str, ...] = ()) -> int:
    """Write what is not there yet, or with `--check` say what is out of date; the exit code.

    Args:
        directory: where they are.
        files: the text of each, by its path below the directory.
        others: what is there besides and has to go.
    """
    stale = [name for name, text in files.items() if not _holds(directory / name, text)] + [*others]
    if "--check" in sys.argv:
        if stale:
            print(f"out of date: {', '.join(stale)}\n  do     python {sys.argv[0]}")
        return int(bool(stale))
    for name in stale:
        path = directory / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name], encoding="utf-8")
        else:
            path.unlink()
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text

"""What exporters that write files and directories have in common."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file anew. ExportError where the system refuses, as on a full disk."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"cannot write {path.name}", why=error.strerror or str(error)) from None


def refuse_directory(place: Path) -> None:
    """Raise ExportError where a file is to go and a directory is: no file replaces that."""
    if place.is_dir() and not place.is_symlink():
        raise ExportError(f"cannot write {place}", why="it is a directory", do="name a file in it, or another place")


def refuse_file(place: Path) -> None:
    """Raise ExportError where a directory is to go and something else is, also a link to a directory."""
    if place.is_symlink() or (os.path.lexists(place) and not place.is_dir()):
        raise ExportError(
            f"cannot write {place}",
            why=f"it is a {'symbolic link' if place.is_symlink() else 'file'}, and a directory is to go there",
            do="remove it, or name another place",
        )

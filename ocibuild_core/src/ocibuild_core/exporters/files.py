"""What exporters that write files have in common."""

from __future__ import annotations

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

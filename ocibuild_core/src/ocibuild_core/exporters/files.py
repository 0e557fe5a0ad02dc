"""Small files that exporters write themselves."""

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

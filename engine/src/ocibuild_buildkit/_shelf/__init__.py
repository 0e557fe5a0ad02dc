"""The programs that a wheel carries, and what is known of them.

Both binary wheels have this package; in the repository one is a link to the other.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from .records import Versions


class BinaryNotFoundError(LookupError):
    """The wheel carries no such program, or its installation is damaged."""


class Shelf:
    """The programs in one distribution's `carried` folder."""

    __slots__ = ("_distribution", "_folder")

    def __init__(self, distribution: str, folder: Path) -> None:
        self._distribution = distribution
        self._folder = folder

    def binary(self, name: str) -> Path:
        """The path of an executable program; BinaryNotFoundError says what there is instead."""
        path = self._folder / "bin" / name
        if path.name == name and path.is_file() and os.access(path, os.X_OK):
            return path
        raise self._missing(name)

    def versions(self) -> Versions:
        """The content of versions.json; BinaryNotFoundError when the installation has none."""
        import json  # noqa: PLC0415 - whoever just wants a path does not pay for it

        path = self._folder / "versions.json"
        try:
            versions: Versions = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BinaryNotFoundError(f"{self._distribution}: {path} is missing\n{self._remedy()}") from error
        return versions

    def _missing(self, name: str) -> BinaryNotFoundError:
        versions = self.versions()
        what = f"{self._distribution} {versions['version']} ({versions['architecture']})"
        if name not in versions["tools"]:
            return BinaryNotFoundError(f"{what} carries no {name!r}; it carries {', '.join(sorted(versions['tools']))}")
        folder = self._folder / "bin"
        there = ", ".join(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else "no such folder"
        return BinaryNotFoundError(
            f"{what}: {name} should be an executable file in {folder}, but is not (there: {there})\n{self._remedy()}"
        )

    def _remedy(self) -> str:
        return f"  do     pip install --force-reinstall {self._distribution}"

"""A directory of finished parts, named by a hash of everything that went into them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SEAL = "seal.json"
UNUSED_SECONDS = 30 * 24 * 3600
UNFINISHED_SECONDS = 24 * 3600
NEW = ".new-"


def cache_root(environ: Mapping[str, str]) -> Path:
    """Where the wheels' parts are kept (XDG Base Directory Specification: a relative value does not count)."""
    given = Path(environ.get("XDG_CACHE_HOME", ""))
    base = given if given.is_absolute() else Path("~/.cache").expanduser()
    return base / "ocibuild" / "wheels"


def cache_key(inputs: object) -> str:
    """One name for all the inputs (anything that JSON can say)."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Entries are directories: made once, whole or absent, checked when they are used, dropped when unused for long.

    Two builds at once are safe: makers of one name wait for each other, and an entry appears by a rename.
    """

    root: Path

    def get(self, name: str, key: str, make: Callable[[Path], object]) -> Path:
        """The entry for `key`; if it isn't there or is damaged, `make` fills an empty directory that becomes it."""
        if entry := self.find(name, key):
            return entry
        self.root.mkdir(parents=True, exist_ok=True)
        with self._only_one(name):
            if entry := self.find(name, key):
                return entry
            entry = self.root / f"{name}-{key}"
            with self._scratch() as new:
                make(new)
                _seal(new)
                shutil.rmtree(entry, ignore_errors=True)
                new.rename(entry)
            self._drop_unused(time.time())
        return entry

    def find(self, name: str, key: str) -> Path | None:
        """The entry for `key`, if it is there and whole."""
        entry = self.root / f"{name}-{key}"
        return entry if _is_whole(entry) else None

    @contextlib.contextmanager
    def _only_one(self, name: str) -> Iterator[None]:
        with (self.root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        directory = Path(tempfile.mkdtemp(prefix=NEW, dir=self.root))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _drop_unused(self, now: float) -> None:
        for entry in self.root.iterdir():
            limit = UNFINISHED_SECONDS if entry.name.startswith(NEW) else UNUSED_SECONDS
            if entry.is_dir() and entry.stat().st_mtime < now - limit:
                shutil.rmtree(entry, ignore_errors=True)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and path != directory / SEAL)


def _digests(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): file_digest(path) for path in _files(directory)}


def _seal(directory: Path) -> None:
    (directory / SEAL).write_text(json.dumps(_digests(directory), indent=1), encoding="utf-8")
    directory.chmod(0o755)


def _is_whole(entry: Path) -> bool:
    try:
        # First of all, so that nobody drops it while we look.
        os.utime(entry)
        expected = json.loads((entry / SEAL).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return bool(expected == _digests(entry))

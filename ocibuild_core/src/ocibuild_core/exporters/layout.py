"""An OCI archive laid out as a directory (https://github.com/opencontainers/image-spec/blob/main/image-layout.md)."""

from __future__ import annotations

import os
import re
import tarfile
from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path

_FILE = re.compile(r"oci-layout|index\.json|blobs/[a-z0-9]+(?:[+._-][a-z0-9]+)*/[a-zA-Z0-9=_-]+")
_PIECE = 1 << 30


def unpack_layout(archive: Path, directory: Path) -> None:
    """Write the files of an OCI archive to a new directory, readable for everybody, whatever the umask.

    A layout holds regular files of known names; anything else is an error, and nothing is written outside.

    Raises:
        ExportError: the archive is damaged or no OCI archive, or the disk is full.
    """
    try:
        directory.mkdir()
        with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if not member.isdir():
                    _write(file.fileno(), member, directory)
        for path in (directory, *directory.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    except (tarfile.TarError, ValueError, OSError) as error:
        raise ExportError(f"cannot lay out {archive.name} as a directory", why=str(error)) from None
    if not (directory / "index.json").is_file():
        raise ExportError(f"cannot lay out {archive.name} as a directory", why="it holds no index.json")


def _write(archive: int, member: tarfile.TarInfo, directory: Path) -> None:
    if not member.isreg() or not _FILE.fullmatch(member.name):
        raise ValueError(f"{member.name!r} is no file of an OCI layout")
    path = directory / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        _copy(archive, file.fileno(), member.offset_data, member.size)


def _copy(source: int, target: int, offset: int, size: int) -> None:
    """The kernel copies: a blob may be gigabytes."""
    end = offset + size
    while offset < end:
        copied = os.sendfile(target, source, offset, min(end - offset, _PIECE))
        if not copied:
            raise ValueError("the archive is cut off")
        offset += copied

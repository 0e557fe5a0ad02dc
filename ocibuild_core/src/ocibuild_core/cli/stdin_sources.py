"""Sources from stdin, put where BuildKit's client can read them: `build -` and `--file -`.

What stdin holds is told as docker buildx tells it (build/opt.go in docker/buildx): for the context an archive, or else
a Dockerfile that needs none.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocibuild_core.option_sources import StdinOnce
    from ocibuild_core.settings.model import BuildSettings

_LARGEST = 2 * 1024 * 1024
"""Of a Dockerfile."""


@contextmanager
def sources_from_stdin(settings: BuildSettings, stdin: StdinOnce | None) -> Iterator[BuildSettings]:
    """The settings, with paths in place of `-`; what they name is gone when the block ends.

    Raises UsageError when stdin holds no such thing, or is read by another already.
    """
    if stdin is None or "-" not in (settings.context, settings.dockerfile):
        yield settings
        return
    from tempfile import gettempdir  # noqa: PLC0415  # most sources are files

    from ocibuild_core.auth.private_dir import private_tree  # noqa: PLC0415

    with private_tree(Path(gettempdir())) as directory:
        place = _context if settings.context == "-" else _dockerfile
        yield place(settings, stdin, directory)


def _dockerfile(settings: BuildSettings, stdin: StdinOnce, directory: Path) -> BuildSettings:
    origin = settings.origin("dockerfile")
    path = _write_dockerfile(stdin.take(f"{origin} -").read, origin, directory)
    return settings._replace(dockerfile=str(path))


def _context(settings: BuildSettings, stdin: StdinOnce, directory: Path) -> BuildSettings:
    """An archive of the context, or the Dockerfile of a build that has none."""
    from ocibuild_core.context_archive import HEADER_BYTES, Rest, is_archive, unpack_context  # noqa: PLC0415  # rare

    origin = settings.origin("context")
    if settings.dockerfile == "-":
        do = "pipe in an archive with both"
        raise UsageError("context and Dockerfile cannot both come from stdin", do=do)
    read = stdin.take(f"{origin} -").read
    header = read(HEADER_BYTES)
    whole = Rest(header, read)
    context = directory / "context"
    if is_archive(header):
        unpack_context(whole.read, context, named=f"{origin} -")
        return settings._replace(context=str(context), dockerfile=_inside(settings, context))
    if settings.dockerfile:
        raise UsageError(
            f"{origin} -: stdin holds a Dockerfile, and {settings.origin('dockerfile')} names another",
            do=f"leave out one of them, or pipe an archive in that has {settings.dockerfile}",
        )
    context.mkdir()
    path = _write_dockerfile(whole.read, origin, directory)
    return settings._replace(context=str(context), dockerfile=str(path))


def _inside(settings: BuildSettings, context: Path) -> str | None:
    """A Dockerfile's path in the archive, as a path of this machine; None when none was named.

    Raises UsageError when it leads out of the archive, by itself or by links in it.
    """
    path = context / os.path.normpath(settings.dockerfile or "Dockerfile")
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(context)):
        named = f"{settings.origin('dockerfile')} {settings.dockerfile}" if settings.dockerfile else "its Dockerfile"
        raise UsageError(f"{named}: not inside of the archive on stdin", do="name a file of the archive")
    return str(path) if settings.dockerfile else None


def _write_dockerfile(read: Callable[[int], bytes], origin: str, directory: Path) -> Path:
    content = b""
    while len(content) <= _LARGEST and (piece := read(_LARGEST + 1 - len(content))):
        content += piece
    if not content.strip():
        raise UsageError(f"{origin} -: stdin is empty", do="pipe the Dockerfile in")
    if len(content) > _LARGEST:
        raise UsageError(f"{origin} -: stdin holds more than 2 MiB", do="pipe a Dockerfile in")
    path = directory / "Dockerfile"
    path.write_bytes(content)
    return path

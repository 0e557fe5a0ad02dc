"""A Dockerfile from stdin (`--file -`), put where BuildKit's client can read it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.inputs import is_remote_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_core.option_sources import StdinOnce
    from ocibuild_core.settings.model import BuildSettings

_LARGEST = 2 * 1024 * 1024


@contextmanager
def dockerfile_from_stdin(settings: BuildSettings, stdin: StdinOnce | None) -> Iterator[BuildSettings]:
    """The settings, with a file's path in place of `-`; the file is gone when the block ends.

    Raises UsageError when stdin holds no Dockerfile, or is read by another already.
    """
    if settings.dockerfile != "-" or stdin is None:
        yield settings
        return
    origin = settings.origin("dockerfile")
    import tempfile  # noqa: PLC0415  # most Dockerfiles are files

    if is_remote_context(settings.context):
        raise UsageError(f"{origin} -: not with a remote context", do="clone it, then build the directory")
    content = stdin.read(origin, _LARGEST + 1)
    if not content.strip():
        raise UsageError(f"{origin} -: stdin is empty", do="pipe the Dockerfile in")
    if len(content) > _LARGEST:
        raise UsageError(f"{origin} -: stdin holds more than 2 MiB", do="pipe a Dockerfile in")
    with tempfile.TemporaryDirectory(prefix="ocibuild-") as directory:
        path = Path(directory) / "Dockerfile"
        path.write_bytes(content)
        yield settings._replace(dockerfile=str(path))

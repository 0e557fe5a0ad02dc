"""Destinations that no output may have: what is moved there replaces what was there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.inputs import has_local_dockerfile, is_remote_context, secret_fields
from ocibuild_core.places import closed, find_dockerfile, is_directory, replaced_at
from ocibuild_core.plan import dockerfile_location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocibuild_core.settings.model import BuildSettings

_KINDS = {stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
_DEVICES = "/dev/"


def refuse_unwritable(destinations: Iterable[Path]) -> None:
    """Raise UsageError for stdout, for what lies below a file, and for what is neither file nor directory.

    Root would replace `/dev/null` itself.

    Args:
        destinations: where outputs are to go; absolute.
    """
    for destination in destinations:
        if destination.name == "-":
            raise UsageError(
                "an output cannot go to stdout",
                why="BuildKit's log is there, and an output changes over as a whole when the build has succeeded",
                do="write it to a file: dest=PATH",
            )
        in_the_way = _in_the_way(destination)
        if in_the_way:
            raise UsageError(
                f"an output cannot go to {destination}",
                why=f"{in_the_way} is no directory",
                do="name another place: dest=PATH",
            )
        kind = special_kind(destination)
        if kind:
            raise UsageError(
                f"an output cannot go to {destination}",
                why=f"it is a {kind}, and an output replaces what was at its place",
                do="name a file; to keep nothing, leave the output out",
            )


def refuse_replacing(settings: BuildSettings, files: Iterable[str], destinations: Iterable[Path]) -> None:
    """Raise UsageError for what would put an output in the place of what the build is made from, or above it.

    Args:
        settings: what is built.
        files: those that the settings were read from.
        destinations: where outputs are to go; absolute.
    """
    sources = _by_place(settings, files)
    for destination in destinations:
        lost = _lost_at(destination, sources)
        if lost:
            raise UsageError(
                f"an output cannot go to {destination}",
                why=f"it would replace {lost}",
                do="name another place: dest=PATH",
            )


def refuse_response(response: Path, settings: BuildSettings, destinations: Iterable[Path]) -> None:
    """Raise UsageError for a response that would be written over what the build is made from, or writes.

    Args:
        response: the file that is written when all is well.
        settings: what is built.
        destinations: where outputs are to go, and what else the build keeps; absolute.
    """
    lost = _lost_at(response, _by_place(settings, ()))
    place = Path(os.path.realpath(response))
    taken = {replaced_at(destination): destination for destination in destinations}
    writing = next(
        (taken[path] for path in (replaced_at(response.absolute()), place, *place.parents) if path in taken), None
    )
    if lost or writing:
        raise UsageError(
            f"the response cannot go to {response}",
            why=f"it would replace {lost}" if lost else f"the build writes {writing}",
            do="name another file as response_path",
        )


def _by_place(settings: BuildSettings, files: Iterable[str]) -> dict[str, str]:
    return {os.path.realpath(path): what for path, what in _sources(settings, files) if os.path.lexists(path)}


def _lost_at(destination: Path, sources: Mapping[str, str]) -> str:
    """What would be replaced there; empty when nothing that counts would."""
    place = os.path.realpath(destination)
    return next((what for path, what in sources.items() if Path(path).is_relative_to(place)), "")


def _sources(settings: BuildSettings, files: Iterable[str]) -> Iterator[tuple[str | Path, str]]:
    """What a build reads that its user wrote, and what it is to him."""
    if not is_remote_context(settings.context):
        yield settings.context, "the context"
        yield f"{settings.context}/.dockerignore", ".dockerignore"
    for file in files:
        yield file, f"the settings in {file}"
    for path in (settings.target_file, settings.build_args_file, settings.labels_file):
        if path:
            yield path, f"{path}, which the build reads"
    for fields in secret_fields(settings):
        if not fields.get("env"):
            yield fields.get("src", fields["id"]), f"the secret {fields['id']!r}"
    if has_local_dockerfile(settings):
        directory, name = dockerfile_location(settings)
        for each in (find_dockerfile(f"{directory}/{name}"), f"{directory}/{name}.dockerignore"):
            if each:
                yield each, os.path.basename(each)  # noqa: PTH119  # as a user wrote it


def _in_the_way(destination: Path) -> Path | None:
    """What has the name of a directory above the destination, and is none."""
    nearest = next((parent for parent in destination.parents if os.path.lexists(parent)), None)
    return nearest if nearest and not is_directory(nearest) and not closed(nearest) else None


def special_kind(path: Path) -> str:
    """What a path is that is neither file nor directory; empty for those, and for what is not there."""
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except OSError:
        return ""
    # A redirected /dev/stdout leads to a plain file, which its link is not.
    is_link_of_devices = os.path.normpath(path).startswith(_DEVICES) and path.is_symlink()
    return kind or ("link among the devices" if is_link_of_devices else "")

"""Directories that cannot be replaced because something is mounted on them: what they hold is exchanged instead."""

from __future__ import annotations

import os
import re
import stat
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.errors import ExportError
from ocibuild_core.places import is_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STAGING_PREFIX = ".ocibuild-"
MARKER = f"{STAGING_PREFIX}unfinished"
"""Lies in a directory while some of its content is old and some is new; a kill leaves it there."""

_LOST_AND_FOUND = "lost+found"
_MOUNT_ID = r"(?m)^mnt_id:\s*(\d+)"
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = rb"\\([0-7]{3})"


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted there; also a bind mount of the same file system, which stat(2) does not show."""
    if os.path.islink(path) or not is_directory(path):  # noqa: PTH114  # as `places` says of its own
        return False
    return not are_on_one_mount(path, path.parent)


def are_on_one_mount(one: Path, other: Path) -> bool:
    """Whether files can be renamed between two directories."""
    ids = _mount_id(one), _mount_id(other)
    return one.stat().st_dev == other.stat().st_dev if None in ids else ids[0] == ids[1]


def refuse_mounted(destinations: Iterable[Path]) -> None:
    """Raise ExportError where something is mounted inside of what would be replaced, or on a file that would be.

    What is replaced is removed, and takes along what is mounted in it. A directory that is itself a mount point is no
    such place: what it holds is exchanged.
    """
    mounted = _mount_points()
    for destination in destinations:
        place = os.path.join(os.path.realpath(destination.parent), destination.name)  # noqa: PTH118  # as mountinfo has it
        inside = f"{place}/"
        for found in mounted:
            is_in_the_way = found.startswith(inside) or (found == place and not is_directory(place))
            if is_in_the_way and os.path.lexists(found):  # or a later mount, above it, hides it
                raise ExportError(
                    f"cannot replace {destination}",
                    why=f"something is mounted on {'it' if found == place else found}",
                    do="unmount it, or write elsewhere",
                )


def is_unfinished(directory: Path) -> bool:
    """Whether a kill ended an exchange."""
    return os.path.lexists(directory / MARKER)


def holds_something(directory: Path) -> bool:
    """Whether there is something in a directory that may be somebody's; not when a kill ended an exchange there."""
    if not is_directory(directory) or is_unfinished(directory):
        return False
    return bool(content_of(directory)) if is_mount_point(directory) else any(directory.iterdir())


def content_of(directory: Path) -> list[str]:
    """The names in a mount point, without what belongs to us or to the file system."""
    names = [path.name for path in directory.iterdir()]
    return [name for name in names if not name.startswith(STAGING_PREFIX) and name != _LOST_AND_FOUND]


def exchange_content(source: Path, destination: Path) -> Path:
    """Move what `source` holds to `destination`, permissions and all; both are on one file system.

    An ordinary user goes on being allowed to write `destination`, which may hold his staging area.

    Returns:
        A directory beside `source` with what was in `destination`.

    Raises:
        OSError: both are as they were. When putting them right failed, too, the marker stays.
    """
    earlier = source.with_name(f"{source.name}.earlier")
    marker = destination / MARKER
    marker.touch()
    moved: list[tuple[Path, Path]] = []
    try:
        earlier.mkdir()
        _copy_attributes(destination, earlier)
        for name in content_of(destination):
            _move(destination / name, earlier / name, moved)
        names = [path.name for path in source.iterdir()]
        for name in names:
            _move(source / name, destination / name, moved)
        _copy_attributes(source, destination)
    except BaseException:
        for before, now in reversed(moved):
            _move(now, before, [])
        with suppress(OSError):
            earlier.rmdir()
        marker.unlink()
        raise
    if MARKER not in names:
        marker.unlink()
    return earlier


@contextmanager
def movable(*directories: Path) -> Iterator[None]:
    """Lets an ordinary user move directories that he may not write, which takes the right to change their `..`."""
    with ExitStack() as stack:
        for directory in directories:
            status = directory.lstat()
            if stat.S_ISDIR(status.st_mode) and not status.st_mode & stat.S_IWUSR:
                handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
                stack.callback(os.close, handle)
                place = f"/proc/self/fd/{handle}"  # the directory itself, wherever it goes (proc(5))
                os.chmod(place, stat.S_IMODE(status.st_mode) | stat.S_IWUSR)  # noqa: PTH101
                stack.callback(os.chmod, place, stat.S_IMODE(status.st_mode))
        yield


def _move(source: Path, destination: Path, moved: list[tuple[Path, Path]]) -> None:
    with movable(source):
        source.rename(destination)
    moved.append((source, destination))


def _copy_attributes(source: Path, destination: Path) -> None:
    import shutil  # noqa: PLC0415  # only where an output is a mount point

    status = source.stat()
    with suppress(PermissionError):  # an ordinary user may fill a directory that belongs to somebody else
        os.chown(destination, status.st_uid, status.st_gid)
        shutil.copystat(source, destination)
        if os.geteuid() != 0:
            destination.chmod(stat.S_IMODE(status.st_mode) | stat.S_IRWXU)


def _mount_id(path: Path) -> int | None:
    """None where /proc does not say (proc(5), `/proc/pid/fdinfo`)."""
    handle = os.open(path, os.O_PATH | os.O_DIRECTORY)
    try:
        found = re.search(_MOUNT_ID, Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="utf-8"))
    except OSError:
        return None
    finally:
        os.close(handle)
    return int(found[1]) if found else None


def _mount_points() -> list[str]:
    """Everything that is mounted for this process (proc(5), `/proc/pid/mountinfo`); empty where /proc does not say."""
    try:
        lines = _MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    places = (line.split(b" ")[4] for line in lines)
    return [os.fsdecode(re.sub(_ESCAPED, lambda code: bytes([int(code[1], 8)]), place)) for place in places]

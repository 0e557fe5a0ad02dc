"""Put finished artifacts in their places, whole or not at all.

Each output directory gets a staging directory while the build runs, inside it or above the context that it lies in, so
that the last step is a rename on one file system. A staging directory is locked by the process that made it: one that
nobody holds was left by a kill, and the next build in that place removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ocibuild_core.engine.held_signals import ENDING, signals_held
from ocibuild_core.errors import ExportError
from ocibuild_core.exchange import move_into_place
from ocibuild_core.exporters.files import refuse_directory, refuse_file
from ocibuild_core.mount_points import (
    STAGING_PREFIX,
    are_on_one_mount,
    exchange_content,
    is_mount_point,
    movable,
    refuse_mounted,
)
from ocibuild_core.unpack.removing import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from ocibuild_core.export_records import Artifact

_CANNOT_BE_REPLACED = (errno.EXDEV, errno.EBUSY)


class Staging:
    """Private directories beside the final names, removed when the run ends.

    Args:
        context: what is built, if that is a directory here. Where an output lies in it, its staging directory is put
            above it if it can: its name is another each time, and in what is sent it would end up in the image and
            keep every `COPY .` from the cache.
    """

    def __init__(self, context: Path | None = None) -> None:
        self._context = context
        self._stack = ExitStack()
        self._by_parent: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def beside(self, destination: Path) -> Path:
        """A new empty directory on the file system of `destination`.

        Raises ExportError when the destination's directory cannot be written.
        """
        parent = destination if is_mount_point(destination) else destination.parent
        if parent not in self._by_parent:
            self._by_parent[parent] = self._make(parent)
        return new_directory(self._by_parent[parent])

    def _make(self, parent: Path) -> Path:
        try:
            missing = [each for each in (parent, *parent.parents) if not each.exists()]
            self._stack.callback(_remove_empty, missing)
            parent.mkdir(parents=True, exist_ok=True)
            place = self._place(parent)
            for each in {parent, place}:
                _remove_stale(each)
            made, lock = _locked_directory(place)
        except OSError as error:
            raise ExportError(
                f"cannot write into {parent}",
                why=error.strerror or str(error),
                do="make it writable for this user (an earlier build may have been another's), or write elsewhere",
            ) from None
        self._stack.callback(os.close, lock)
        self._stack.callback(_remove, made)
        return made

    def _place(self, parent: Path) -> Path:
        """Where nothing is sent from, if files can be renamed from there to `parent`; else that itself."""
        if self._context is None or not os.access(parent, os.W_OK | os.X_OK):
            return parent  # which is found out there, before the build
        context = self._context.resolve()
        is_sent = parent.resolve().is_relative_to(context)
        above = context.parent
        is_good = is_sent and os.access(above, os.W_OK | os.X_OK) and are_on_one_mount(above, parent)
        return above if is_good else parent


def publish(artifacts: Sequence[Artifact]) -> None:
    """Move every artifact to its destination, files and whole directories; each replaces an older one in one step.

    All that takes its time comes before the first move, and signals wait until the last. What is replaced is in the
    staging area then, so that all of it goes back when one move fails. Raises ExportError.
    """
    moves = [(artifact.source, Path(artifact.destination)) for artifact in artifacts if artifact.source]
    for source, destination in moves:
        refuse = refuse_file if source.is_dir() else refuse_directory
        refuse(destination)
    refuse_mounted(destination for _, destination in moves)
    with Staging() as near:
        ready = [(_ready(source, destination, near), destination) for source, destination in _each_source_once(moves)]
        with signals_held(ENDING):
            _move_all(ready)


def _move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    undo: list[tuple[Path, Path]] = []
    try:
        for source, destination in moves:
            with _told(destination):
                earlier = _move(source, destination)
            undo.append((earlier, destination) if earlier else (destination, source))
    except BaseException:
        _put_back(undo)
        raise


def _put_back(undo: Sequence[tuple[Path, Path]]) -> None:
    for source, destination in reversed(undo):
        with suppress(OSError):  # what failed is being said
            _move(source, destination)


@contextmanager
def _told(destination: Path) -> Iterator[None]:
    """Let what the system refuses be an error of that output."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"cannot write {destination}", why=error.strerror or str(error)) from None


def _move(source: Path, destination: Path) -> Path | None:
    """Move or exchange; where that is now what was there, None when nothing was.

    A directory that is mounted, or that overlayfs cannot rename, changes what it holds instead.
    """
    if source.is_dir() and is_mount_point(destination):
        return exchange_content(source, destination)
    try:
        with movable(source, *(destination,) if destination.is_dir() else ()):
            return source if move_into_place(source, destination) else None
    except OSError as error:
        if error.errno not in _CANNOT_BE_REPLACED or not source.is_dir():
            raise
    return exchange_content(source, destination)


def _ready(source: Path, destination: Path, near: Staging) -> Path:
    """What only has to be renamed: a file that was staged in a mount point may belong beside that."""
    if source.is_dir():
        return source
    with _told(destination):
        if not are_on_one_mount(source.parent, destination.parent):
            source = _copy(source, near.beside(destination) / source.name)
        source.chmod(0o644)
    return source


def _copy(source: Path, destination: Path) -> Path:
    import shutil  # noqa: PLC0415  # as long to load as the rest of this; most outputs have one place

    return Path(shutil.copyfile(source, destination))


def _each_source_once(moves: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The moves, where a file of BuildKit's that goes to several places is copied for all but the first."""
    once: dict[Path, Path] = {}
    for number, (source, destination) in enumerate(moves):
        if source in once:
            copy = source.with_name(f"{source.name}-{number}")
            with _told(destination):
                _copy(source, copy)
            once[copy] = destination
        else:
            once[source] = destination
    return list(once.items())


def new_directory(parent: Path, prefix: str = "") -> Path:
    """A new directory that nobody else may enter."""
    made = parent / f"{prefix}{os.urandom(6).hex()}"
    made.mkdir(mode=0o700)
    return made


def _locked_directory(parent: Path) -> tuple[Path, int]:
    """A new staging directory and its lock.

    Until it has that, a build that begins meanwhile may take it for one that a killed build left, and remove it.
    """
    while True:
        made = new_directory(parent, STAGING_PREFIX)
        with suppress(FileNotFoundError):
            lock = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if made.exists():
                return made, lock
            os.close(lock)


def _remove_stale(parent: Path) -> None:
    """Remove what a killed build left here: a staging directory of ours that no process holds."""
    for left in parent.glob(f"{STAGING_PREFIX}*"):
        with suppress(OSError):
            if left.is_symlink() or left.stat().st_uid != os.geteuid():
                continue
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(left)
            finally:
                os.close(handle)


def _remove_empty(made: Sequence[Path]) -> None:
    """Remove directories that were made for outputs that did not come, the innermost first."""
    for directory in made:
        with suppress(OSError):
            directory.rmdir()


def _remove(staging: Path) -> None:
    """Remove a staging directory; what cannot be removed is left to the next build in that place."""
    with suppress(OSError):
        remove_tree(staging)

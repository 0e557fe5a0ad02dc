"""The root file system of an image, from its archive."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import ExportError
from ocibuild_core.unpack.applier import Applier
from ocibuild_core.unpack.attributes import attributes_for_this_user, xattr_names
from ocibuild_core.unpack.directories import DIRECTORY, Directories
from ocibuild_core.unpack.errors import LayerError
from ocibuild_core.unpack.image import BlobReader, Image, read_image
from ocibuild_core.unpack.nodes import Nodes
from ocibuild_core.unpack.notes import Notes
from ocibuild_core.unpack.progress import Progress
from ocibuild_core.unpack.source import ByteSource
from ocibuild_core.unpack.streams import ReadAhead, decompressed
from ocibuild_core.unpack.tar import TarReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ocibuild_core.unpack.image import Blob

_SHOWN_DIGEST = len("sha256:") + 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What was made.

    Args:
        config: the image's configuration.
        entries: how many entries its layers had.
        notes: what was left out, a line each.
    """

    config: Mapping[str, Any]
    entries: int
    notes: tuple[str, ...]


def unpack(archive: Path, target: Path, *, tell: Callable[[str], None], platform: str | None = None) -> Unpacked:
    """Make the root file system of an image in an archive.

    Args:
        archive: the archive.
        target: the directory to make, where nobody else can reach it meanwhile. After a failure half a tree is there.
        tell: takes a line about progress every few seconds.
        platform: which image, where the archive holds several.

    Raises:
        ExportError: the archive or a layer is damaged, wants what no layer may, or the system refuses it.
    """
    with ExitStack() as stack:
        try:
            file = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, file)
            image = read_image(file, platform)
        except (LayerError, OSError) as error:
            raise ExportError(f"cannot read the image in {archive.name}", why=_reason(error)) from None
        try:
            return _unpack(file, image, target, tell)
        except OSError as error:
            raise ExportError("cannot write the root file system", why=_reason(error)) from None


def _unpack(file: int, image: Image, target: Path, tell: Callable[[str], None]) -> Unpacked:
    notes = Notes()
    readers = [BlobReader(file, blob) for blob in image.layers]
    progress = Progress(tell, sum(blob.size for blob in image.layers))
    attributes = attributes_for_this_user(notes)
    entries = 0
    with Directories(_make_root(target)) as directories, ReadAhead(_all_pieces(readers)) as pieces:
        applier = Applier(directories, Nodes(attributes, notes), attributes)
        for number, blob in enumerate(image.layers, start=1):
            name = f"layer {number} of {len(image.layers)}"
            source = ByteSource(_watched(pieces, progress, readers, name))
            try:
                entries += applier.apply(TarReader(source))
                source.drain()
            except (LayerError, OSError) as error:
                raise _failure(name, blob, error) from None
    return Unpacked(config=image.config, entries=entries, notes=tuple(notes.lines()))


def _make_root(target: Path) -> int:
    """The root, without what it inherits from the directory it is made in."""
    target.mkdir()
    root = os.open(target, DIRECTORY)
    for name in xattr_names(root):
        if name.startswith(b"system.posix_acl_"):
            os.removexattr(root, name)
    os.fchmod(root, 0o755)
    return root


def _all_pieces(readers: list[BlobReader]) -> Iterator[bytes]:
    """The layers one after the other, an empty piece behind each."""
    for reader in readers:
        yield from decompressed(reader.read)
        yield b""


def _watched(pieces: Iterator[bytes], progress: Progress, readers: list[BlobReader], name: str) -> Iterator[bytes]:
    for piece in pieces:
        progress.at(sum(reader.done for reader in readers), name)
        yield piece


def _failure(name: str, blob: Blob, error: LayerError | OSError) -> ExportError:
    do = error.do if isinstance(error, LayerError) else ""
    return ExportError(f"cannot unpack {name}, {blob.digest[:_SHOWN_DIGEST]}", why=_reason(error), do=do)


def _reason(error: LayerError | OSError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)

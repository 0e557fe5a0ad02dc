"""A build context from an archive, unpacked where BuildKit's client can read it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[[int], bytes]

HEADER_BYTES = 1024
"""What `is_archive` wants to see: two blocks of a tar."""
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
_MAGICS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", _BZIP2, _XZ)
_BLOCK = 512


def is_archive(header: bytes) -> bool:
    """Whether what begins so is a tar, or compressed as one may be; text is neither.

    docker buildx tells a context from a Dockerfile in the same way (build/utils.go in docker/buildx).
    """
    if header.startswith(_MAGICS):
        return True
    if len(header) < _BLOCK:
        return False
    from ocibuild_core.unpack.errors import LayerError  # noqa: PLC0415  # only for a context from stdin
    from ocibuild_core.unpack.header import parse_header  # noqa: PLC0415

    try:
        parse_header(header[:_BLOCK])
    except LayerError:
        return False
    return True


def unpack_context(read: Read, target: Path, *, named: str) -> None:
    """Unpack an archive into a new directory, whatever it holds inside of that.

    Owners are left out, for a build takes none from its context.

    Args:
        read: gives up to so many bytes, none at the end.
        target: the directory to make.
        named: what messages call the archive.

    Raises:
        UsageError: the archive is damaged, or there is no room for it.
    """
    from ocibuild_core.unpack.applier import Applier  # noqa: PLC0415  # only for a context from stdin
    from ocibuild_core.unpack.attributes import UnownedAttributes  # noqa: PLC0415
    from ocibuild_core.unpack.directories import Directories  # noqa: PLC0415
    from ocibuild_core.unpack.errors import LayerError  # noqa: PLC0415
    from ocibuild_core.unpack.nodes import Nodes  # noqa: PLC0415
    from ocibuild_core.unpack.notes import Notes  # noqa: PLC0415
    from ocibuild_core.unpack.source import ByteSource  # noqa: PLC0415
    from ocibuild_core.unpack.streams import decompressed  # noqa: PLC0415
    from ocibuild_core.unpack.tar import TarReader  # noqa: PLC0415

    target.mkdir(mode=0o700)
    notes = Notes()
    attributes = UnownedAttributes(notes)
    try:
        with Directories(os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as directories:
            source = ByteSource(decompressed(_plain(read)))
            Applier(directories, Nodes(attributes, notes), attributes).apply(TarReader(source))
            source.drain()
    except (LayerError, OSError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{named}: the archive cannot be unpacked", why=why, do="pipe a whole tar in") from None


def _plain(read: Read) -> Read:
    """The same without bzip2 and xz, which no layer may have but a context may."""
    header = read(len(_XZ))
    while len(header) < len(_XZ) and (more := read(len(_XZ) - len(header))):
        header += more
    stream = Rest(header, read)
    if header.startswith(_BZIP2):
        import bz2  # noqa: PLC0415  # next to nobody has one

        return bz2.open(stream).read  # type: ignore[call-overload,no-any-return]  # `read` is all that it uses
    if header == _XZ:
        import lzma  # noqa: PLC0415  # see above

        return lzma.open(stream).read  # type: ignore[call-overload,no-any-return]
    return stream.read


class Rest:
    """What was read already, then what follows.

    Args:
        header: what was read.
        read: gives up to so many bytes of what follows, none at the end.
    """

    def __init__(self, header: bytes, read: Read) -> None:
        self._header = header
        self._read = read

    def read(self, count: int) -> bytes:
        """Up to so many bytes."""
        if not self._header:
            return self._read(count)
        piece, self._header = self._header[:count], self._header[count:]
        return piece

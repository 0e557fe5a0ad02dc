"""The entries of a layer's tar stream.

Read by hand because Python's tarfile takes several times as long for an entry. Where programs differ in what they make
of an archive, this goes with Go's archive/tar: what it yields is what BuildKit built upon.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ocibuild_core.unpack import sparse
from ocibuild_core.unpack.errors import LayerError, shown
from ocibuild_core.unpack.header import BLOCK, ZERO_BLOCK, Header, parse_header
from ocibuild_core.unpack.pax import parse_count, parse_records, parse_time, xattrs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocibuild_core.unpack.source import Source

Records = list[tuple[bytes, bytes]]

_LARGEST_EXTENSION = 1024 * 1024  # the limit of Go's archive/tar
_LAST_ID = 2**32 - 2  # the one above means "leave it as it is" to chown
_LARGEST_FILE = 2**63 - 1


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    HARD_LINK = "hard link"
    SYMLINK = "symbolic link"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    DIRECTORY = "directory"
    FIFO = "FIFO"


class Entry(NamedTuple):
    """One entry, its extended headers taken into account. A plain tuple because there are very many.

    Args:
        kind: what it is.
        name: where it goes, as written.
        link: what a link points to, as written.
        mode: permissions and the set-id and sticky bits.
        uid: the owner.
        gid: the group.
        size: how long a file is, holes included.
        mtime: nanoseconds since 1970; may be negative.
        device: major and minor number.
        xattrs: extended attributes.
        fragments: the pieces of a file with holes that are stored; None for a file that is stored whole.
    """

    kind: Kind
    name: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    device: tuple[int, int]
    xattrs: tuple[tuple[bytes, bytes], ...]
    fragments: Sequence[sparse.Fragment] | None


_KINDS: Mapping[bytes, Kind] = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,  # contiguous, which no file system of today knows
    b"S": Kind.FILE,  # with holes
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}


class TarReader:
    """Reads entries one after the other; what nobody took of a file's content is left out."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        """All entries; raises LayerError when the archive is damaged. Content is read between the steps."""
        while (entry := self._read()) is not None:
            yield entry

    def content(self, limit: int) -> Iterator[memoryview]:
        """The next bytes of what is stored of the current file. Raises LayerError when the archive ends within.

        Args:
            limit: how many; no more than there are.
        """
        while limit:
            part = self._source.part(limit)
            limit -= len(part)
            self._left -= len(part)
            yield part

    def _read(self) -> Entry | None:
        source = self._source
        records: Records = []
        long_name = long_link = b""
        while True:
            source.skip(self._left + self._padding)
            self._left = self._padding = 0
            block = source.take_block(BLOCK)
            if block is None or block == ZERO_BLOCK:
                self._check_end(block, is_within=bool(records or long_name or long_link))
                return None
            header = parse_header(block)
            match header.flag:
                case b"x":
                    records = parse_records(self._extension(header))
                case b"g":  # for all entries that follow; Go hands it on and BuildKit leaves it out
                    self._extension(header)
                case b"L":
                    long_name = self._extension(header).partition(b"\0")[0]
                case b"K":
                    long_link = self._extension(header).partition(b"\0")[0]
                case _:
                    return self._entry(header, block, records, long_name, long_link)

    def _check_end(self, block: bytes | None, *, is_within: bool) -> None:
        if is_within:
            raise LayerError("it ends after an extended header, and what that belongs to is missing")
        if block is not None and self._source.take_block(BLOCK) not in (ZERO_BLOCK, None):
            raise LayerError("a block of zeros stands where a tar header is due")

    def _extension(self, header: Header) -> bytes:
        if not 0 <= header.size <= _LARGEST_EXTENSION:
            raise LayerError(f"an extended header of {header.size} bytes")
        self._padding = -header.size % BLOCK
        return self._source.take(header.size)

    def _entry(self, header: Header, block: bytes, records: Records, long_name: bytes, long_link: bytes) -> Entry:
        if records:
            header = _with_records(header, records)
        kind = _KINDS.get(header.flag)
        if kind is None:
            raise LayerError(f"{shown(header.name)} is of the unknown type {header.flag!r}")
        name, link = long_name or header.name, long_link or header.link
        if header.flag == b"\0" and name.endswith(b"/"):
            kind = Kind.DIRECTORY
        size = header.size
        fragments: Sequence[sparse.Fragment] | None = None
        if kind is Kind.FILE:
            self._left, self._padding = size, -size % BLOCK
            if records or header.flag == b"S":
                name, size, fragments = self._holes(header, block, records, name)
        entry = Entry(
            kind,
            name,
            link,
            header.mode & 0o7777,
            header.uid,
            header.gid,
            size,
            header.mtime,
            (header.major, header.minor),
            xattrs_of(records) if records else (),
            fragments,
        )
        _check(entry)
        return entry

    def _holes(
        self, header: Header, block: bytes, records: Records, name: bytes
    ) -> tuple[bytes, int, Sequence[sparse.Fragment] | None]:
        """Name, size and fragments of a file that may have holes."""
        given = dict(records)
        if header.flag == b"S":
            size, fragments = sparse.from_old_header(block, self._source.take)
        elif given.get(b"GNU.sparse.major") == b"1":
            fragments, taken = sparse.from_content(self._source.take)
            self._left -= taken
            size = parse_count(given.get(b"GNU.sparse.realsize", b""))
        elif b"GNU.sparse.size" in given:
            fragments = sparse.from_records(records)
            size = parse_count(given[b"GNU.sparse.size"])
        else:
            return name, header.size, None
        sparse.check(fragments, real_size=size, stored=self._left)
        return given.get(b"GNU.sparse.name", name), size, fragments


def _with_records(header: Header, records: Records) -> Header:
    given = {key: value for key, value in records if value}
    return header._replace(
        name=given.get(b"path", header.name),
        link=given.get(b"linkpath", header.link),
        mtime=parse_time(given[b"mtime"]) if b"mtime" in given else header.mtime,
        uid=parse_count(given[b"uid"]) if b"uid" in given else header.uid,
        gid=parse_count(given[b"gid"]) if b"gid" in given else header.gid,
        size=parse_count(given[b"size"]) if b"size" in given else header.size,
    )


def _check(entry: Entry) -> None:
    """Refuse what no file system can hold."""
    if b"\0" in entry.name or b"\0" in entry.link:
        raise LayerError(f"{shown(entry.name)} has a NUL in its name or in what it points to")
    if not (0 <= entry.uid <= _LAST_ID and 0 <= entry.gid <= _LAST_ID and 0 <= entry.size <= _LARGEST_FILE):
        raise LayerError(f"{shown(entry.name)} has owner {entry.uid}:{entry.gid} and size {entry.size}")

"""Tar archives byte by byte: also such as no tar program would write."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BLOCK = 512
END = bytes(2 * BLOCK)
PAX, GNU, PLAIN = "pax", "gnu", "plain"

_WIDTHS = (
    *(("name", 100), ("mode", 8), ("uid", 8), ("gid", 8), ("size", 12), ("mtime", 12), ("checksum", 8), ("type", 1)),
    *(("link", 100), ("magic", 8), ("uname", 32), ("gname", 32), ("major", 8), ("minor", 8), ("prefix", 155)),
    ("rest", 12),
)
_MAGIC = {PAX: b"ustar\x0000", GNU: b"ustar  \0", PLAIN: bytes(8)}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry of a layer.

    Args:
        name: as it is to stand there.
        type: the type flag.
        content: of a file.
        link: what a link points to.
        mode: permissions.
        uid: owner.
        gid: group.
        mtime: seconds; a fraction takes an extended header.
        device: major and minor number.
        xattrs: extended attributes.
        records: further pax records.
        size: when it is not that of the content.
        form: how what does not fit into the header is written: PAX, GNU, or PLAIN, which cannot.
    """

    name: bytes
    type: bytes = b"0"
    content: bytes = b""
    link: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = 1_000_000_000
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)
    records: Sequence[tuple[bytes, bytes]] = ()
    size: int | None = None
    form: str = PAX

    def encode(self) -> bytes:
        """The bytes of the entry, with its extended headers and its content."""
        size = len(self.content) if self.size is None else self.size
        extra = self._records(size) if self.form == PAX else []
        head = b""
        if extra:
            head += _extension(b"x", b"".join(record(key, value) for key, value in extra))
        if self.form == GNU:
            for flag, text in ((b"L", self.name), (b"K", self.link)):
                if len(text) > 100:
                    head += _extension(flag, text + b"\0")
        return head + self._header(size) + padded(self.content)

    def _records(self, size: int) -> list[tuple[bytes, bytes]]:
        found = [(b"SCHILY.xattr." + key, value) for key, value in self.xattrs.items()]
        if len(self.name) > 100 or not self.name.isascii():
            found.append((b"path", self.name))
        if len(self.link) > 100 or not self.link.isascii():
            found.append((b"linkpath", self.link))
        if self.mtime != int(self.mtime) or not 0 <= self.mtime < 8**11:
            found.append((b"mtime", b"%.9f" % self.mtime))
        found += [
            (key, b"%d" % number)
            for key, number in ((b"uid", self.uid), (b"gid", self.gid), (b"size", size))
            if number >= 8**7
        ]
        return [*found, *self.records]

    def _header(self, size: int) -> bytes:
        return raw_header(
            name=self.name[:100],
            mode=octal(self.mode, 8),
            uid=_number(self.uid, 8, self.form),
            gid=_number(self.gid, 8, self.form),
            size=_number(size, 12, self.form),
            mtime=_number(int(self.mtime), 12, self.form),
            type=self.type,
            link=self.link[:100],
            magic=_MAGIC[self.form],
            major=octal(self.device[0], 8),
            minor=octal(self.device[1], 8),
        )


def file(name: bytes, content: bytes = b"", **more: Any) -> Item:  # noqa: ANN401  # the fields of `Item`
    """A regular file."""
    return Item(name=name, content=content, **more)


def directory(name: bytes, mode: int = 0o755, **more: Any) -> Item:  # noqa: ANN401  # the fields of `Item`
    """A directory."""
    return Item(name=name, type=b"5", mode=mode, **more)


def symlink(name: bytes, link: bytes, **more: Any) -> Item:  # noqa: ANN401  # the fields of `Item`
    """A symbolic link."""
    return Item(name=name, type=b"2", link=link, mode=0o777, **more)


def hard_link(name: bytes, link: bytes, **more: Any) -> Item:  # noqa: ANN401  # the fields of `Item`
    """Another name of a file."""
    return Item(name=name, type=b"1", link=link, **more)


def whiteout(name: bytes) -> Item:
    """What removes `name` of the layers below."""
    parent, slash, base = name.rpartition(b"/")
    return file(parent + slash + b".wh." + base)


def opaque(directory_name: bytes) -> Item:
    """What removes everything in a directory of the layers below."""
    return file(directory_name + b"/.wh..wh..opq")


def layer(*items: Item) -> bytes:
    """An uncompressed layer."""
    return b"".join(item.encode() for item in items) + END


def archive(layers: Iterable[bytes], config: Mapping[str, Any] | None = None) -> bytes:
    """An image archive as BuildKit lays it out: blobs by digest, the index behind them."""
    blobs = list(layers)
    document = json.dumps({"config": dict(config or {}), "rootfs": {"type": "layers"}}).encode()
    manifest = json.dumps({"config": descriptor(document), "layers": list(map(descriptor, blobs))}).encode()
    return layout(*blobs, document, manifest, index=[descriptor(manifest)])


def layout(*blobs: bytes, index: Sequence[Mapping[str, Any]]) -> bytes:
    """An OCI layout in a tar file.

    Args:
        blobs: what it holds.
        index: the descriptors in its index.json.
    """
    files = dict(sorted((f"blobs/{_digest(blob).replace(':', '/')}".encode(), blob) for blob in blobs))
    files[b"index.json"] = json.dumps({"schemaVersion": 2, "manifests": index}).encode()
    return layer(*(file(name, content) for name, content in files.items()))


def descriptor(blob: bytes, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # the fields of `Item`
    """What names a blob in a manifest or an index."""
    return {"digest": _digest(blob), "size": len(blob), **more}


def gzipped(data: bytes) -> bytes:
    """In gzip, the same bytes each time."""
    return gzip.compress(data, compresslevel=1, mtime=0)


def record(key: bytes, value: bytes) -> bytes:
    """One pax record."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def raw_header(**fields: bytes) -> bytes:
    """A header with a right checksum; each field as it is to stand there."""
    given = {"checksum": b" " * 8, **fields}
    block = b"".join(given.get(name, b"").ljust(width, b"\0") for name, width in _WIDTHS)
    assert len(block) == BLOCK
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def octal(number: int, width: int) -> bytes:
    """Octal digits, ended by a NUL."""
    return b"%0*o\0" % (width - 1, number)


def padded(content: bytes) -> bytes:
    """Filled up to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


def _number(number: int, width: int, form: str) -> bytes:
    if 0 <= number < 8 ** (width - 1):
        return octal(number, width)
    if form != GNU:
        return octal(0, width)
    return ((1 << (8 * width)) + number if number < 0 else (1 << (8 * width - 1)) + number).to_bytes(width, "big")


def _extension(flag: bytes, data: bytes) -> bytes:
    head = raw_header(name=b"extension", mode=octal(0o644, 8), size=octal(len(data), 12), type=flag, magic=_MAGIC[PAX])
    return head + padded(data)


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"

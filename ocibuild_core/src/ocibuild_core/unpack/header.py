"""One tar header: 512 bytes to fields, in the formats that Go's archive/tar reads, because BuildKit reads with that.

POSIX ustar and pax (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html), GNU
(https://www.gnu.org/software/tar/manual/html_node/Standard.html), star, and the nameless one of Unix V7.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import adler32

from ocibuild_core.unpack.errors import LayerError

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)

_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s64s8s8s155s12s")
_USTAR, _GNU, _STAR_TRAILER = b"ustar\0", b"ustar  \0", b"tar\0"
_STAR_PREFIX = 131
_BASE256, _NEGATIVE = 0x80, 0x40
_ADLER = 65521
SECOND = 1_000_000_000
"""In nanoseconds, in which times are counted here."""


class Header(NamedTuple):
    """The fields that a layer can use; names end before their first NUL, the time is nanoseconds since 1970."""

    flag: bytes
    name: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    major: int
    minor: int


def parse_header(block: bytes) -> Header:
    """The header in these 512 bytes. Raises LayerError when they are none."""
    name, mode, uid, gid, size, mtime, checksum, flag, link, magic, _, major, minor, prefix, tail = _FIELDS.unpack(
        block
    )
    if not _has_checksum(block, checksum):
        raise LayerError("there is no tar header where one is due")
    name = name.partition(b"\0")[0]
    if magic[:6] == _USTAR:
        prefix = (prefix[:_STAR_PREFIX] if tail.endswith(_STAR_TRAILER) else prefix).partition(b"\0")[0]
        if prefix:
            name = prefix + b"/" + name
    is_device = flag in b"34" and magic[:5] == _USTAR[:5]
    return Header(
        flag,
        name,
        link.partition(b"\0")[0],
        parse_number(mode),
        parse_number(uid),
        parse_number(gid),
        parse_number(size),
        parse_number(mtime) * SECOND,
        parse_number(major) if is_device else 0,
        parse_number(minor) if is_device else 0,
    )


def parse_number(field: bytes) -> int:
    """Octal digits, or GNU's binary form for what they cannot hold. Raises LayerError for anything else."""
    first = field[0]
    if first & _BASE256:
        bits = 8 * len(field)
        value = int.from_bytes(field, "big")
        return value - (1 << bits) if first & _NEGATIVE else value - (1 << (bits - 1))
    digits = field.strip(b" \0")
    if not digits:
        return 0
    try:
        if digits.isdigit():  # int() alone would take signs and underscores, too
            return int(digits, 8)
    except ValueError:
        pass
    raise LayerError(f"a tar header holds {digits!r} where octal digits are due")


def _has_checksum(block: bytes, field: bytes) -> bool:
    """Whether the sum of all bytes, the field's own taken as spaces, is what the field says.

    Adler-32's lower half is 1 + the sum, modulo 65521: the sum in one call.
    """
    try:
        said = parse_number(field)
    except LayerError:
        return False
    others = 256 - sum(field)
    if adler32(block) & 0xFFFF == (1 + said - others) % _ADLER:
        return True
    # Some old programs took the bytes as signed; Go reads those, too.
    return said == sum(block) + others - 256 * sum(byte > 127 for byte in block)  # noqa: PLR2004

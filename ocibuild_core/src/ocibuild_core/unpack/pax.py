"""Extended headers: the `key=value` records of pax, and the times and xattrs in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.unpack.errors import LayerError, shown
from ocibuild_core.unpack.header import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

XATTR = b"SCHILY.xattr."
"""What the key of an extended attribute begins with, as star named it and Go's archive/tar writes it."""

_TIME = re.compile(rb"(-?)(\d{1,19})(?:\.(\d*))?")
_NUMBER = re.compile(rb"\d{1,19}")


def parse_records(data: bytes) -> list[tuple[bytes, bytes]]:
    r"""The records of one extended header, in order. Raises LayerError when it is malformed.

    Each is `LENGTH KEY=VALUE\n`, LENGTH counting all of it; only there may a value hold newlines, `=` and NUL
    (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_03).
    """
    records = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = data[at:space]
        if space < 0 or not length.isdigit():
            raise _malformed(data[at:])
        end = at + int(length)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or data[end - 1 : end] != b"\n" or not equals or not key:
            raise _malformed(data[at:])
        records.append((key, value))
        at = end
    return records


def parse_time(value: bytes) -> int:
    """Nanoseconds since 1970 from decimal seconds, digits after the ninth dropped. Raises LayerError."""
    found = _TIME.fullmatch(value)
    if not found:
        raise LayerError(f"an extended header holds the time {shown(value)}")
    sign, seconds, fraction = found.groups()
    nanoseconds = int(seconds) * SECOND + int((fraction or b"")[:9].ljust(9, b"0"))
    return -nanoseconds if sign else nanoseconds


def parse_count(value: bytes) -> int:
    """A size or an id. Raises LayerError when it is no plain decimal number."""
    if not _NUMBER.fullmatch(value):
        raise LayerError(f"an extended header holds {shown(value)} where a number is due")
    return int(value)


def xattrs_of(records: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """The extended attributes among the records, without their prefix; of equal names the last."""
    found = {key[len(XATTR) :]: value for key, value in records if key.startswith(XATTR)}
    if any(b"\0" in name for name in found):
        raise LayerError("the name of an extended attribute has a NUL")
    return tuple(found.items())


def _malformed(rest: bytes) -> LayerError:
    return LayerError(f"an extended header is malformed at {shown(rest[:40])}")

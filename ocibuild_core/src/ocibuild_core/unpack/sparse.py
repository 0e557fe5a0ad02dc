"""Files with holes, in the four ways that GNU tar has written them.

https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.unpack.errors import LayerError
from ocibuild_core.unpack.header import BLOCK, parse_number
from ocibuild_core.unpack.pax import parse_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Fragment = tuple[int, int]
"""Offset in the file and length of one piece of data; what lies between is a hole."""

_MOST = 100_000
_NUMBER_BYTES = 12
_PAIR = 2 * _NUMBER_BYTES
_IN_HEADER, _IN_EXTENSION = 4, 21


def from_old_header(block: bytes, take: Callable[[int], bytes]) -> tuple[int, list[Fragment]]:
    """Real size and fragments of a header of type `S`; `take` gives the blocks that continue it."""
    fragments = list(_old_fragments(block[386:482], _IN_HEADER))
    is_continued, real_size = block[482], parse_number(block[483:495])
    while is_continued:
        more = take(BLOCK)
        fragments += _old_fragments(more, _IN_EXTENSION)
        is_continued = more[504]
        _limit(len(fragments))
    return real_size, fragments


def from_records(records: Sequence[tuple[bytes, bytes]]) -> list[Fragment]:
    """Fragments of the pax formats 0.0 (a record a number) and 0.1 (all in one record)."""
    numbers: list[bytes] = []
    for key, value in records:
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            numbers.append(value)
        elif key == b"GNU.sparse.map":
            numbers = value.split(b",") if value else []
    return _pairs([parse_count(number) for number in numbers])


def from_content(take: Callable[[int], bytes]) -> tuple[list[Fragment], int]:
    """Fragments of the pax format 1.0, which stand before the data, and how many bytes they and their padding took."""
    text = b""
    taken = 0

    def number() -> int:
        nonlocal text, taken
        while b"\n" not in text:
            if len(text) >= BLOCK:
                raise LayerError("the map of a sparse file is malformed")
            text += take(BLOCK)
            taken += BLOCK
        line, _, text = text.partition(b"\n")
        return parse_count(line)

    count = number()
    _limit(count)
    return _pairs([number() for _ in range(2 * count)]), taken


def check(fragments: Iterable[Fragment], *, real_size: int, stored: int) -> None:
    """Raise LayerError unless the fragments are in order, apart, inside the file, and as long as what is stored."""
    end = total = 0
    for offset, length in fragments:
        if offset < end or offset + length > real_size:
            raise LayerError("the map of a sparse file is out of order")
        end = offset + length
        total += length
    if total != stored:
        raise LayerError(f"the map of a sparse file is of {total} bytes, and {stored} are there")


def _old_fragments(data: bytes, count: int) -> Iterable[Fragment]:
    for at in range(0, count * _PAIR, _PAIR):
        if not data[at]:
            return
        yield parse_number(data[at : at + _NUMBER_BYTES]), parse_number(data[at + _NUMBER_BYTES : at + _PAIR])


def _pairs(numbers: Sequence[int]) -> list[Fragment]:
    if len(numbers) % 2:
        raise LayerError("the map of a sparse file has an odd number of numbers")
    _limit(len(numbers) // 2)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _limit(count: int) -> None:
    if count > _MOST:
        raise LayerError(f"a sparse file in more than {_MOST} pieces")

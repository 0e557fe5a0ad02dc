"""Bytes in order, out of pieces that arrive one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ocibuild_core.unpack.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source(Protocol):
    """What a tar reader reads from."""

    def take(self, count: int) -> bytes:
        """Exactly so many bytes. Raises LayerError when there are fewer."""

    def take_block(self, count: int) -> bytes | None:
        """Exactly so many bytes, or None at the end. Raises LayerError when it ends within."""

    def part(self, limit: int) -> memoryview:
        """At least one byte and at most `limit`, as many as are at hand. Raises LayerError at the end."""

    def skip(self, count: int) -> None:
        """Leave out so many bytes. Raises LayerError when there are fewer."""


class ByteSource:
    """A source out of pieces.

    Args:
        pieces: the first empty one is the end.
    """

    __slots__ = ("_at", "_before", "_end", "_piece", "_pieces")

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = self._end = 0
        self._before = 0

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._before + self._at

    def take(self, count: int) -> bytes:
        """See `Source.take`."""
        end = self._at + count
        if end <= self._end:
            found = self._piece[self._at : end]
            self._at = end
            return found
        return self._join(count)

    def take_block(self, count: int) -> bytes | None:
        """See `Source.take_block`."""
        if self._at == self._end and not self._next():
            return None
        return self.take(count)

    def part(self, limit: int) -> memoryview:
        """See `Source.part`."""
        if self._at == self._end and not self._next():
            raise _truncated(self.position)
        start = self._at
        self._at = min(start + limit, self._end)
        return memoryview(self._piece)[start : self._at]

    def skip(self, count: int) -> None:
        """See `Source.skip`."""
        while count > self._end - self._at:
            count -= self._end - self._at
            self._at = self._end
            if not self._next():
                raise _truncated(self.position)
        self._at += count

    def drain(self) -> None:
        """Leave out the rest, so that whatever makes the pieces has seen its end."""
        while self._next():
            pass

    def _join(self, count: int) -> bytes:
        parts = []
        while count:
            part = self.part(count)
            count -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _next(self) -> bool:
        self._before += self._end
        self._piece = next(self._pieces, b"")
        self._at, self._end = 0, len(self._piece)
        if not self._piece:
            self._pieces = iter(())
        return self._end > 0


def _truncated(position: int) -> LayerError:
    return LayerError(f"it ends too early, after {position} bytes")

"""Our side of the courier's socket: archives are written from what it brings, and read for what it fetches."""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORGET = 0xFFFFFFFF
"""In place of a frame's length: what was sent is worth nothing."""
_PIECE = 256 * 1024
_LONGEST_FRAME = 64 * 1024 * 1024
_LONGEST_WISH = 64
_COMPRESSION = 1
"""Most of what caches hold is compressed already."""


class Desk:
    """Serves the courier while the block runs, one connection after the other.

    Args:
        place: where the socket is made; a private directory.
        given: archives to hand out, by number of the mount; None where there is none.
        taken: where archives are written, by number.
        most_bytes: an archive that would be larger is not written.

    Attributes:
        arrived: numbers of the mounts whose archives are whole.
        too_large: numbers of those that were not written.
        damaged: numbers of those that could not be read to their ends.
        problem: what went wrong here, or None.
    """

    def __init__(self, place: Path, *, given: Sequence[Path | None], taken: Sequence[Path], most_bytes: int) -> None:
        self._given = given
        self._taken = taken
        self._most_bytes = most_bytes
        self.arrived: list[int] = []
        self.too_large: list[int] = []
        self.damaged: list[int] = []
        self.problem: OSError | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(place))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone does not wake who waits in accept(2).
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except (ConnectionError, EOFError, ValueError):
                    continue  # the step has ended, and the solve says why
                except OSError as error:
                    self.problem = error

    def _answer(self, connection: socket.socket) -> None:
        wish, _, number = self._line(connection).partition(" ")
        if wish == "put":
            self._take(connection, int(number))
        elif wish == "get":
            self._give(connection, int(number))

    def _line(self, connection: socket.socket) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) < _LONGEST_WISH:
            line += _receive(connection, 1)
        return line.decode("ascii").strip()

    def _take(self, connection: socket.socket, number: int) -> None:
        """Write an archive. What comes is read to its end in any case: a step that nobody listens to would wait."""
        writer = _Writer(self._taken[number], self._most_bytes)
        while piece := _frame(connection):
            writer.write(piece)
        writer.end()
        self.problem = self.problem or writer.problem
        if not writer.problem:
            (self.too_large if writer.is_too_large else self.arrived).append(number)
        connection.sendall(b"K")

    def _give(self, connection: socket.socket, number: int) -> None:
        """Hand out an archive. Of a damaged one the courier takes back what it wrote."""
        archive = self._given[number]
        try:
            for piece in _unpacked(archive) if archive else ():
                connection.sendall(struct.pack(">I", len(piece)) + piece)
        except zlib.error:
            self.damaged.append(number)
            connection.sendall(struct.pack(">I", FORGET))
        else:
            connection.sendall(struct.pack(">I", 0))
        with suppress(OSError):
            connection.recv(1)  # until the other side hangs up


class _Writer:
    """A compressed file that stops growing at a bound, and keeps what goes wrong to itself."""

    def __init__(self, file: Path, most_bytes: int) -> None:
        self._file = file
        self._most_bytes = most_bytes
        self._packer = zlib.compressobj(_COMPRESSION, wbits=31)
        self._size = 0
        self.problem: OSError | None = None

    @property
    def is_too_large(self) -> bool:
        """Whether the bound was reached."""
        return self._size > self._most_bytes

    def write(self, piece: bytes) -> None:
        """Compress and append."""
        self._append(self._packer.compress(piece))

    def end(self) -> None:
        """Append the rest."""
        self._append(self._packer.flush())

    def _append(self, packed: bytes) -> None:
        self._size += len(packed)
        if self.is_too_large or self.problem or not packed:
            return
        try:
            with self._file.open("ab") as file:
                file.write(packed)
        except OSError as error:
            self.problem = error


def _unpacked(archive: Path) -> Iterator[bytes]:
    """The content of a gzip file. Raises zlib.error when it is damaged or cut off."""
    unpacker = zlib.decompressobj(wbits=31)
    with archive.open("rb") as file:
        while packed := file.read(_PIECE):
            while packed:
                piece = unpacker.decompress(packed, _PIECE * 4)
                packed = unpacker.unconsumed_tail
                if piece:
                    yield piece
    if not unpacker.eof:
        raise zlib.error("it is cut off")


def _frame(connection: socket.socket) -> bytes:
    length = struct.unpack(">I", _receive(connection, 4))[0]
    if length > _LONGEST_FRAME:
        raise ValueError("a frame of the courier is too long")
    return _receive(connection, length)


def _receive(connection: socket.socket, size: int) -> bytes:
    pieces = []
    while size:
        piece = connection.recv(min(size, _PIECE))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)

"""Our side of the courier's socket: archives are written from what it brings, and read for what it fetches."""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
        packer = zlib.compressobj(_COMPRESSION, wbits=31)
        size = 0
        with self._taken[number].open("wb") as file:
            while piece := _frame(connection):
                packed = packer.compress(piece)
                size += len(packed)
                if size <= self._most_bytes:
                    file.write(packed)
            file.write(packer.flush())
        (self.arrived if size <= self._most_bytes else self.too_large).append(number)
        connection.sendall(b"K")

    def _give(self, connection: socket.socket, number: int) -> None:
        """Hand out an archive. Of a damaged one the end frame is missing, and the courier takes back what it wrote."""
        archive = self._given[number]
        if archive is None:
            return
        unpacker = zlib.decompressobj(wbits=31)
        try:
            with archive.open("rb") as file:
                while piece := file.read(_PIECE):
                    while piece:
                        _send(connection, unpacker.decompress(piece, _PIECE * 4))
                        piece = unpacker.unconsumed_tail
        except zlib.error:
            self.damaged.append(number)
            return
        if not unpacker.eof:
            self.damaged.append(number)
            return
        connection.sendall(struct.pack(">I", 0))
        with suppress(OSError):
            connection.recv(1)  # until the other side hangs up


def _send(connection: socket.socket, piece: bytes) -> None:
    if piece:
        connection.sendall(struct.pack(">I", len(piece)) + piece)


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

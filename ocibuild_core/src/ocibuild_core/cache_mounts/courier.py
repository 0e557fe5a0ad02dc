"""The program of the step: carries the content of cache mounts through a socket. `courier.py out|in NUMBER…`.

It stands alone, in a file system that holds nothing but the interpreter, this file and the mounts. The other side is
`desk.py`. A connection begins with a line that says what is wanted; then come frames: four bytes with their length, and
as much content. An empty frame is the end, which one byte confirms; the length FORGET says that what came is worth
nothing. A closed connection is no message: BuildKit hands its end on to the step late or never.
"""

import os
import shutil
import socket
import struct
import sys
import tarfile

SOCKET = "/courier.sock"
MOUNTS = "/mounts"
FORGET = 0xFFFFFFFF
_PIECE = 256 * 1024


class CutError(EOFError):
    """The other side has ended before its end frame: what it reads from is damaged."""


class Line:
    """One connection, as tarfile wants a file."""

    def __init__(self, wish: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(SOCKET)
        self._socket.sendall(wish.encode() + b"\n")
        self._rest = b""
        self.is_whole = False

    def write(self, piece: bytes) -> int:
        """Send a frame."""
        if piece:
            self._socket.sendall(struct.pack(">I", len(piece)) + piece)
        return len(piece)

    def end(self) -> None:
        """Send the end, and wait until it has arrived: what is on its way ends with the step."""
        self._socket.sendall(struct.pack(">I", 0))
        self._receive(1)

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        if not self._rest and not self.is_whole:
            length = struct.unpack(">I", self._receive(4))[0]
            if length == FORGET:
                raise CutError
            self.is_whole = length == 0
            self._rest = self._receive(length)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def __enter__(self) -> "Line":  # noqa: PYI034  # typing would have to be carried, too
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _receive(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._socket.recv(min(size, _PIECE))
            if not piece:
                raise CutError
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def main() -> None:
    """Carry the mounts of those numbers."""
    carry = {"out": carry_out, "in": carry_in}[sys.argv[1]]
    for number in sys.argv[2:]:
        carry(number, f"{MOUNTS}/{number}")


def carry_out(number: str, place: str) -> None:
    """Send what a mount holds, with owners as numbers and times to the microsecond."""
    if not os.listdir(place):  # noqa: PTH208  # see `empty`
        return
    with Line(f"put {number}") as line:
        # No file, but what tarfile asks of one when it streams.
        with tarfile.open(fileobj=line, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_PIECE) as tar:  # type: ignore[call-overload]
            tar.add(place, arcname=".")
        line.end()


def carry_in(number: str, place: str) -> None:
    """Fill a mount that is empty; one with content is of an engine that kept it, and newer."""
    if os.listdir(place):  # noqa: PTH208
        return
    try:
        with Line(f"get {number}") as line:
            with tarfile.open(fileobj=line, mode="r|", bufsize=_PIECE) as tar:  # type: ignore[call-overload]
                # What was put in here comes out as it was: the step holds nothing that could be harmed.
                tar.extraction_filter = staticmethod(lambda member, _: member)
                tar.extractall(place, numeric_owner=True)  # noqa: S202  # see above
            while line.read(_PIECE):
                pass
    except (CutError, tarfile.ReadError):
        empty(place)
    except BaseException:
        empty(place)
        raise


def empty(place: str) -> None:
    """A mount is filled as a whole or not at all."""
    for entry in os.scandir(place):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)  # noqa: PTH108  # pathlib would have to be carried, too


if __name__ == "__main__":
    main()

"""Whether a gRPC server behind a unix socket serves: it has sent the first frame that HTTP/2 asks of it."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The client's preface, and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
_FRAME_HEADER = 9
_SETTINGS = 4


class Probe:
    """Asks once and again. buildkitd listens long before it serves, so that a connection alone proves nothing.

    Args:
        path: the socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._connection: socket.socket | None = None
        self._received = b""

    @property
    def fd(self) -> int | None:
        """What to wait for: readable when there is news. None while nobody listens: then only time helps."""
        return self._connection.fileno() if self._connection else None

    def is_listening(self) -> bool:
        """Whether it takes connections; it may be long until it serves. Never waits."""
        return self._connection is not None or self._connect()

    def is_serving(self) -> bool:
        """Whether the first frame has come. Never waits."""
        if not self.is_listening():
            return False
        assert self._connection is not None  # noqa: S101  # is_listening says so
        try:
            received = self._connection.recv(_FRAME_HEADER - len(self._received))
        except BlockingIOError:
            return False
        except OSError:
            received = b""
        if not received:
            self.close()
            return False
        self._received += received
        return len(self._received) == _FRAME_HEADER and self._received[3] == _SETTINGS

    def close(self) -> None:
        """Hang up. An open connection would keep the daemon from ending in good order."""
        if self._connection:
            self._connection.close()
        self._connection = None
        self._received = b""

    def _connect(self) -> bool:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(0)
        try:
            connection.connect(self._path)
            connection.send(_PREFACE)
        except OSError:
            connection.close()
            return False
        self._connection = connection
        return True


def is_listening(path: Path) -> bool:
    """Whether somebody takes connections there."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
        return True

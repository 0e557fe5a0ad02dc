"""Answers credential helpers in the running build, over a unix socket. Nothing of it touches a disk.

A connection carries one call: the helper's argument, a newline, what stood on its stdin; then the client closes its
side. The answer is the exit status as one digit, and what to print.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Protocol, Self

from ocibuild_core.late_logging import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from ocibuild_core.auth.protocol import Reply

_log = get_logger("ocibuild.auth")

MAX_REQUEST = 256 * 1024
"""Bytes; the largest true request is a `store` of a 64 KiB secret with every character escaped."""

_BACKLOG = 512
_AT_ONCE = 256
_READ_SECONDS = 10.0
_PEER = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class Replies(Protocol):
    """Who answers a call."""

    def reply(self, action: str, question: bytes) -> Reply:
        """See `Responder.reply`."""


class Broker:
    """The server. Use as a context manager, or call `close`.

    Args:
        responder: answers each call.
        read_seconds: how long a client may take to put its question.
    """

    def __init__(self, responder: Replies, *, read_seconds: float = _READ_SECONDS) -> None:
        self._responder = responder
        self._read_seconds = read_seconds
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._listener: socket.socket | None = None

    def listen(self, path: Path) -> None:
        """Serve at `path`, in a directory that is ours alone."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(path))
            path.chmod(0o600)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True, name="ocibuild-broker").start()

    def close(self) -> None:
        """Take no more calls. One under way may go on in its daemon thread."""
        listener, self._listener = self._listener, None
        if listener:
            # A shutdown wakes the accepting thread, which a mere close would not.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._listener is listener:
                    _log.debug("broker: accept: %s", error)
                    threading.Event().wait(0.01)  # out of file descriptors, most likely: they come back
                continue
            self._slots.acquire()
            try:
                threading.Thread(target=self._serve, args=(connection,), daemon=True, name="ocibuild-call").start()
            except RuntimeError as error:
                _log.debug("broker: %s", error)
                self._slots.release()
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._converse(connection)
        except OSError as error:
            _log.debug("broker: %s", error)
        finally:
            self._slots.release()

    def _converse(self, connection: socket.socket) -> None:
        uid = _peer_uid(connection)
        if uid != os.geteuid():
            _log.warning("a process of another user (uid %d) asked for this build's logins and was refused", uid)
            return
        request = self._read(connection)
        if request is None:
            return
        action, _, question = request.partition(b"\n")
        reply = self._responder.reply(action.decode("ascii", errors="replace"), question)
        connection.settimeout(self._read_seconds)
        connection.sendall(b"%d" % reply.status + reply.output)

    def _read(self, connection: socket.socket) -> bytes | None:
        """All that the client says until it closes its side; None when it is too slow or says too much."""
        end = time.monotonic() + self._read_seconds
        request = b""
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            part = connection.recv(65536)
            if not part:
                return request if b"\n" in request else None
            request += part
            if len(request) > MAX_REQUEST:
                return None
        return None


def _peer_uid(connection: socket.socket) -> int:
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(data)[1])

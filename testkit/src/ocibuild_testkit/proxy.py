"""An HTTPS proxy that knows a few names: real-looking hosts reach servers of the test, and nothing else is reached.

With `HTTPS_PROXY` set to it, BuildKit, its client, cloud SDKs and Python reach `….amazonaws.com` on a port of this
machine, without an entry in /etc/hosts and without rights. TLS stays between client and server.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from ocibuild_testkit.httpd import Handler, HttpServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_PART_BYTES = 1 << 16
_SECONDS = 60


class NameProxy:
    """Answers CONNECT (RFC 9110, section 9.3.6) for the names that it was given.

    Args:
        routes: what clients ask for (`host:port`, or `host` for port 443) to where it is (`127.0.0.1:41234`).
    """

    def __init__(self, routes: Mapping[str, str]) -> None:
        self.routes = {_with_port(name): target for name, target in routes.items()}
        self._lock = threading.Lock()
        self._asked: list[str] = []
        proxy = self

        class _Proxy(Handler):
            def do_CONNECT(self) -> None:
                proxy._connect(self)

        self._server = HttpServer(_Proxy)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        """The value for `HTTPS_PROXY`."""
        return self._server.url

    @property
    def asked(self) -> tuple[str, ...]:
        """Every `host:port` that a client wanted, in order; also those that are not known here."""
        with self._lock:
            return tuple(self._asked)

    def _connect(self, handler: Handler) -> None:
        with self._lock:
            self._asked.append(handler.path)
        target = self.routes.get(handler.path)
        if target is None:
            handler.close_connection = True
            handler.reply(HTTPStatus.BAD_GATEWAY, {"error": f"{handler.path} does not exist in this test"})
            return
        host, _, port = target.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS) as server:
            handler.send_response(HTTPStatus.OK)
            handler.end_headers()
            join(handler.connection, server)
        handler.close_connection = True


def join(client: socket.socket, server: socket.socket) -> None:
    """Hand on what either side says until both are done."""
    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
    back.start()
    _pump(client, server)
    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(_PART_BYTES):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _with_port(name: str) -> str:
    return name if name.rpartition(":")[2].isdecimal() else f"{name}:443"

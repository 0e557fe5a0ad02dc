"""A small HTTP server on loopback, for the service that a plugin talks to; with or without TLS.

A test subclasses `Handler` and hands it to `HttpServer`; a certificate comes from `registry.Authority`.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping

    from ocibuild_testkit.registry.tls import Authority

_IDLE_SECONDS = 30


class Handler(BaseHTTPRequestHandler):
    """One connection: silent, HTTP/1.1, with helpers for JSON."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class has named it
        """Say nothing: a server that wants a log keeps one itself."""

    def body(self) -> bytes:
        """The request's body, by its Content-Length."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, payload: object, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        content = json.dumps(payload).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class HttpServer:
    """Serves `handler` until it is stopped.

    Args:
        handler: the class that answers.
        host: the address, or a name for one of this machine.
        port: 0 for a free one.
        authority: speak TLS with a certificate of this authority.
        names: what the certificate is for; `host` when empty.
        bind: the address to listen on, when it is not `host`.
    """

    def __init__(
        self,
        handler: type[BaseHTTPRequestHandler],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        authority: Authority | None = None,
        names: tuple[str, ...] = (),
        bind: str | None = None,
    ) -> None:
        self.host = host
        self.scheme = "https" if authority else "http"
        context = server_context(authority, names or (host,)) if authority else None
        self._server = _Server((bind or host, port), handler, context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"{self.scheme}://{self.address}"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None
    ) -> None:
        self._context = context
        super().__init__(address, handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, so that a slow client stops nobody else."""
        if self._context is None:
            super().finish_request(request, client_address)
            return
        plain: socket.socket = request
        plain.settimeout(_IDLE_SECONDS)
        with self._context.wrap_socket(plain, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up or refuses our certificate is part of the tests; anything else is our fault."""
        import sys

        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def server_context(authority: Authority, names: tuple[str, ...]) -> ssl.SSLContext:
    """For a server with a certificate of this authority, for these names and addresses."""
    import ssl
    import tempfile
    from pathlib import Path

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="ocibuild-testkit-") as directory:
        certificate, key = authority.issue(names).write(Path(directory))
        context.load_cert_chain(certificate, key)
    return context

"""Networks that do not work, for whatever code runs in this process."""

from __future__ import annotations

import socket
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def hung_network() -> Iterator[None]:
    """Every connection succeeds, and then nothing ever comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        address: tuple[str, int] = listener.getsockname()
        local = _hung_local_socket(stack)

        def connect(original: Callable[..., Any], sock: socket.socket, target: Any) -> Any:
            if sock.family == socket.AF_INET:
                return original(sock, address)
            if local and sock.family == getattr(socket, "AF_UNIX", None):
                return original(sock, local)
            raise ConnectionRefusedError(f"the test's network has no way to {target}")

        stack.enter_context(_changed_network(connect, _resolve_to("127.0.0.1")))
        yield


@contextmanager
def dead_network() -> Iterator[None]:
    """No name is known, and every connection is refused."""

    def connect(_original: Callable[..., Any], _sock: socket.socket, target: Any) -> Any:
        raise ConnectionRefusedError(f"the test's network is down: {target}")

    def resolve(host: Any, *_args: Any, **_kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, f"the test's network is down: {host}")

    with _changed_network(connect, resolve):
        yield


@contextmanager
def _changed_network(connect: Callable[..., Any], resolve: Callable[..., Any]) -> Iterator[None]:
    kept = (socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo)
    original = kept[0]

    def connect_ex(sock: socket.socket, target: Any) -> int:
        try:
            connect(original, sock, target)
        except OSError as error:
            return error.errno or 1
        return 0

    try:
        socket.socket.connect = lambda sock, target: connect(original, sock, target)  # type: ignore[method-assign]
        socket.socket.connect_ex = connect_ex  # type: ignore[assignment, method-assign]
        socket.getaddrinfo = resolve
        yield
    finally:
        socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = kept  # type: ignore[method-assign]


def _resolve_to(address: str) -> Callable[..., Any]:
    def resolve(_host: Any, port: Any, *_args: Any, **_kwargs: Any) -> Any:
        number = port if isinstance(port, int) else 0
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, number))]

    return resolve


def _hung_local_socket(stack: ExitStack) -> str | None:
    if not hasattr(socket, "AF_UNIX"):
        return None
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ob-"))
    listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    path = str(Path(directory) / "s")
    listener.bind(path)
    listener.listen(128)
    return path

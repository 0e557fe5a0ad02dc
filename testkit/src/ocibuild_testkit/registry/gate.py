"""A registry as clouds run them: a gate of ours that checks who comes, and a real registry behind it."""

from __future__ import annotations

import http.client
import threading
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.registry.basic import basic_credentials
from ocibuild_testkit.registry.client import RegistryClient
from ocibuild_testkit.registry.requests_log import Request
from ocibuild_testkit.registry.server import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ocibuild_testkit.registry.issued import IssuedPasswords
    from ocibuild_testkit.registry.tls import Authority

_SECONDS = 30
_PART_BYTES = 1 << 16
# They belong to one connection (RFC 9110, section 7.6.1), or we write them ourselves.
_NOT_HANDED_ON = frozenset({"authorization", "connection", "content-length", "date", "server", "transfer-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How a request is turned away, in the form of the distribution specification.

    Args:
        status: the HTTP status.
        code: the error's code.
        message: the error's text.
        headers: further headers (`Retry-After`).
    """

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateManners:
    """How a gate speaks; the defaults are distribution's own words, with ECR's for what has expired.

    Args:
        challenge: the header `WWW-Authenticate` of every 401.
        unknown: no password, or one that was never issued.
        expired: a password whose time is over.
        denied: an identity that lacks the right.
    """

    challenge: str = 'Basic realm="ocibuild testkit"'
    unknown: Refusal = Refusal(status=401, code="UNAUTHORIZED", message="authentication required")
    expired: Refusal = Refusal(
        status=403, code="DENIED", message="Your authorization token has expired. Reauthenticate and try again."
    )
    denied: Refusal = Refusal(status=403, code="DENIED", message="requested access to the resource is denied")


class GatedRegistry(RegistryServer):
    """HTTP Basic with passwords of any length, which expire, and with rights for each identity.

    The registry's own htpasswd can do none of that. A gate of ours listens where clients come, and hands what it lets
    in on to a real registry behind it, which is open, but on a port that nobody is told.

    Args:
        passwords: what is accepted.
        manners: how it refuses.
        tls: as of `RegistryServer`, like all that follows.
        host: what clients call it.
        port: 0 takes a free one.
        bind: the address to listen on.
        names: further names for the certificate.
        directory: where it keeps everything.
        binary: the registry's program.
    """

    def __init__(
        self,
        passwords: IssuedPasswords,
        *,
        manners: GateManners | None = None,
        tls: Authority | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        bind: str | None = None,
        names: tuple[str, ...] = (),
        directory: Path | None = None,
        binary: Path | None = None,
    ) -> None:
        super().__init__(tls=tls, host=host, port=port, bind=bind, names=names, directory=directory, binary=binary)
        self.passwords = passwords
        self._manners = manners or GateManners()
        self._behind = 0
        self._gate: HttpServer | None = None
        self._lock = threading.Lock()
        self._log: list[Request] = []
        self._failing: list[Refusal] = []

    def fail_next(self, *refusals: Refusal) -> None:
        """Turn the next requests away like this, one each, whoever makes them."""
        with self._lock:
            self._failing.extend(refusals)

    def stop(self) -> None:
        """See `RegistryServer.stop`."""
        gate, self._gate = self._gate, None
        if gate:
            gate.stop()
        super().stop()

    @property
    def requests(self) -> tuple[Request, ...]:
        """All that came to the gate, in order; also what was turned away."""
        with self._lock:
            return tuple(self._log)

    def client(self) -> RegistryClient:
        """A client that may do everything here: it goes round the gate."""
        return RegistryClient(self.address, connect_to=("127.0.0.1", self._behind))

    def _start(self, binary: Path, directory: Path) -> None:
        super()._start(binary, directory)
        self._behind = self._port
        registry = self

        class _Gate(Handler):
            def answer(self) -> None:
                registry._pass(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # http.server's names

        self._gate = HttpServer(
            _Gate,
            host=self.host,
            port=self._wanted_port,
            authority=self.authority,
            names=self._certificate_names(),
            bind=self._bind,
        )
        self._gate.start()
        self._port = self._gate.port

    def _listener(self, directory: Path) -> dict[str, object]:
        del directory
        return {"addr": "127.0.0.1:0"}

    def _pass(self, handler: Handler) -> None:
        username, password = basic_credentials(handler.headers.get("Authorization"))
        refusal = self._refusal(handler, username, password)
        if refusal:
            self._note(handler, username, refusal.status)
            self._refuse(handler, refusal)
        else:
            self._hand_on(handler, username)

    def _refusal(self, handler: Handler, username: str, password: str) -> Refusal | None:
        with self._lock:
            if self._failing:
                return self._failing.pop(0)
        issued = self.passwords.find(username, password)
        if issued is None:
            return self._manners.unknown
        if self.passwords.has_expired(issued):
            return self._manners.expired
        repository = _repository(handler.path)
        action = "pull" if handler.command in {"GET", "HEAD"} else "push"
        return None if not repository or issued.identity.may(action, repository) else self._manners.denied

    def _refuse(self, handler: Handler, refusal: Refusal) -> None:
        headers = dict(refusal.headers)
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = self._manners.challenge
        # A client that is still sending would lose the answer together with the connection.
        for _ in _body(handler)[0] or ():
            pass
        handler.reply(refusal.status, {"errors": [{"code": refusal.code, "message": refusal.message}]}, headers)

    def _hand_on(self, handler: Handler, username: str) -> None:
        headers = _joined(
            (name, value) for name, value in handler.headers.items() if name.lower() not in _NOT_HANDED_ON
        )
        # So that it gives addresses of the gate, not its own.
        headers["X-Forwarded-Proto"] = "https" if self.authority else "http"
        body, length = _body(handler)
        if length is not None:
            headers["Content-Length"] = length
        with closing(http.client.HTTPConnection("127.0.0.1", self._behind, timeout=_SECONDS)) as connection:
            connection.request(handler.command, handler.path, body=body, headers=headers, encode_chunked=True)
            response = connection.getresponse()
            self._note(handler, username, response.status)
            _answer(handler, response)

    def _note(self, handler: Handler, username: str, status: int) -> None:
        request = Request(
            method=handler.command,
            path=handler.path,
            username=username,
            status=int(status),
            user_agent=handler.headers.get("User-Agent", ""),
            host=handler.headers.get("Host", ""),
        )
        with self._lock:
            self._log.append(request)


def _repository(path: str) -> str:
    """`/v2/team/app/manifests/1` is about `team/app`; `/v2/` about none."""
    parts = path.partition("?")[0].removeprefix("/v2/").split("/")
    ends = [number for number, part in enumerate(parts) if part in {"manifests", "blobs", "tags", "referrers"}]
    return "/".join(parts[: ends[-1]]) if ends else ""


def _body(handler: Handler) -> tuple[Iterator[bytes] | None, str | None]:
    """The request's body in parts, and its length; no length for a chunked one."""
    if "chunked" in handler.headers.get("Transfer-Encoding", "").lower():
        return _chunks(handler), None
    length = handler.headers.get("Content-Length")
    return (_parts(handler, int(length)), length) if length else (None, None)


def _parts(handler: Handler, length: int) -> Iterator[bytes]:
    while length:
        part = handler.rfile.read(min(length, _PART_BYTES))
        if not part:
            raise ConnectionError("the client hung up")
        length -= len(part)
        yield part


def _chunks(handler: Handler) -> Iterator[bytes]:
    while size := int(handler.rfile.readline().partition(b";")[0], 16):
        yield from _parts(handler, size)
        handler.rfile.readline()
    while handler.rfile.readline().strip():
        pass


def _answer(handler: Handler, response: http.client.HTTPResponse) -> None:
    handler.send_response(response.status)
    for name, value in response.getheaders():
        if name.lower() not in _NOT_HANDED_ON:
            handler.send_header(name, value)
    length = response.getheader("Content-Length")
    if length is None:
        handler.close_connection = True
        handler.send_header("Connection", "close")
    else:
        handler.send_header("Content-Length", length)
    handler.end_headers()
    while part := response.read(_PART_BYTES):
        handler.wfile.write(part)


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Each name once, which means the same (RFC 9110, section 5.3): containers/image sends an `Accept` a media type."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined

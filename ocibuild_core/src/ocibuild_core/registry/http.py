"""HTTP towards registries: proxies and certificates as the user set them, no credential redirected elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from email.message import Message
    from pathlib import Path

_LARGEST_BODY = 1024 * 1024
_MOST_REDIRECTS = 10
"""As Go's net/http and containerd's resolver, by which BuildKit asks."""
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, whatever its status.

    Args:
        status: the code.
        headers: the headers.
        body: at most 1 MiB of it.
        url: who gave it, after all redirects.
    """

    status: int
    headers: Message
    body: bytes
    url: str


class Unreachable(Exception):  # noqa: N818  # a state of the world, caught by the one who asked
    """No answer: the message says why, in words for a person."""


class HttpClient:
    """Asks, and follows the redirects of what only reads, without the credential where another server is named.

    Args:
        ca_files: certificate authorities besides those of the system.
        checks_certificates: False believes whoever answers.
        timeout: seconds for one answer.
    """

    def __init__(
        self, *, ca_files: Sequence[Path] = (), checks_certificates: bool = True, timeout: float = 10.0
    ) -> None:
        self._timeout = timeout
        self._ca_files = tuple(ca_files)
        self._checks_certificates = checks_certificates
        self._context: ssl.SSLContext | None = None

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """The answer to a request. Raises `Unreachable`."""
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask_once(method, url, headers, body)
            try:
                target = _target(method, answer)
                if not target:
                    return answer
                is_same = is_same_server(url, target)
            except ValueError:
                raise Unreachable("it redirects to what is no address") from None
            if not is_same:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            url = target
        raise Unreachable(f"it redirects more than {_MOST_REDIRECTS} times")

    def _ask_once(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        import http.client
        from urllib.error import URLError  # noqa: PLC0415  # with `ssl` these cost 60 ms, and only a check needs them
        from urllib.request import Request  # noqa: PLC0415

        if urlsplit(url).scheme not in ("http", "https"):
            raise Unreachable("the registry names an address that is neither http nor https")
        request = Request(url, method=method, headers=dict(headers), data=body)  # noqa: S310  # checked above
        try:
            with self._opener(urlsplit(url).scheme).open(request, timeout=self._timeout) as answer:
                return Response(status=answer.status, headers=answer.headers, body=answer.read(_LARGEST_BODY), url=url)
        except URLError as error:
            raise Unreachable(_reason(error.reason)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(_reason(error)) from None

    def _opener(self, scheme: str) -> Any:  # noqa: ANN401  # urllib's opener, imported late
        from urllib.request import (  # noqa: PLC0415
            HTTPHandler,
            HTTPSHandler,
            OpenerDirector,
            ProxyHandler,
        )

        # Without handlers for errors and redirects every status comes back as it is: urllib's own would take the
        # credential along.
        opener = OpenerDirector()
        opener.add_handler(ProxyHandler())
        opener.add_handler(HTTPHandler() if scheme == "http" else HTTPSHandler(context=self._tls_context()))
        return opener

    def _tls_context(self) -> ssl.SSLContext:
        """Made once. Raises `Unreachable` for an authority that cannot be read."""
        if self._context is None:
            self._context = _tls_context(self._ca_files)
            if not self._checks_certificates:
                import ssl

                self._context.check_hostname = False
                self._context.verify_mode = ssl.CERT_NONE
        return self._context


def is_same_server(one: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common. Raises ValueError for what is none."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port or _PORTS.get(first.scheme)) == (
        second.scheme,
        second.hostname,
        second.port or _PORTS.get(second.scheme),
    )


def _target(method: str, answer: Response) -> str:
    """Where an answer leads; empty when it is one by itself."""
    location = answer.headers.get("Location")
    if method not in ("GET", "HEAD") or answer.status not in _REDIRECTS or not location:
        return ""
    return urljoin(answer.url, location)


def _tls_context(ca_files: Sequence[Path]) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    for file in ca_files:
        try:
            context.load_verify_locations(file)
        except OSError as error:
            why = "no certificate" if isinstance(error, ssl.SSLError) else error.strerror or error
            raise Unreachable(f"{file}: {why}") from None
    return context


def _reason(error: object) -> str:
    """The cause in words; `ssl`'s own text names no host and no secret."""
    verify = getattr(error, "verify_message", "")
    if verify:
        return f"its certificate is not trusted: {verify}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

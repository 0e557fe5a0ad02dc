"""HTTP towards registries: proxies and certificates as the user set them, no redirect followed with a credential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from email.message import Message
    from pathlib import Path

_LARGEST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, whatever its status.

    Args:
        status: the code.
        headers: the headers.
        body: at most 1 MiB of it.
    """

    status: int
    headers: Message
    body: bytes


class Unreachable(Exception):  # noqa: N818  # a state of the world, caught by the one who asked
    """No answer: the message says why, in words for a person."""


class HttpClient:
    """Asks; follows no redirect, because that would carry the credential to another host.

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
        """One request. Raises `Unreachable`."""
        import http.client
        from urllib.error import URLError  # noqa: PLC0415  # with `ssl` these cost 60 ms, and only a check needs them
        from urllib.request import Request  # noqa: PLC0415

        if urlsplit(url).scheme not in ("http", "https"):
            raise Unreachable("the registry names an address that is neither http nor https")
        request = Request(url, method=method, headers=dict(headers), data=body)  # noqa: S310  # checked above
        try:
            with self._opener(urlsplit(url).scheme).open(request, timeout=self._timeout) as answer:
                return Response(status=answer.status, headers=answer.headers, body=answer.read(_LARGEST_BODY))
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

        # Without handlers for errors and redirects every status comes back as it is.
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

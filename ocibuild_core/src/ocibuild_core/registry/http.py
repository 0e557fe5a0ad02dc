"""HTTP towards registries: proxies and certificates as the user set them, no redirect followed with a credential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
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
        ca_file: a certificate authority besides those of the system.
        timeout: seconds for one answer.
    """

    def __init__(self, *, ca_file: Path | None = None, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._context = _tls_context(ca_file)

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Response:
        """One request. Raises `Unreachable`."""
        import http.client
        from urllib.error import URLError  # noqa: PLC0415  # with `ssl` these cost 60 ms, and only a check needs them
        from urllib.request import Request  # noqa: PLC0415

        if urlsplit(url).scheme not in ("http", "https"):
            raise Unreachable("the registry names an address that is neither http nor https")
        request = Request(url, method=method, headers=dict(headers), data=body)  # noqa: S310  # checked above
        try:
            with self._opener().open(request, timeout=self._timeout) as answer:
                return Response(status=answer.status, headers=answer.headers, body=answer.read(_LARGEST_BODY))
        except URLError as error:
            raise Unreachable(_reason(error.reason)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(_reason(error)) from None

    def _opener(self) -> Any:  # noqa: ANN401  # urllib's opener, imported late
        from urllib.request import (  # noqa: PLC0415
            HTTPHandler,
            HTTPSHandler,
            OpenerDirector,
            ProxyHandler,
        )

        # Without handlers for errors and redirects every status comes back as it is.
        opener = OpenerDirector()
        for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(context=self._context)):
            opener.add_handler(handler)
        return opener


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _reason(error: object) -> str:
    """The cause in words; `ssl`'s own text names no host and no secret."""
    verify = getattr(error, "verify_message", "")
    if verify:
        return f"its certificate is not trusted: {verify}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

"""HTTP's Basic scheme (RFC 7617), in UTF-8."""

from __future__ import annotations

import base64
import binascii


def basic_header(username: str, password: str) -> str:
    """The header `Authorization` that shows a name and a password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def basic_credentials(authorization: str | None) -> tuple[str, str]:
    """Name and password in such a header; both empty when there are none."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return username, password

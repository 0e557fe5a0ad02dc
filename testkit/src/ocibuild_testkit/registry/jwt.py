"""Signed tokens as distribution's registry reads them: JWT with ES256 (RFC 7519, RFC 7518 section 3.4)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

_COORDINATE_BYTES = 32


class SigningKey:
    """A fresh P-256 key that signs tokens."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        members = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
        # The thumbprint of RFC 7638: these members alone, in this order, without white space.
        thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode())
        self.id = _base64url(thumbprint.digest())
        self._public = {**members, "kid": self.id, "use": "sig", "alg": "ES256"}

    def jwks(self) -> str:
        """The public key as a JWK set (RFC 7517)."""
        return json.dumps({"keys": [self._public]})

    def sign(self, claims: Mapping[str, object]) -> str:
        """The signed token that makes these claims."""
        header = {"alg": "ES256", "typ": "JWT", "kid": self.id}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64url(_fixed(r) + _fixed(s))}"


def _coordinate(number: int) -> str:
    return _base64url(_fixed(number))


def _fixed(number: int) -> bytes:
    return number.to_bytes(_COORDINATE_BYTES, "big")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

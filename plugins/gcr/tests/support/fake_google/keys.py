"""RSA keys and JWTs, written on `cryptography` alone: google-auth's own code shall not judge itself."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from collections.abc import Mapping


class KeyPair:
    """A private key, named by an id."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(20)
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def pem(self) -> str:
        """The private key as a key file has it."""
        form = serialization.PrivateFormat.PKCS8
        return self._private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT (RFC 7519) signed with RS256."""
        head = {"alg": "RS256", "typ": "JWT", "kid": self.id}
        signed = f"{_encode(json.dumps(head).encode())}.{_encode(json.dumps(claims).encode())}"
        return f"{signed}.{_encode(self._private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def has_signed(self, token: str) -> bool:
        """Whether the JWT's signature is this key's, over exactly this head and these claims."""
        signed, _, signature = token.rpartition(".")
        try:
            head = json.loads(_decode(token.partition(".")[0]))
            self._private.public_key().verify(_decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return bool(head.get("alg") == "RS256")


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says, unverified; empty when it is none."""
    try:
        claims = json.loads(_decode(token.split(".")[1]))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}


def key_id(token: str) -> str:
    """The id of the key that the JWT says it was signed with."""
    try:
        return str(json.loads(_decode(token.partition(".")[0])).get("kid", ""))
    except ValueError:
        return ""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

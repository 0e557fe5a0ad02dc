"""Somebody who signs OIDC tokens: a CI system."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


class Issuer:
    """Issues tokens with a key of its own."""

    def __init__(self, url: str = "https://token.ci.example") -> None:
        self.url = url

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return self._key.public_key()

    def token(self, *, audience: str = "sts.amazonaws.com", subject: str = "repo:team/app", life: float = 300) -> str:
        now = time.time()
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": audience,
            "sub": subject,
            "iat": int(now) - 60,
            "exp": int(now + life),
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "1"})

"""Passwords as clouds hand them out: long, many at a time for one user name, each with an end."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocibuild_core.plugin import SystemClock

if TYPE_CHECKING:
    from datetime import datetime

    from ocibuild_core.plugin import Clock

    from ocibuild_testkit.registry.accounts import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One password that was handed out.

    Args:
        identity: what it stands for.
        expires_at: when it stops working; None is never.
    """

    identity: Identity
    expires_at: datetime | None


class IssuedPasswords:
    """The passwords of one registry; may change from any thread while the registry runs.

    Args:
        clock: decides what has expired.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._issued: list[Issued] = []

    def issue(self, identity: Identity, *, expires_at: datetime | None = None) -> None:
        """Accept `identity`'s name and password from now on, beside all others."""
        with self._lock:
            self._issued.append(Issued(identity=identity, expires_at=expires_at))

    def revoke(self, password: str) -> None:
        """Accept `password` no more."""
        with self._lock:
            self._issued = [one for one in self._issued if one.identity.password != password]

    def find(self, username: str, password: str) -> Issued | None:
        """What was issued with this name and password, also when it has expired."""
        with self._lock:
            issued = tuple(self._issued)
        return next((one for one in issued if _fits(one.identity, username, password)), None)

    def has_expired(self, issued: Issued) -> bool:
        """Whether its time is over."""
        return issued.expires_at is not None and issued.expires_at <= self._clock.now()


def _fits(identity: Identity, username: str, password: str) -> bool:
    return identity.username == username and hmac.compare_digest(identity.password.encode(), password.encode())

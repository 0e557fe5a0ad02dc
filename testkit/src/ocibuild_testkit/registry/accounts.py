"""Who may do what in a registry: names, passwords, rights; passwords may change while the registry runs."""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERYTHING = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One account and its rights.

    Args:
        username: its name.
        password: its password.
        pull: the repositories that it may pull, as globs (`team/*`); `*` goes across slashes.
        push: the repositories that it may push to; pulling is not part of it.
        identity_token: an OAuth2 refresh token that stands for it at a token realm; None for none.
    """

    username: str
    password: str = field(repr=False)
    pull: tuple[str, ...] = EVERYTHING
    push: tuple[str, ...] = EVERYTHING
    identity_token: str | None = field(default=None, repr=False)

    def may(self, action: str, repository: str) -> bool:
        """Whether `action` (`pull`, `push`, `delete`) on `repository` is among its rights; deleting needs `push`."""
        allowed = self.pull if action == "pull" else self.push
        return any(fnmatchcase(repository, pattern) for pattern in allowed)


class Accounts:
    """The identities of one registry. Safe to change from any thread.

    Args:
        identities: who there is at the start; the names are unique.
    """

    def __init__(self, identities: Iterable[Identity]) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Identity] = {}
        for identity in identities:
            if identity.username in self._by_name:
                raise ValueError(f"two identities are called {identity.username!r}")
            self._by_name[identity.username] = identity

    def set_password(self, username: str, password: str) -> None:
        """Give `username` another password; the old one stops working at once."""
        with self._lock:
            self._by_name[username] = replace(self._by_name[username], password=password)

    def remove(self, username: str) -> None:
        """Lock `username` out."""
        with self._lock:
            del self._by_name[username]

    def all(self) -> tuple[Identity, ...]:
        """The identities of now."""
        with self._lock:
            return tuple(self._by_name.values())

    def by_password(self, username: str, password: str) -> Identity | None:
        """The identity with this name and password."""
        found = next((one for one in self.all() if one.username == username), None)
        return found if found and _same(found.password, password) else None

    def by_identity_token(self, token: str) -> Identity | None:
        """The identity with this refresh token."""
        return next((one for one in self.all() if one.identity_token and _same(one.identity_token, token)), None)


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(errors="surrogateescape"), right.encode(errors="surrogateescape"))

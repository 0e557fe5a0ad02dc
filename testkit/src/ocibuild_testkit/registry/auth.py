"""How a registry asks who is there: not at all, by password, by Bearer token."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ocibuild_testkit.registry.accounts import Accounts, Identity
from ocibuild_testkit.registry.basic import basic_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ocibuild_testkit.registry.tls import Authority

# The registry compares with bcrypt, which reads no further (golang.org/x/crypto/bcrypt).
BCRYPT_BYTES = 72
_CHEAPEST_ROUNDS = 4


class RegistryAuth(ABC):
    """One way to guard a registry. Started before the registry, stopped after it."""

    @abstractmethod
    def start(self, directory: Path, *, host: str, authority: Authority | None) -> Mapping[str, object]:
        """Begin, and return the section `auth` of the registry's configuration.

        Args:
            directory: a private place for files.
            host: the name that clients use for this machine.
            authority: signs what else has to listen, when the registry speaks TLS.
        """

    def stop(self) -> None:  # noqa: B027  # most have nothing to end
        """End what `start` began."""

    def own_authorization(self, repository: str) -> str | None:
        """The header `Authorization` with which the testkit itself pulls and pushes; None when none is needed."""
        del repository
        return None


class NoAuth(RegistryAuth):
    """Everybody may do everything."""

    def start(self, directory: Path, *, host: str, authority: Authority | None) -> Mapping[str, object]:
        """See `RegistryAuth.start`."""
        del directory, host, authority
        return {}


class PasswordAuth(RegistryAuth):
    """HTTP Basic, checked by the registry itself against an htpasswd file.

    Whoever has a password may do everything. Passwords are 72 bytes at most, as bcrypt reads no more.

    Args:
        users: password by user name, at least one. They may change while the registry runs.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        if not users:
            raise ValueError("PasswordAuth needs at least one user")
        self._users = dict(users)
        for password in users.values():
            _check_length(password)
        self._path: Path | None = None
        self._revision = 0

    @property
    def users(self) -> dict[str, str]:
        """The passwords of now, by user name."""
        return dict(self._users)

    def start(self, directory: Path, *, host: str, authority: Authority | None) -> Mapping[str, object]:
        """See `RegistryAuth.start`."""
        del host, authority
        self._path = directory / "htpasswd"
        self._write()
        return {"htpasswd": {"realm": "ocibuild testkit", "path": str(self._path)}}

    def own_authorization(self, repository: str) -> str:
        """See `RegistryAuth.own_authorization`."""
        del repository
        return basic_header(*next(iter(self._users.items())))

    def set_password(self, username: str, password: str) -> None:
        """Give `username`, who may be new, another password; the old one stops working at once."""
        _check_length(password)
        self._users[username] = password
        self._write()

    def remove(self, username: str) -> None:
        """Lock `username` out."""
        del self._users[username]
        self._write()

    def _write(self) -> None:
        import bcrypt

        if self._path is None:
            return
        lines = (
            f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(_CHEAPEST_ROUNDS)).decode()}\n"
            for user, password in self._users.items()
        )
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(lines))
        # The registry reads the file again when its time has changed; two writes within one tick of the file system's
        # clock would otherwise look like one.
        self._revision += 1
        os.utime(fresh, (self._revision, self._revision))
        fresh.replace(self._path)


class TokenAuth(RegistryAuth):
    """Bearer tokens: the registry sends clients to a realm of ours, which knows the identities and their rights.

    The protocol is distribution's (https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/): Basic
    over GET, and the OAuth2 grants `password` and `refresh_token` over POST.

    Args:
        identities: who there is; see `accounts` for changing them while it runs.
        anonymous_pull: repositories that everybody may pull, as globs.
        lifetime: seconds that a token lives. The registry grants a minute more, for clocks that differ.
        service: the registry's name in tokens.
    """

    def __init__(
        self,
        identities: Iterable[Identity] = (),
        *,
        anonymous_pull: tuple[str, ...] = (),
        lifetime: int = 300,
        service: str = "ocibuild-testkit",
    ) -> None:
        from ocibuild_testkit.registry.realm import TokenRealm

        self.accounts = Accounts(identities)
        self.realm = TokenRealm(self.accounts, anonymous_pull=anonymous_pull, lifetime=lifetime, service=service)

    def start(self, directory: Path, *, host: str, authority: Authority | None) -> Mapping[str, object]:
        """See `RegistryAuth.start`."""
        self.realm.start(host=host, authority=authority)
        keys = directory / "jwks.json"
        keys.write_text(self.realm.key.jwks())
        return {
            "token": {
                "realm": self.realm.url,
                "service": self.realm.service,
                "issuer": self.realm.issuer,
                "jwks": str(keys),
            }
        }

    def stop(self) -> None:
        """See `RegistryAuth.stop`."""
        self.realm.stop()

    def own_authorization(self, repository: str) -> str:
        """See `RegistryAuth.own_authorization`."""
        return f"Bearer {self.realm.token_for(repository, 'pull', 'push', 'delete')}"


def _check_length(password: str) -> None:
    if len(password.encode()) > BCRYPT_BYTES:
        raise ValueError(
            f"a password is longer than {BCRYPT_BYTES} bytes, of which bcrypt ignores the rest: use GatedRegistry"
        )

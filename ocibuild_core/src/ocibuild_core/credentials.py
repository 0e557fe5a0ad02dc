"""What a provider is asked and what it answers. Part of the surface in `ocibuild_core.plugin`.

Apart from `providers`, because loading a plugin needs none of these records and each of them costs its time.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ocibuild_core.records import Record
from ocibuild_core.secret import MAX_SECRET_BYTES, Secret

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from datetime import datetime

    from ocibuild_core.clock import Clock
    from ocibuild_core.options import OptionValues


class CredentialKind(Enum):
    """What the secret is."""

    BASIC = "basic"
    """A password, or a token that is used as one, for `username`."""
    IDENTITY_TOKEN = "identity_token"  # noqa: S105  # the name of a kind
    """An OAuth2 refresh token; registries with Bearer tokens alone take it. `username` may be empty."""


class Credential(Record):
    """What a registry is shown.

    Args:
        username: without white space or control characters; empty only with an identity token.
        secret: not empty, at most 64 KiB in UTF-8.
        kind: a password or an identity token.
        expires_at: aware; None when it does not expire or nobody can say.
        detail: for people, without a secret: which identity this is and how it was found
            ("role arn:… via web identity").
    """

    username: str
    secret: Secret
    kind: CredentialKind = CredentialKind.BASIC
    expires_at: datetime | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.secret, Secret):
            raise TypeError("a credential's secret is a Secret")
        if not self.secret:
            raise ValueError("a credential's secret is empty")
        if len(self.secret.reveal().encode(errors="surrogatepass")) > MAX_SECRET_BYTES:
            raise ValueError(f"a credential's secret is longer than {MAX_SECRET_BYTES} bytes")
        if not self.username and self.kind is CredentialKind.BASIC:
            raise ValueError("a credential's username is empty")
        if any(char.isspace() or not char.isprintable() for char in self.username):
            raise ValueError("a credential's username holds white space or a control character")
        if ":" in self.username and self.kind is CredentialKind.BASIC:
            raise ValueError("a credential's username holds a colon, which ends it in HTTP's Basic scheme (RFC 7617)")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError("a credential's expires_at has no time zone")


class ProviderContext(Record):
    """What a provider is given to work with. It reads nothing else, except through its SDK.

    Args:
        options: the values of its own options.
        env: the user's environment.
        clock: where time comes from.
        deadline: in the clock's monotonic seconds; past it the host no longer waits.
        log: for talk; `debug` is shown with -vv, `info` with -v, `warning` always. No secret in it.
        explicit: the user named this provider (`--login`, `LOGIN`, a pin that covers the registry); False when it was
            asked because it is installed.
        named_as: the name or alias by which he did, in lower case; empty when he did not.
    """

    _UNSHOWN = ("env",)

    options: OptionValues
    env: Mapping[str, str]
    clock: Clock
    deadline: float
    log: logging.Logger
    explicit: bool = False
    named_as: str = ""

    def remaining(self) -> float:
        """Seconds left until the deadline, never below 0: the time limit for the next network call."""
        return max(0.0, self.deadline - self.clock.monotonic())


class CredentialRequest(ProviderContext):
    """A question for the credential of one registry.

    Args:
        registry: `host` or `host:port` in lower case; Docker Hub is `docker.io`, whatever its spelling was.
        pinned: the user named this provider for this very registry (`--login NAME=REGISTRY`): what he gave without
            saying for which one is meant for it.
    """

    registry: str
    pinned: bool = False


class LoginRequest(CredentialRequest):
    """An interactive login: `ocibuild login HOST`.

    Args:
        username: what the user gave beforehand (`--user`), or None.
        secret: what the user gave beforehand (`--stdin`), or None.
    """

    username: str | None = None
    secret: Secret | None = None


class StoredCredential(Record):
    """One entry of a credential store, as `list` tells it: no secret."""

    registry: str
    username: str

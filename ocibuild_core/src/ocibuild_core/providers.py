"""Auth providers: who can log in to which registries. Part of the surface in `ocibuild_core.plugin`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from ocibuild_core.secret import Secret

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ocibuild_core.clock import Clock
    from ocibuild_core.options import Option, OptionValues

MAX_SECRET_BYTES = 64 * 1024
"""The longest secret that is handed on; ECR passwords and key files stay far below."""


class Match(Enum):
    """How well a provider fits a registry."""

    NO = 0
    """Not this provider's registry: it is never asked for it."""
    GENERIC = 1
    """It may know this registry as it may know any (a keyring, a password for a configured host)."""
    SPECIFIC = 2
    """The registry is of the kind that this provider exists for."""


class CredentialKind(Enum):
    """What the secret is."""

    BASIC = "basic"
    """A password, or a token that is used as one, for `username`."""
    IDENTITY_TOKEN = "identity_token"  # noqa: S105  # the name of a kind
    """An OAuth2 refresh token; registries with Bearer tokens alone take it. `username` may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderContext:
    """What a provider is given to work with. It reads nothing else, except through its SDK.

    Args:
        options: the values of its own options.
        env: the user's environment.
        clock: where time comes from.
        deadline: in the clock's monotonic seconds; past it the host no longer waits.
        log: for talk; `debug` is shown with -vv, `info` with -v, `warning` always. No secret in it.
        explicit: the user named this provider (`--login`, `LOGIN`, a pin that covers the registry); False when it was
            asked because it is installed.
    """

    options: OptionValues
    env: Mapping[str, str]
    clock: Clock
    deadline: float
    log: logging.Logger
    explicit: bool = False

    def remaining(self) -> float:
        """Seconds left until the deadline, never below 0: the time limit for the next network call."""
        return max(0.0, self.deadline - self.clock.monotonic())


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequest(ProviderContext):
    """A question for the credential of one registry.

    Args:
        registry: `host` or `host:port` in lower case; Docker Hub is `docker.io`, whatever its spelling was.
        pinned: the user named this provider for this very registry (`--login NAME=REGISTRY`): what he gave without
            saying for which one is meant for it.
    """

    registry: str
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest(CredentialRequest):
    """An interactive login: `ocibuild login HOST`.

    Args:
        username: what the user gave beforehand (`--user`), or None.
        secret: what the user gave beforehand (`--stdin`), or None.
    """

    username: str | None = None
    secret: Secret | None = None


class LoginUI(Protocol):
    """The person at the terminal. Without a terminal every question raises `CredentialsUnavailable`."""

    def ask(self, question: str) -> str:
        """One line that is shown while it is typed."""

    def ask_secret(self, question: str) -> Secret:
        """One line that is not shown."""

    def say(self, text: str) -> None:
        """One line on stderr."""

    def verify(self, registry: str, credential: Credential) -> None:
        """Show the credential to the registry; raises `CredentialError` when it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCredential:
    """One entry of a credential store, as `list` tells it: no secret."""

    registry: str
    username: str


class AuthProvider(ABC):
    """One way to get credentials for registries.

    Subclass it, set the attributes, return an instance from the hook `ocibuild_auth_providers`. The host keeps one
    instance for a run and may call it from several threads at once. A method raises `CredentialError` or
    `CredentialsUnavailable`, or `UsageError` when one of its options makes no sense; whatever else comes out of it is
    reported as a fault of the plugin.

    Attributes:
        name: what the user writes in `--login`: lower case, words joined by `-`.
        summary: one line for listings.
        aliases: other names for `--login`, in lower case.
        options: what it can be told.
    """

    name: str
    summary: str
    aliases: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()

    @abstractmethod
    def match(self, registry: str, options: OptionValues) -> Match:
        """How well this provider fits `registry` (`host[:port]`, lower case).

        Pure and instant: no file, network, environment or clock. The options are there so that a provider can claim
        a self-hosted registry that they name.
        """

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """The registries that the options name outright; empty when they name none.

        A user who named this provider is owed a credential for each of them: one that is missing ends the run. May
        use the network only when the names cannot be known otherwise.
        """
        del context
        return ()

    @abstractmethod
    def get(self, request: CredentialRequest) -> Credential | None:
        """The credential for `request.registry`, without asking anybody, before `request.deadline`.

        Returns None when this provider has nothing to do with the registry. Raises `CredentialsUnavailable` when it
        has, but nothing is here to log in with, and `CredentialError` when the login went wrong.
        """


class InteractiveLogin(ABC):
    """A capability that an `AuthProvider` may have as well: `ocibuild login` and `logout`."""

    @abstractmethod
    def login(self, request: LoginRequest, ui: LoginUI) -> str:
        """Ask for what is missing, `ui.verify` it, keep it. Returns a sentence that says where it was kept."""

    @abstractmethod
    def logout(self, request: LoginRequest) -> str:
        """Forget what `login` kept. Returns a sentence that says what was forgotten."""


class CredentialStore(ABC):
    """A capability that an `AuthProvider` may have as well: what `docker login` through the helper writes to."""

    @abstractmethod
    def store(self, request: CredentialRequest, credential: Credential) -> None:
        """Keep the credential for `request.registry`, replacing the one of the same user."""

    @abstractmethod
    def erase(self, request: CredentialRequest) -> bool:
        """Forget every credential for `request.registry`; False when there was none."""

    @abstractmethod
    def list(self, context: ProviderContext) -> Iterable[StoredCredential]:
        """What is kept, without secrets."""

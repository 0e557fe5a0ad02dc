"""Auth providers: who can log in to which registries. Part of the surface in `ocibuild_core.plugin`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocibuild_core.credentials import (
        Credential,
        CredentialRequest,
        LoginRequest,
        ProviderContext,
        StoredCredential,
    )
    from ocibuild_core.diagnostics import Finding
    from ocibuild_core.options import Option, OptionValues
    from ocibuild_core.secret import Secret


class Match(Enum):
    """How well a provider fits a registry."""

    NO = 0
    """Not this provider's registry: it is never asked for it."""
    GENERIC = 1
    """It may know this registry as it may know any (a keyring, a password for a configured host)."""
    SPECIFIC = 2
    """The registry is of the kind that this provider exists for."""


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

    def notices(self, context: ProviderContext) -> Sequence[str]:
        """What was set for this provider and is not used, because nobody named it; one line each, without a secret.

        Asked once in a build, only when one of its options was set and the user did not name the provider. Instant.
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
        """Keep the credential for `request.registry`, in the place of every other user's: a helper answers with one.

        The old ones go when the new one is safe, not before.
        """

    @abstractmethod
    def erase(self, request: CredentialRequest) -> bool:
        """Forget every credential for `request.registry`; False when there was none."""

    @abstractmethod
    def list(self, context: ProviderContext) -> Iterable[StoredCredential]:
        """What is kept, without secrets."""


class Diagnostics(ABC):
    """A capability that an `AuthProvider` may have as well: what `ocibuild doctor` says of its surroundings."""

    @abstractmethod
    def diagnose(self, context: ProviderContext) -> Iterable[Finding]:
        """Look at what its logins stand on (a metadata service, a clock, a file), without logging in.

        One finding a thing; nothing for what is of no concern on this machine. May use the network until
        `context.deadline`, which is a few seconds away. What does not answer is a finding, not an error.
        """

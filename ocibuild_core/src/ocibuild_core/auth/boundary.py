"""The border between host and auth provider: whatever a provider does comes out as an answer or an error of ours.

Every failure names plugin, distribution and version.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from ocibuild_core.auth.answers import Step
from ocibuild_core.auth.calls import Call, CallTimeout
from ocibuild_core.credentials import Credential, CredentialRequest, LoginRequest, ProviderContext, StoredCredential
from ocibuild_core.errors import CredentialError, CredentialsUnavailable, OcibuildError, PluginError, UsageError
from ocibuild_core.late_logging import get_logger
from ocibuild_core.options import OptionValues
from ocibuild_core.plugin_problems import raised_at
from ocibuild_core.providers import AuthProvider, CredentialStore, Diagnostics, InteractiveLogin, Match
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.hosts import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocibuild_core.catalog import LoadedProvider
    from ocibuild_core.clock import Clock
    from ocibuild_core.diagnostics import Finding
    from ocibuild_core.providers import LoginUI
    from ocibuild_core.secret import Secret

_T = TypeVar("_T")

_OWN_RECORDS = ("ocibuild_core/credentials.py", "ocibuild_core/options.py", "ocibuild_core/secret.py")
"""Code of the surface that refuses a malformed record: its texts hold no secret, so they may be shown."""

_LAST_WORD = 0.5
"""Seconds past its deadline that a provider gets to say itself what did not answer it."""


class Surroundings(NamedTuple):
    """What every provider is given alike.

    Args:
        env: the user's environment.
        clock: where time comes from.
        timeout: seconds for one call.
    """

    env: Mapping[str, str]
    clock: Clock
    timeout: float


class GuardedProvider:
    """An auth provider behind a wall: deadlines, type checks, blame.

    Args:
        loaded: the provider and its plugin.
        surroundings: what every provider is given.
        options: the values of its options; None: their defaults.
        named_as: the name or alias by which the user named it; empty when he did not.
    """

    def __init__(
        self,
        loaded: LoadedProvider,
        surroundings: Surroundings,
        *,
        options: OptionValues | None,
        named_as: str = "",
    ) -> None:
        self.provider: AuthProvider = loaded.provider
        self.source = loaded.source
        self.name = loaded.provider.name
        self.explicit = bool(named_as)
        self._named_as = named_as
        self.hung: list[str] = []
        self._options = options or OptionValues({option.name: option.default for option in self.provider.options})
        self._env = surroundings.env
        self._clock = surroundings.clock
        self._timeout = surroundings.timeout
        self._log = get_logger(f"ocibuild.auth.{self.name}")
        self._matches: dict[str, Match | OcibuildError] = {}
        self._registries: frozenset[str] | OcibuildError | None = None
        self._registries_lock = threading.Lock()

    def __str__(self) -> str:
        return str(self.source) if self.name == self.source.id else f"{self.name!r} of {self.source}"

    @property
    def is_interactive(self) -> bool:
        """Whether people can log in with it."""
        return isinstance(self.provider, InteractiveLogin)

    @property
    def stores(self) -> bool:
        """Whether it can keep credentials."""
        return isinstance(self.provider, CredentialStore)

    @property
    def diagnoses(self) -> bool:
        """Whether it looks at its surroundings."""
        return isinstance(self.provider, Diagnostics)

    def match(self, registry: str) -> Match:
        """How well it fits the registry; asked once."""
        if registry not in self._matches:
            try:
                self._matches[registry] = self._match(registry)
            except OcibuildError as error:
                self._matches[registry] = error
        found = self._matches[registry]
        if isinstance(found, OcibuildError):
            raise found
        return found

    def registries(self) -> frozenset[str]:
        """The registries that its options name, by their one name; asked once."""
        with self._registries_lock:
            if self._registries is None:
                try:
                    self._registries = self._named_registries()
                except OcibuildError as error:
                    self._registries = error
        if isinstance(self._registries, OcibuildError):
            raise self._registries
        return self._registries

    def notices(self) -> tuple[str, ...]:
        """What was set for it and is not used; nothing was, when none of its options was set."""
        if not any(map(self._options.origin, self._options)):
            return ()
        found = self._call("notices", "", lambda: tuple(self.provider.notices(self._context())))
        if not all(isinstance(item, str) for item in found):
            raise self._fault("gave notices that are no text")
        return found

    def diagnose(self) -> tuple[Finding, ...]:
        """What it has to say of its surroundings; nothing when it does not look at them."""
        provider = self.provider
        if not isinstance(provider, Diagnostics):
            return ()
        from ocibuild_core.diagnostics import Finding  # noqa: PLC0415  # a build has no need of it

        found = self._call("diagnose", "", lambda: tuple(provider.diagnose(self._context())))
        wrong = [item for item in found if not isinstance(item, Finding)]
        if wrong:
            raise self._fault(f"diagnosed with {_kind(wrong[0])}, not a Finding")
        return found

    def get(self, registry: str, step: Step = Step.EXPLICIT) -> Credential | None:
        """Its credential for the registry; checked, not expired.

        Args:
            registry: the registry.
            step: the rule by which it is asked. One that was named for another registry is not named for this one.
        """
        credential = self._call("get", registry, lambda: self.provider.get(self._request(registry, step)))
        if credential is None:
            return None
        if not isinstance(credential, Credential):
            raise self._fault(f"returned {_kind(credential)} for {registry}, not a Credential")
        self._check(credential, registry)
        return credential

    def store(self, registry: str, credential: Credential) -> None:
        """Keep a credential."""
        keeper = self._keeper()
        self._call("store", registry, lambda: keeper.store(self._request(registry), credential))

    def erase(self, registry: str) -> bool:
        """Forget the credentials for a registry; False when there were none."""
        keeper = self._keeper()
        return bool(self._call("erase", registry, lambda: keeper.erase(self._request(registry))))

    def list(self) -> tuple[StoredCredential, ...]:
        """What it keeps."""
        keeper = self._keeper()
        found = self._call("list", "", lambda: tuple(keeper.list(self._context())))
        wrong = [item for item in found if not isinstance(item, StoredCredential)]
        if wrong:
            raise self._fault(f"listed {_kind(wrong[0])}, not a StoredCredential")
        return found

    def login(self, registry: str, ui: LoginUI, *, username: str | None, secret: Secret | None, seconds: float) -> str:
        """Log in with a person's help; the sentence that says where the login was kept.

        Runs in the caller's thread, where the terminal's signals arrive, and so without a time limit of the host's.
        """
        return self._interactive("login", registry, ui, username=username, secret=secret, seconds=seconds)

    def logout(self, registry: str, ui: LoginUI, *, username: str | None, seconds: float) -> str:
        """Forget a login; the sentence that says what was forgotten."""
        return self._interactive("logout", registry, ui, username=username, secret=None, seconds=seconds)

    def _interactive(  # noqa: PLR0913  # what two methods share
        self, method: str, registry: str, ui: LoginUI, *, username: str | None, secret: Secret | None, seconds: float
    ) -> str:
        provider = self.provider
        if not isinstance(provider, InteractiveLogin):
            raise PluginError(f"{self.source}: {self.name!r} has no interactive login")
        request = LoginRequest(
            registry=registry,
            options=self._options,
            env=self._env,
            clock=self._clock,
            deadline=self._clock.monotonic() + seconds,
            log=self._log,
            explicit=True,
            username=username,
            secret=secret,
        )
        try:
            said = provider.login(request, ui) if method == "login" else provider.logout(request)
        except Exception as error:  # noqa: BLE001  # the plugin boundary
            raise self._translated(error, method, f" for {registry}") from None
        if not isinstance(said, str):
            raise self._fault(f"returned {_kind(said)} from {method}, not a str")
        return said

    def _check(self, credential: Credential, registry: str) -> None:
        if any("\ud800" <= char <= "\udfff" for char in credential.username + credential.secret.reveal()):
            raise CredentialError(
                f"{self.source}: the credential for {registry} holds bytes that are not UTF-8",
                why="no credential helper can hand them on",
                do="use a password of valid UTF-8",
            )
        if credential.expires_at and credential.expires_at <= self._clock.now():
            raise CredentialError(
                f"{self.source}: the credential for {registry} expired at {credential.expires_at.isoformat()}",
                why=f"this machine's clock says {self._clock.now().isoformat(timespec='seconds')}",
                do="compare the clock with the time of the service that made the credential, or get a new one",
            )

    def _match(self, registry: str) -> Match:
        found = self._call("match", registry, lambda: self.provider.match(registry, self._options))
        if not isinstance(found, Match):
            raise self._fault(f"matched {registry} with {_kind(found)}, not a Match")
        return found

    def _named_registries(self) -> frozenset[str]:
        found = self._call("registries", "", lambda: tuple(self.provider.registries(self._context())))
        names: set[str] = set()
        for item in found:
            name = normalise(item) if isinstance(item, str) else None
            if name is None:
                raise self._fault(f"named {_shown(item)} as a registry")
            names.add(name)
        return frozenset(names)

    def _keeper(self) -> CredentialStore:
        if not isinstance(self.provider, CredentialStore):
            raise PluginError(f"{self.source}: {self.name!r} keeps no credentials")
        return self.provider

    def _context(self) -> ProviderContext:
        return ProviderContext(
            options=self._options,
            env=self._env,
            clock=self._clock,
            deadline=self._clock.monotonic() + self._timeout,
            log=self._log,
            explicit=self.explicit,
            named_as=self._named_as,
        )

    def _request(self, registry: str, step: Step = Step.EXPLICIT) -> CredentialRequest:
        return CredentialRequest(
            registry=registry,
            options=self._options,
            env=self._env,
            clock=self._clock,
            deadline=self._clock.monotonic() + self._timeout,
            log=self._log,
            explicit=self.explicit and step is not Step.AUTOMATIC,
            named_as=self._named_as if step is not Step.AUTOMATIC else "",
            pinned=step is Step.PINNED,
        )

    def _call(self, method: str, registry: str, function: Callable[[], _T]) -> _T:
        about = f" for {registry}" if registry else ""
        call = Call(function, say=self._printed)
        try:
            error = call.wait(self._timeout + _LAST_WORD)
        except CallTimeout:
            self.hung.append(f"{self.source}: {method}{about}")
            raise CredentialError(
                f"{self.source}: no answer{about} within {self._timeout:g} s",
                why=f"{self.name!r} was asked to {method} and has not returned",
                do="look whether the service it asks can be reached from here, or raise --login-timeout",
            ) from None
        if error is None:
            return call.result()
        # Without the chain: a foreign exception's text may hold a secret.
        raise self._translated(error, method, about) from None

    def _translated(self, error: BaseException, method: str, about: str) -> OcibuildError:
        """What came out of a provider, as an error of ours that names the plugin."""
        if isinstance(error, CredentialError | UsageError):
            return self._named(error)
        self._log.debug("%s: %s%s raised", self.source, method, about, exc_info=error)
        return self._fault(f"raised {type(error).__name__} in {method}{about}", why=_place(error))

    def _printed(self, line: str) -> None:
        self._log.info("%s printed: %s", self.source, line)

    def _named(self, error: CredentialError | UsageError) -> OcibuildError:
        kinds = (CredentialsUnavailable, CredentialError, UsageError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        return kind(f"{self.source}: {error.summary}", why=error.why, tried=error.tried, do=error.do)

    def _fault(self, what: str, why: str = "") -> PluginError:
        return PluginError(
            f"{self.source}: provider {self.name!r} {what}",
            why=why,
            do="this is a fault of the plugin: -vv shows more; report it to its authors, or leave it out with "
            f"--no-plugin {self.source.id}",
        )


def _kind(value: object) -> str:
    # The type alone: a value in the wrong place may be a password.
    return f"a value of type {type(value).__name__}"


def _shown(item: object) -> str:
    return repr(item) if isinstance(item, str) and "@" not in item else _kind(item)


def _place(error: BaseException) -> str:
    """Where it was raised; not its text, which may hold a secret unless it is our own."""
    last = raised_at(error)
    if last is None:
        return ""
    if last.filename.endswith(_OWN_RECORDS):
        return str(error)
    return f"in {last.filename}, line {last.lineno}; its text is not shown, as it may hold a secret"

"""The contract of an auth provider, as tests to inherit."""

from __future__ import annotations

import secrets
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar

import pytest
from ocibuild_core.plugin import (
    AuthProvider,
    Credential,
    CredentialError,
    Match,
    UsageError,
    parse_registry,
)

from ocibuild_testkit.broker import InThread, ProviderBroker
from ocibuild_testkit.contracts.ambient import watched_environment, watched_io
from ocibuild_testkit.contracts.diagnosing import DiagnosingContract
from ocibuild_testkit.contracts.frames import modules_of, package_of
from ocibuild_testkit.contracts.imports import third_party_imports
from ocibuild_testkit.contracts.logins import Login
from ocibuild_testkit.contracts.network import dead_network, hung_network
from ocibuild_testkit.contracts.records import check_record
from ocibuild_testkit.contracts.talk import full_text, listening
from ocibuild_testkit.leaks import LeakWatcher, raise_leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_DEADLINE_SECONDS = 1.0
_GRACE_SECONDS = 1.5
_THREADS = 4
# Registries as references may name them; a provider is asked about each, whatever it knows.
_ODD_REGISTRIES = ("docker.io", "localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "a.b-c.example:65535")


class AuthProviderContract(DiagnosingContract):
    """What the host relies on, one test each. Inherit it, and give it two fixtures: `provider` and `login`.

    What the plugin's own package does counts; what its SDK does below it is the SDK's.

    Attributes:
        other_registries: registries that the provider does not match with the options of `login`; empty for one that
            answers for every registry.
        failing_logins: further logins that fail, beside those that the contract makes of `login` (nothing set, wrong
            secrets, malformed secrets, no network).
        allowed_imports: top-level modules of other distributions that loading the plugin may import, being light.
    """

    other_registries: ClassVar[tuple[str, ...]] = ("registry.invalid", "registry.invalid:5000")
    failing_logins: ClassVar[tuple[Login, ...]] = ()
    allowed_imports: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def provider(self) -> AuthProvider:
        """The provider under test, fresh."""
        pytest.fail(f"{type(self).__name__} needs a fixture `provider` that returns the provider", pytrace=False)

    @pytest.fixture
    def login(self) -> Login:
        """A registry with the options and the environment with which a login there succeeds."""
        pytest.fail(f"{type(self).__name__} needs a fixture `login` that returns a Login that works", pytrace=False)

    @pytest.fixture
    def host(self, provider: AuthProvider, login: Login) -> ProviderBroker:
        """The host's side, set up for `login`."""
        return _broker(provider, login)

    def test_describes_itself(self, provider: AuthProvider) -> None:
        """Name, summary, aliases and options are what listings and flags are made of."""
        check_record(provider, AuthProvider)

    def test_imports_nothing_heavy_when_it_is_loaded(self, provider: AuthProvider) -> None:
        """Every `build --help` pays for it: import an SDK in the function that needs it."""
        loaded = third_party_imports(modules_of(provider), package_of(provider))
        heavy = [name for name in loaded if name not in self.allowed_imports]
        assert not heavy, f"loading the plugin imports {', '.join(heavy)}: import it in the function that needs it"

    def test_matches_its_registry(self, host: ProviderBroker, login: Login) -> None:
        """It answers for the registry of `login`."""
        assert host.match(login.registry) is not Match.NO, f"{login.registry} is not matched"

    def test_does_not_match_other_registries(self, host: ProviderBroker) -> None:
        """A registry of others is NO; a provider that answers for all says so by an empty `other_registries`."""
        wrong = [name for name in self.other_registries if host.match(name) is not Match.NO]
        assert not wrong, f"{wrong[0]} is matched; if it answers for every registry, set other_registries = ()"
        if not self.other_registries:
            unmatched = [name for name in _ODD_REGISTRIES if host.match(name) is Match.NO]
            assert not unmatched, f"{unmatched[0]} is not matched: name it in other_registries"

    def test_matches_without_io(self, host: ProviderBroker, login: Login) -> None:
        """`match` is asked for every registry of every build: it touches no file, network, process or environment."""
        package = package_of(host.provider)
        with watched_io(package) as done, watched_environment(package) as read:
            for registry in (login.registry, *self.other_registries, *_ODD_REGISTRIES):
                host.match(registry)
        assert not done, f"match does I/O: {done[0]}"
        assert not read, f"match reads the environment: {read[0]}"

    def test_says_the_same_when_asked_again(self, host: ProviderBroker, login: Login) -> None:
        """`match` and `registries` follow from the options alone; the host asks once and keeps the answer."""
        names = (login.registry, *self.other_registries)
        first = [host.match(name) for name in names], sorted(host.registries())
        _outcome(host, login.registry)
        second = [host.match(name) for name in names], sorted(host.registries())
        assert first[0] == second[0], "match gives another answer when it is asked again"
        assert first[1] == second[1], "registries gives another answer when it is asked again"

    def test_names_registries_that_it_matches(self, host: ProviderBroker) -> None:
        """What `registries` names is owed a credential, so it has to be matched."""
        for name in host.provider.registries(host.context()):
            assert parse_registry(name, what="a registry").registry == name, f"{name!r} is not `host` or `host:port`"
            assert host.match(name) is not Match.NO, f"{name} is named by registries, but not matched"

    def test_gives_a_credential(self, host: ProviderBroker, login: Login) -> None:
        """With everything in place, the registry gets a credential that is good for a while."""
        credential = host.get(login.registry)
        assert isinstance(credential, Credential), "the login is said to work, and nothing came back"
        assert credential.expires_at is None or credential.expires_at > host.clock.now(), "it has expired already"

    def test_gives_the_same_to_many_threads(self, host: ProviderBroker, login: Login) -> None:
        """The host asks from several threads at once, and each gets a credential."""
        calls = [InThread(lambda: host.provider.get(host.request(login.registry))) for _ in range(_THREADS)]
        for call in calls:
            assert call.wait(host.timeout), "a call did not come back"
            assert isinstance(call.result(), Credential)

    def test_gives_nothing_for_registries_that_it_does_not_match(self, host: ProviderBroker) -> None:
        """A credential shown to the wrong registry is stolen."""
        for name in self.other_registries:
            if host.match(name) is Match.NO:
                found = _outcome(host, name)
                assert not isinstance(found, Credential), f"{name} is not matched, but gets a credential"

    def test_keeps_the_deadline(self, host: ProviderBroker, login: Login) -> None:
        """A network that hangs costs no more than the time that the request allows."""
        host.timeout = _DEADLINE_SECONDS
        with hung_network():
            began = time.monotonic()
            call = InThread(lambda: _outcome(host, login.registry))
            came_back = call.wait(_DEADLINE_SECONDS + _GRACE_SECONDS)
            took = time.monotonic() - began
        assert came_back, (
            f"no answer {took:.1f} s after the question, {_DEADLINE_SECONDS:g} s were allowed: "
            "give every network call `request.remaining()` as its time limit"
        )

    def test_reads_no_environment_behind_the_hosts_back(self, host: ProviderBroker, login: Login) -> None:
        """The environment is `request.env`: the host decides what is in it."""
        with watched_environment(package_of(host.provider)) as read:
            host.match(login.registry)
            host.provider.registries(host.context())
            _outcome(host, login.registry)
        assert not read, f"it reads os.environ: {read[0]}; use request.env"

    def test_shows_no_secret_in_a_repr(self, host: ProviderBroker, login: Login) -> None:
        """What is printed while debugging ends in CI logs."""
        credential = host.get(login.registry)
        assert credential
        watcher = _watcher(login, credential)
        shown = {"the credential's repr": repr(credential), "the credential's detail": credential.detail}
        shown |= {"the provider's repr": repr(host.provider), "the provider's str": str(host.provider)}
        raise_leaks(leak for where, text in shown.items() for leak in watcher.find(text, where))

    def test_says_no_secret(self, provider: AuthProvider, login: Login) -> None:
        """Not in its log at any level, not on stdout or stderr; not when the login works, not when it fails."""
        for name, tried, network in (("the login works", login, nullcontext), *self._failures(login)):
            broker = _broker(provider, tried)
            with network(), listening((broker.log.name, package_of(provider))) as heard:
                found = _outcome(broker, tried.registry)
            watcher = _watcher(tried, found)
            raise_leaks(
                leak for where, text in heard.texts().items() for leak in watcher.find(text, f"{where} ({name})")
            )

    def test_shows_no_secret_in_an_error(self, provider: AuthProvider, login: Login) -> None:
        """Neither in an error nor in what stands behind it (`raise … from`), which `-v` shows as well."""
        for name, bad, network in self._failures(login):
            with network():
                found = _outcome(_broker(provider, bad), bad.registry)
            if isinstance(found, BaseException):
                raise_leaks(_watcher(bad, None).find(full_text(found), f"{type(found).__name__} ({name})"))

    def test_raises_documented_errors_alone(self, provider: AuthProvider, login: Login) -> None:
        """`CredentialError`, `CredentialsUnavailable`, `UsageError`: all else is reported as a fault of the plugin."""
        for name, bad, network in self._failures(login):
            with network():
                found = _outcome(_broker(provider, bad), bad.registry)
            if not isinstance(found, BaseException | Credential | None):
                pytest.fail(f"get returned {type(found).__name__} ({name})", pytrace=False)
            if isinstance(found, BaseException) and not isinstance(found, CredentialError | UsageError):
                pytest.fail(f"get raised {type(found).__name__} ({name})", pytrace=False)

    def _failures(self, login: Login) -> Iterator[tuple[str, Login, Callable[[], AbstractContextManager[None]]]]:
        wrong = "wrong-" + secrets.token_hex(12)
        yield "nothing is set", Login(registry=login.registry), nullcontext
        yield "wrong secrets", login.with_secrets(wrong), nullcontext
        yield "malformed secrets", login.with_whole_values(wrong), nullcontext
        yield "no network", login, dead_network
        for number, failing in enumerate(self.failing_logins, 1):
            yield f"failing login {number}", failing, nullcontext


def _broker(provider: AuthProvider, login: Login) -> ProviderBroker:
    return ProviderBroker(provider, options=login.options, env=login.env)


def _outcome(host: ProviderBroker, registry: str) -> object:
    """What `get` returns or raises."""
    try:
        return host.provider.get(host.request(registry))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what the tests look at
        return error


def _watcher(login: Login, credential: object) -> LeakWatcher:
    watcher = LeakWatcher()
    for number, secret in enumerate(login.all_secrets(), 1):
        watcher.register(secret, f"secret {number} of the login")
    if isinstance(credential, Credential):
        watcher.register(credential.secret.reveal(), "the credential's secret")
    return watcher

"""Asks one provider as the host does: with its records, under a deadline, for registries that it matches alone."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from ocibuild_core.plugin import (
    AuthProvider,
    Credential,
    CredentialRequest,
    Match,
    OptionValues,
    ProviderContext,
    Secret,
    SystemClock,
    parse_registry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ocibuild_core.plugin import Clock, Option

_T = TypeVar("_T")

OptionValue = str | int | float | bool | Path | Secret | tuple[str, ...]
"""What an option can hold, by its type; see `OptionType`."""

# buildctl keeps an answer for 4 min 50 s, so the host renews what has less than this left
# (moby/buildkit, session/auth/authprovider).
RENEWAL_MARGIN = timedelta(minutes=5, seconds=30)


class ProviderFaultError(AssertionError):
    """The provider broke the contract between host and plugin in a way that a test cannot have meant."""


class ProviderBroker:
    """The host's side of one provider.

    Args:
        provider: who is asked.
        options: the values of its options; the rest have their defaults.
        env: the user's environment.
        clock: where time comes from; a `FakeClock` moves expiry and deadlines, never how long a test really waits.
        timeout: seconds for one call.
        explicit: whether the user named the provider.
    """

    def __init__(
        self,
        provider: AuthProvider,
        *,
        options: Mapping[str, OptionValue] | None = None,
        env: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        timeout: float = 30.0,
        explicit: bool = True,
    ) -> None:
        self.provider = provider
        self.options = option_values(provider.options, options or {})
        self.env = dict(env or {})
        self.clock = clock or SystemClock()
        self.timeout = timeout
        self.explicit = explicit
        self.log = logging.getLogger(f"ocibuild.auth.{provider.name}")
        self._kept: dict[str, Credential | None] = {}

    def context(self) -> ProviderContext:
        """What `registries` gets."""
        return ProviderContext(
            options=self.options,
            env=self.env,
            clock=self.clock,
            deadline=self.clock.monotonic() + self.timeout,
            log=self.log,
            explicit=self.explicit,
        )

    def request(self, registry: str) -> CredentialRequest:
        """What `get` gets."""
        return CredentialRequest(
            registry=parse_registry(registry, what="the registry").registry,
            options=self.options,
            env=self.env,
            clock=self.clock,
            deadline=self.clock.monotonic() + self.timeout,
            log=self.log,
            explicit=self.explicit,
        )

    def match(self, registry: str) -> Match:
        """How well the provider fits."""
        name = parse_registry(registry, what="the registry").registry
        return _expect(Match, self.provider.match(name, self.options), "match")

    def registries(self) -> tuple[str, ...]:
        """The registries that its options name, by their one name."""
        found = self._within_deadline(lambda: tuple(self.provider.registries(self.context())), "registries")
        return tuple(parse_registry(_expect(str, item, "registries"), what="a registry").registry for item in found)

    def get(self, registry: str) -> Credential | None:
        """The credential for a registry; asked again when it has to be renewed.

        None when the provider does not match the registry, or has nothing for it. Its errors come out as they are.
        Raises `ProviderFaultError` when it returns something else than a credential or does not come back in time.
        """
        if self.match(registry) is Match.NO:
            return None
        request = self.request(registry)
        if request.registry not in self._kept or self._has_to_be_renewed(self._kept[request.registry]):
            self._kept[request.registry] = self._within_deadline(lambda: self._get(request), "get")
        return self._kept[request.registry]

    def _get(self, request: CredentialRequest) -> Credential | None:
        found = self.provider.get(request)
        return None if found is None else _expect(Credential, found, "get")

    def _has_to_be_renewed(self, credential: Credential | None) -> bool:
        if credential is None or credential.expires_at is None:
            return False
        return credential.expires_at - self.clock.now() < RENEWAL_MARGIN

    def _within_deadline(self, function: Callable[[], _T], what: str) -> _T:
        call = InThread(function)
        if not call.wait(self.timeout):
            raise ProviderFaultError(f"{self.provider.name}: {what} did not come back within {self.timeout:g} s")
        return call.result()


class InThread(Generic[_T]):
    """One call in a thread of its own, which may be left behind when it hangs."""

    def __init__(self, function: Callable[[], _T]) -> None:
        self._function = function
        self._values: list[_T] = []
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="ocibuild-testkit-call")
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether it has come back, after at most so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> _T:
        """What the call returned; raises what it raised."""
        if self.error:
            raise self.error
        return self._values[0]

    def _run(self) -> None:
        try:
            self._values.append(self._function())
        except BaseException as error:  # noqa: BLE001  # handed to the caller, whatever it is
            self.error = error


def option_values(options: Iterable[Option], values: Mapping[str, OptionValue]) -> OptionValues:
    """The values of all `options`: those in `values`, defaults for the rest. An unknown name is a `ValueError`."""
    declared = {option.name: option.default for option in options}
    unknown = [name for name in values if name not in declared]
    if unknown:
        raise ValueError(f"no option is called {unknown[0]!r}; there are: {', '.join(declared) or 'none'}")
    return OptionValues({**declared, **values}, {name: f"the test's {name!r}" for name in values})


def _expect(kind: type[_T], found: object, what: str) -> _T:
    if not isinstance(found, kind):
        raise ProviderFaultError(f"{what} returned {type(found).__name__}, not {kind.__name__}")
    return found

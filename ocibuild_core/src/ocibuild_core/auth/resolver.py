"""Decides who answers for a registry, fetches the credential once, and renews it in time."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from ocibuild_core.auth.answers import Answer, Attempt, Outcome
from ocibuild_core.auth.calls import side_by_side
from ocibuild_core.errors import (
    CredentialError,
    CredentialsUnavailable,
    OcibuildError,
    PluginError,
    raise_all,
)
from ocibuild_core.providers import Match
from ocibuild_core.registry.globs import is_exact
from ocibuild_core.registry.hosts import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.auth.rules import Candidate, Rules
    from ocibuild_core.clock import Clock
    from ocibuild_core.providers import Credential

_log = logging.getLogger("ocibuild.auth")

RENEWAL_MARGIN = timedelta(minutes=5, seconds=30)
"""What a credential must still be good for when it is handed out.

BuildKit's client keeps an answer for 4 min 50 s and may use it until then (session/auth/authprovider,
`expiresIn`); the rest is for the transfer that begins just before.
"""

SHORT_LIFE = timedelta(minutes=30)
"""A credential that lives shorter is worth a word: pushes of large images take longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    answer: Answer
    candidate: Candidate


class _Flight:
    """One resolution under way, shared by all who ask meanwhile."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.error: OcibuildError | None = None

    def result(self) -> Answer:
        self.done.wait()
        if self.error is not None:
            raise self.error
        if self.answer is None:
            raise RuntimeError("a resolution ended without a result")
        return self.answer


class Resolver:
    """The single authority on credentials in a process. Safe for any number of threads.

    Args:
        rules: who may answer.
        clock: where time comes from.
        learned: told every credential before it is handed out, so that its secret can be masked.
    """

    def __init__(self, rules: Rules, *, clock: Clock, learned: Callable[[Credential], None] | None = None) -> None:
        self._rules = rules
        self._clock = clock
        self._learned = learned or _forget
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._flights: dict[str, _Flight] = {}
        self._warned: set[str] = set()
        self._failures: dict[str, OcibuildError] = {}

    def resolve(self, registry: str) -> Answer:
        """What the registry is shown; asked any number of times, fetched once until it must be renewed.

        Args:
            registry: the host in any spelling.

        Raises:
            OcibuildError: a provider that the user named failed, or the registry's name is none.
        """
        name = normalise(registry)
        if name is None:
            raise CredentialError(f"{registry!r} is no registry", do="ask for a host, or host:port")
        with self._lock:
            held = self._held.get(name)
            if held and self._is_fresh(held.answer):
                return held.answer
            flight = self._flights.get(name)
            is_ours = flight is None
            if flight is None:
                flight = self._flights[name] = _Flight()
        if is_ours:
            self._fly(flight, name, held)
        return flight.result()

    def resolve_all(self, registries: Iterable[str]) -> dict[str, Answer | OcibuildError]:
        """As `resolve`, for many side by side; failures stand beside the answers."""
        names = list(dict.fromkeys(registries))
        calls = side_by_side(partial(self._resolve_or_error, name) for name in names)
        # No time limit here: each provider call within has its own.
        return {name: call.result(threading.TIMEOUT_MAX) for name, call in zip(names, calls, strict=True)}

    def require(self, registries: Iterable[str]) -> dict[str, Answer]:
        """The answers for the registries that a build needs and for those that the user named, all at once.

        Raises:
            OcibuildError: whoever was named and failed; several as one `Failures`.
        """
        named, failures = self._named_registries()
        found = self.resolve_all([*registries, *named])
        failures += [answer for answer in found.values() if isinstance(answer, OcibuildError)]
        raise_all(list(dict.fromkeys(failures)))
        return {name: answer for name, answer in found.items() if isinstance(answer, Answer)}

    def named_registries(self) -> tuple[str, ...]:
        """The registries that the user named outright: by pins, and by the options of the providers he named."""
        named, failures = self._named_registries()
        raise_all(failures)
        return tuple(named)

    def explain(self, registry: str) -> Answer | OcibuildError:
        """The decision for one registry, made now if it was not yet; a failure instead of raising it."""
        return self._resolve_or_error(registry)

    @property
    def failures(self) -> dict[str, OcibuildError]:
        """By registry, the failures that were not followed by an answer."""
        with self._lock:
            return dict(self._failures)

    @property
    def hung(self) -> tuple[str, ...]:
        """The calls that never came back: a plugin's own threads may keep the interpreter from ending by itself."""
        return tuple(call for provider in self._rules.providers.values() for call in provider.hung)

    def _resolve_or_error(self, registry: str) -> Answer | OcibuildError:
        try:
            return self.resolve(registry)
        except OcibuildError as error:
            return error

    def _fly(self, flight: _Flight, name: str, held: _Held | None) -> None:
        try:
            renewed = self._renew(held) if held else self._decide(name)
            flight.answer = renewed.answer
            with self._lock:
                self._held[name] = renewed
                self._failures.pop(name, None)
        except OcibuildError as error:
            flight.error = error
            with self._lock:
                self._failures[name] = error
        except BaseException as error:
            flight.error = CredentialError(f"the login for {name} failed", why=type(error).__name__)
            raise
        finally:
            with self._lock:
                self._flights.pop(name, None)
            flight.done.set()

    def _is_fresh(self, answer: Answer) -> bool:
        return answer.fresh_until is None or self._clock.now() < answer.fresh_until

    def _decide(self, registry: str) -> _Held:
        attempts: list[Attempt] = []
        candidates = self._rules.candidates(registry)
        for position, candidate in enumerate(candidates):
            credential, attempt = self._ask(candidate, registry)
            attempts.append(attempt)
            if credential is not None or candidate.fallback:
                rest = [_not_asked(later) for later in candidates[position + 1 :]]
                answer = self._answer(registry, candidate, credential, (*attempts, *rest))
                _log.info("%s: %s (%s)", registry, answer.identity, answer.source)
                return _Held(answer=answer, candidate=candidate)
        raise RuntimeError("the last step answers always")

    def _ask(self, candidate: Candidate, registry: str) -> tuple[Credential | None, Attempt]:
        try:
            credential = candidate.ask()
            if credential is None and candidate.owes():
                raise CredentialsUnavailable(
                    f"{candidate.who}: no credential for {registry}",
                    why=f"{candidate.reason}, and it has none",
                    do=f"check what it was told, or name another one for this registry: --login NAME={registry}",
                )
        except OcibuildError as error:
            if candidate.binding:
                raise
            _log.info("%s: %s is passed over: %s", registry, candidate.who, error)
            outcome = Outcome.UNAVAILABLE if isinstance(error, CredentialsUnavailable) else Outcome.FAILED
            return None, _attempt(candidate, outcome, error.summary)
        if credential is None:
            return None, _attempt(candidate, Outcome.ANSWERED if candidate.fallback else Outcome.PASSED)
        self._learned(credential)
        return credential, _attempt(candidate, Outcome.ANSWERED, credential.detail)

    def _renew(self, held: _Held) -> _Held:
        """Ask the same one again, so that a build keeps its identity.

        A failure is borne as long as the old credential lives.
        """
        registry, old = held.answer.registry, held.answer.credential
        try:
            credential = held.candidate.ask()
            if credential is None and old is not None:
                raise CredentialsUnavailable(f"{held.candidate.who}: no credential for {registry} any more")
        except OcibuildError as error:
            if old is None or old.expires_at is None or old.expires_at <= self._clock.now():
                raise
            _log.warning(
                "%s: the credential could not be renewed, the old one is used until it ends: %s", registry, error
            )
            return held
        if credential is not None:
            self._learned(credential)
        answer = self._answer(registry, held.candidate, credential, held.answer.attempts)
        return replace(held, answer=answer)

    def _answer(
        self, registry: str, candidate: Candidate, credential: Credential | None, attempts: tuple[Attempt, ...]
    ) -> Answer:
        fresh_until = None
        if credential is not None and credential.expires_at is not None:
            fresh_until = credential.expires_at - RENEWAL_MARGIN
            self._warn_if_short(registry, candidate, credential.expires_at - self._clock.now())
        elif candidate.lasting is not None:
            fresh_until = self._clock.now() + timedelta(seconds=candidate.lasting)
        return Answer(
            registry=registry,
            step=candidate.step,
            source=candidate.who,
            credential=credential,
            attempts=attempts,
            fresh_until=fresh_until,
            provider=candidate.provider,
        )

    def _warn_if_short(self, registry: str, candidate: Candidate, life: timedelta) -> None:
        if life >= SHORT_LIFE or registry in self._warned:
            return
        self._warned.add(registry)
        minutes = life.total_seconds() / 60
        if life >= RENEWAL_MARGIN:
            text = "%s: the credential of %s ends in %.0f min; it is renewed while the build runs"
        else:
            text = (
                "%s: the credential of %s ends in %.1f min; BuildKit may keep it for 5 min, so the registry may refuse "
                "it within the build: use one that lives longer"
            )
        _log.warning(text, registry, candidate.who, minutes)

    def _named_registries(self) -> tuple[list[str], list[OcibuildError]]:
        names = [pin.glob for pin in self._rules.login.pins if is_exact(pin.glob)]
        failures: list[OcibuildError] = []
        providers = self._rules.explicit()
        calls = side_by_side(partial(_registries, provider) for provider in providers)
        for call in calls:
            found = call.result(threading.TIMEOUT_MAX)
            if isinstance(found, OcibuildError):
                failures.append(found)
            else:
                names += found
        return list(dict.fromkeys(names)), failures


def _registries(provider: GuardedProvider) -> list[str] | OcibuildError:
    try:
        names = sorted(provider.registries())
        strangers = [name for name in names if provider.match(name) is Match.NO]
    except OcibuildError as error:
        return error
    if strangers:
        return PluginError(
            f"{provider.source}: provider {provider.name!r} names {strangers[0]} but does not match it",
            do="this is a fault of the plugin: report it to its authors",
        )
    return names


def _forget(credential: Credential) -> None:
    del credential


def _attempt(candidate: Candidate, outcome: Outcome, detail: str = "") -> Attempt:
    return Attempt(step=candidate.step, who=candidate.who, reason=candidate.reason, outcome=outcome, detail=detail)


def _not_asked(candidate: Candidate) -> Attempt:
    return _attempt(candidate, Outcome.NOT_ASKED)

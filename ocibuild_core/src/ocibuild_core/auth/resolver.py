"""The single authority on credentials in a process: each is fetched once, kept in memory, renewed in time."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from ocibuild_core.auth.answers import Answer
from ocibuild_core.auth.calls import side_by_side
from ocibuild_core.auth.owed import owed_registries
from ocibuild_core.errors import CredentialError, OcibuildError, raise_all
from ocibuild_core.late_logging import get_logger
from ocibuild_core.registry.hosts import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocibuild_core.auth.deciding import Decider, Decision
    from ocibuild_core.auth.rules import Rules
    from ocibuild_core.clock import Clock
    from ocibuild_core.credentials import Credential

_log = get_logger("ocibuild.auth")


class Resolver:
    """Answers for registries. Safe for any number of threads.

    Args:
        rules: who may answer.
        clock: where time comes from.
        learned: told every credential before anybody else sees it, so that its secret can be masked.
    """

    def __init__(self, rules: Rules, *, clock: Clock, learned: Callable[[Credential], None] | None = None) -> None:
        self._rules = rules
        self._clock = clock
        self._learned = learned or _ignore
        self._made_decider: Decider | None = None
        self._lock = threading.Lock()
        self._decisions: dict[str, Decision] = {}
        self._flights: dict[str, _Flight] = {}
        self._failures: dict[str, OcibuildError] = {}

    def resolve(self, registry: str) -> Answer:
        """What the registry is shown; asked any number of times, fetched once until it must be renewed.

        Args:
            registry: the host in any spelling.

        Raises:
            OcibuildError: a login that the user named failed, or the registry's name is none.
        """
        name = normalise(registry)
        if name is None:
            raise CredentialError(f"{registry!r} is no registry", do="ask for a host, or host:port")
        with self._lock:
            decision = self._decisions.get(name)
            if decision and self._is_fresh(decision.answer):
                return decision.answer
            flight = self._flights.get(name)
            if flight is None:
                own = self._flights[name] = _Flight()
        if flight is not None:
            return flight.result()
        self._fly(own, name, decision)
        return own.result()

    def resolve_all(self, registries: Iterable[str]) -> dict[str, Answer | OcibuildError]:
        """As `resolve`, for many side by side; failures stand beside the answers."""
        names = list(dict.fromkeys(registries))
        calls = side_by_side(partial(self.explain, name) for name in names)
        return {name: call.result() for name, call in zip(names, calls, strict=True)}

    def require(self, registries: Iterable[str], *, pushed: Iterable[str] = ()) -> dict[str, Answer]:
        """The answers for the registries that a build needs and for those that the user named, all at once.

        Args:
            registries: those that it pulls from.
            pushed: those that it pushes to: a push without a credential gets a warning.

        Raises:
            OcibuildError: whoever was named and failed; several as one `Failures`.
        """
        self.tell_what_is_unused()
        targets = [normalise(registry) or registry for registry in pushed]
        needed = [*(normalise(registry) or registry for registry in registries), *targets]
        owed, failures = owed_registries(self._rules, needed)
        found = self.resolve_all([*needed, *owed])
        failures += [answer for answer in found.values() if isinstance(answer, OcibuildError)]
        # A provider may fail alike for several registries; that is told once.
        raise_all(list({str(error): error for error in failures}.values()))
        answers = {name: answer for name, answer in found.items() if isinstance(answer, Answer)}
        for name in dict.fromkeys(targets):
            if answers[name].credential is None:
                _log.warning("%s: the build pushes to it, and there is no credential for it", name)
        return answers

    def tell_what_is_unused(self) -> None:
        """Warn of what was set for a provider that nobody named, and so does nothing."""
        for provider in self._rules.providers.values():
            if provider.explicit:
                continue
            try:
                notices = provider.notices()
            except OcibuildError as error:
                _log.info("%s", error)
                continue
            for notice in notices:
                _log.warning("%s", notice)

    def owed(self, needed: Iterable[str] = ()) -> tuple[str, ...]:
        """The registries that the user named outright, by pins and by the options of the providers he named.

        Args:
            needed: the registries that are asked about besides.

        Raises:
            OcibuildError: a provider could not say.
        """
        names, failures = owed_registries(self._rules, [normalise(registry) or registry for registry in needed])
        raise_all(failures)
        return tuple(names)

    def explain(self, registry: str) -> Answer | OcibuildError:
        """As `resolve`; gives the failure instead of raising it."""
        try:
            return self.resolve(registry)
        except OcibuildError as error:
            return error

    @property
    def failures(self) -> dict[str, OcibuildError]:
        """By registry, the failures that no answer followed: why BuildKit got nothing."""
        with self._lock:
            return dict(self._failures)

    @property
    def hung(self) -> tuple[str, ...]:
        """The calls that never came back: threads of a plugin's own may keep the interpreter from ending by itself."""
        return tuple(call for provider in self._rules.providers.values() for call in provider.hung)

    def _is_fresh(self, answer: Answer) -> bool:
        return answer.fresh_until is None or self._clock.now() < answer.fresh_until

    def _decider(self) -> Decider:
        from ocibuild_core.auth.deciding import Decider  # noqa: PLC0415  # many builds need no registry

        with self._lock:
            if self._made_decider is None:
                self._made_decider = Decider(self._rules, clock=self._clock, learned=self._learned)
            return self._made_decider

    def _fly(self, flight: _Flight, name: str, old: Decision | None) -> None:
        """Decide or renew, and let all who ask meanwhile have the same."""
        try:
            decider = self._decider()
            decision = decider.renew(old) if old else decider.decide(name)
            flight.answer = decision.answer
            with self._lock:
                self._decisions[name] = decision
                self._failures.pop(name, None)
        except OcibuildError as error:
            flight.error = error
            with self._lock:
                self._failures[name] = error
        except BaseException as error:
            flight.error = CredentialError(f"the login for {name} was broken off", why=type(error).__name__)
            raise
        finally:
            with self._lock:
                del self._flights[name]
            flight.done.set()


class _Flight:
    """One resolution under way, shared by all who ask meanwhile."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.error: OcibuildError | None = None

    def result(self) -> Answer:
        self.done.wait()
        if self.answer is None:
            raise self.error or RuntimeError("a resolution ended without a result")
        return self.answer


def _ignore(credential: Credential) -> None:
    del credential

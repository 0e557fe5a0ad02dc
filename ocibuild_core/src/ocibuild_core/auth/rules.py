"""Who may answer for a registry, and in which order: `STEPS` is the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.auth.answers import Step
from ocibuild_core.errors import CredentialsUnavailable, OcibuildError, PluginError
from ocibuild_core.late_logging import get_logger
from ocibuild_core.providers import Match
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.hosts import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.auth.docker_config import UserConfig
    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.credentials import Credential

_log = get_logger("ocibuild.auth")


class Candidate(NamedTuple):
    """One who may be asked for a registry.

    Args:
        step: the rule by which its turn comes.
        who: for people: provider with its plugin, or the file.
        reason: why it is a candidate.
        ask: gives the credential, None, or raises an `OcibuildError`.
        binding: its failure ends the run; otherwise the next one is asked.
        owes: asked after it had nothing: whether that, too, ends the run.
        provider: the provider's name, if it is one.
        lasting: seconds for which an answer without an end is kept; None: for the run.
        fallback: answers even with nothing: the end of the line.
    """

    step: Step
    who: str
    reason: str
    ask: Callable[[], Credential | None]
    binding: bool = False
    owes: Callable[[], bool] = lambda: False
    provider: str = ""
    lasting: float | None = None
    fallback: bool = False


class Rules(NamedTuple):
    """Everything that decides, gathered.

    Args:
        login: what the user said.
        providers: the installed ones, by name.
        named: provider by the name or alias that the user wrote.
        config: the user's docker config.
    """

    login: LoginSettings
    providers: Mapping[str, GuardedProvider]
    named: Mapping[str, GuardedProvider]
    config: UserConfig

    def candidates(self, registry: str) -> list[Candidate]:
        """Everyone who may be asked for the registry, in order. The last is nobody: anonymous."""
        return [candidate for _, step in STEPS for candidate in step(self, registry)]

    def explicit(self) -> list[GuardedProvider]:
        """The providers that the user named for whatever they know, in his order, each once."""
        return list({provider.name: provider for provider in map(self.named.get, self._items()) if provider}.values())

    def _items(self) -> list[str]:
        return [item.name for item in self.login.items]


def _pinned(rules: Rules, registry: str) -> list[Candidate]:
    pin = rules.login.pin_for(registry)
    if pin is None:
        return []
    provider = rules.named[pin.name]
    return [
        Candidate(
            step=Step.PINNED,
            who=str(provider),
            reason=f"{pin.origin} names it for {pin.glob}",
            ask=lambda: provider.get(registry, Step.PINNED),
            binding=True,
            owes=lambda: True,
            provider=provider.name,
        )
    ]


def _explicit(rules: Rules, registry: str) -> list[Candidate]:
    return [found for provider in rules.explicit() if (found := _if_explicit(rules, provider, registry))]


def _if_explicit(rules: Rules, provider: GuardedProvider, registry: str) -> Candidate | None:
    origin = next(item.origin for item in rules.login.items if rules.named[item.name] is provider)
    try:
        match = provider.match(registry)
    except OcibuildError as error:
        return _failing(provider, f"{origin} names it", error)
    if match is Match.NO:
        return None
    return Candidate(
        step=Step.EXPLICIT,
        who=str(provider),
        reason=f"{origin} names it, and it {_MATCHES[match]}",
        ask=lambda: provider.get(registry),
        binding=True,
        owes=lambda: match is Match.SPECIFIC or registry in _named_by(provider, registry),
        provider=provider.name,
    )


def _named_by(provider: GuardedProvider, registry: str) -> frozenset[str]:
    """The registries that its options name.

    It was asked for a credential for this one before, and raised nothing. When it finds nothing to log in with, that is
    told by `owed_registries`; a login that failed is an error here, too.
    """
    try:
        return provider.registries()
    except CredentialsUnavailable as error:
        _log.info("%s: %s", registry, error)
        return frozenset()


def _docker_config(rules: Rules, registry: str) -> list[Candidate]:
    return [
        Candidate(
            step=Step.DOCKER_CONFIG,
            who=entry.who,
            reason=entry.reason,
            ask=entry.credential,
            binding=entry.binding,
            lasting=entry.lasting,
        )
        for entry in rules.config.entries(registry)
    ]


def _automatic(rules: Rules, registry: str) -> list[Candidate]:
    if not rules.login.automatic:
        return []
    explicit = {provider.name for provider in rules.explicit()}
    others = [provider for name, provider in sorted(rules.providers.items()) if name not in explicit]
    by_match: dict[Match, list[GuardedProvider]] = {match: [] for match in Match}
    for provider in others:
        by_match[_match_quietly(provider, registry)].append(provider)
    specific = by_match[Match.SPECIFIC]
    if len(specific) > 1:
        return [_conflict(specific, registry)]
    return [_if_automatic(provider, registry, Match.SPECIFIC) for provider in specific] + [
        _if_automatic(provider, registry, Match.GENERIC) for provider in by_match[Match.GENERIC]
    ]


def _if_automatic(provider: GuardedProvider, registry: str, match: Match) -> Candidate:
    return Candidate(
        step=Step.AUTOMATIC,
        who=str(provider),
        reason=f"it is installed and {_MATCHES[match]}",
        ask=lambda: provider.get(registry, Step.AUTOMATIC),
        provider=provider.name,
    )


def _anonymous(rules: Rules, registry: str) -> list[Candidate]:
    return [
        Candidate(
            step=Step.ANONYMOUS,
            who="nobody",
            reason="no one else has a credential",
            ask=lambda: _warn_of_other_ports(rules, registry),
            fallback=True,
        )
    ]


def _warn_of_other_ports(rules: Rules, registry: str) -> None:
    """For a registry that nobody has a login for: say so when there is one for another port of its host."""
    asked = [provider for provider in rules.explicit() if _match_quietly(provider, registry) is not Match.NO]
    known = (*rules.config.registries(), *(name for provider in asked for name in _named_by(provider, registry)))
    others = sorted(name for name in known if host_of(name) == host_of(registry) and name != registry)
    if others:
        _log.warning("no login for %s; there is one for %s, which is another registry", registry, others[0])


STEPS: tuple[tuple[Step, Callable[[Rules, str], list[Candidate]]], ...] = (
    (Step.PINNED, _pinned),
    (Step.EXPLICIT, _explicit),
    (Step.DOCKER_CONFIG, _docker_config),
    (Step.AUTOMATIC, _automatic),
    (Step.ANONYMOUS, _anonymous),
)

_MATCHES = {
    Match.SPECIFIC: "is made for this registry",
    Match.GENERIC: "may know this registry as any other",
}


def _match_quietly(provider: GuardedProvider, registry: str) -> Match:
    try:
        return provider.match(registry)
    except OcibuildError as error:
        _log.info("%s is passed over: %s", provider, error)
        return Match.NO


def _failing(provider: GuardedProvider, reason: str, error: OcibuildError) -> Candidate:
    def ask() -> Credential | None:
        raise error

    who = str(provider)
    return Candidate(step=Step.EXPLICIT, who=who, reason=reason, ask=ask, binding=True, provider=provider.name)


def _conflict(specific: list[GuardedProvider], registry: str) -> Candidate:
    first, second, *_ = (provider.name for provider in specific)
    error = PluginError(
        f"more than one installed provider is made for {registry}: " + "; ".join(map(str, specific)),
        why="none of them was named, so none can be preferred",
        do=f"name one: --login {first}={registry} (or {second}), or leave one out with --no-plugin",
    )

    def ask() -> Credential | None:
        raise error

    who = "; ".join(map(str, specific))
    return Candidate(step=Step.AUTOMATIC, who=who, reason="each is made for this registry", ask=ask, binding=True)

"""Where two plugins want the same name, flag or environment variable, or one wants the host's."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ocibuild_core.catalog import Problem
from ocibuild_core.records import NamedTuple
from ocibuild_core.selection import HOST_PLUGIN
from ocibuild_core.spellings import Owner, spelt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocibuild_core.catalog import PluginSource
    from ocibuild_core.exporting import Exporter
    from ocibuild_core.options import Option
    from ocibuild_core.providers import AuthProvider


class Offer(NamedTuple):
    """What one plugin offers.

    Args:
        source: the plugin.
        providers: its auth providers.
        exporters: its exporters.
    """

    source: PluginSource
    providers: tuple[AuthProvider, ...]
    exporters: tuple[Exporter, ...]


class Reserved(NamedTuple):
    """What the host keeps for itself.

    Args:
        flags: its own flags, with their dashes.
        variables: its own environment variables.
        prefixes: beginnings of environment variables that are its own (`BUILD_ARG_`).
    """

    flags: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    def has(self, spelling: str) -> bool:
        """Whether this flag or variable is the host's."""
        if spelling in self.flags or spelling in self.variables:
            return True
        return bool(self.prefixes) and spelling.startswith(self.prefixes)


NOTHING_RESERVED = Reserved()


class _Claim(NamedTuple):
    """One plugin wants one thing, for one of its owners or for an option of it."""

    thing: str
    source: PluginSource
    owner: Owner
    option: Option | None = None

    def wanted_for(self) -> str:
        """What it is wanted for, as messages name it."""
        return f"option {self.option.name!r} of {self.owner}" if self.option else str(self.owner)


def find_conflicts(offers: Sequence[Offer], reserved: Reserved) -> Mapping[str, Problem]:
    """The plugins that cannot be used, by id, each with its first conflict.

    Nobody can say which of two plugins the user means, so both are out; but nothing can push the host's own out.
    """
    by_thing: dict[str, list[_Claim]] = defaultdict(list)
    problems: dict[str, Problem] = {}
    for claim in _claims(offers):
        by_thing[claim.thing].append(claim)
        if reserved.has(claim.thing) and claim.source.id != HOST_PLUGIN:
            problems.setdefault(claim.source.id, _taken_from_host(claim))
    for claims in by_thing.values():
        for claim in claims if len(claims) > 1 else ():
            if claim.source.id != HOST_PLUGIN:
                problems.setdefault(claim.source.id, _shared(claim, claims))
    return problems


def _claims(offers: Sequence[Offer]) -> Iterator[_Claim]:
    for offer in offers:
        for provider in offer.providers:
            owner = Owner.of_provider(provider)
            for name in (provider.name, *provider.aliases):
                yield _Claim(f"auth provider {name!r}", offer.source, owner)
            yield from _claims_of_options(offer.source, owner)
        for exporter in offer.exporters:
            owner = Owner.of_exporter(exporter)
            yield _Claim(f"exporter {exporter.name!r}", offer.source, owner)
            yield from _claims_of_options(offer.source, owner)


def _claims_of_options(source: PluginSource, owner: Owner) -> Iterator[_Claim]:
    for option, spellings in spelt(owner):
        for spelling in (*spellings.flags(), *spellings.variables()):
            yield _Claim(spelling, source, owner, option)


def _taken_from_host(claim: _Claim) -> Problem:
    return Problem(
        what=f"wants {claim.thing}, which is ocibuild's own",
        why=f"for {claim.wanted_for()}",
        do="its author must rename it",
    )


def _shared(claim: _Claim, claims: Sequence[_Claim]) -> Problem:
    others = [other for other in claims if other is not claim]
    if all(other.source == claim.source for other in others):
        wanted = " and ".join(each.wanted_for() for each in claims)
        return Problem(what=f"wants {claim.thing} twice", why=f"for {wanted}", do="its author must rename one")
    foreign = [other for other in others if other.source != claim.source]
    return Problem(
        what=f"wants {claim.thing}, and so does {' and '.join(str(other.source) for other in foreign)}",
        why=f"for {claim.wanted_for()}; the other for {foreign[0].wanted_for()}",
        do=f"keep one: uninstall {claim.source.distribution}, or --no-plugin {' or --no-plugin '.join(_ids(claims))}",
    )


def _ids(claims: Sequence[_Claim]) -> list[str]:
    return list(dict.fromkeys(claim.source.id for claim in claims if claim.source.id != HOST_PLUGIN))

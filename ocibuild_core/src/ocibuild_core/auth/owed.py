"""The registries that the user named outright: for each of them he is owed a credential."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ocibuild_core.auth.calls import side_by_side
from ocibuild_core.errors import CredentialsUnavailable, OcibuildError, PluginError, UsageError
from ocibuild_core.late_logging import get_logger
from ocibuild_core.providers import Match
from ocibuild_core.registry.globs import is_exact

if TYPE_CHECKING:
    from collections.abc import Collection

    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.auth.rules import Rules

_log = get_logger("ocibuild.auth")


def owed_registries(rules: Rules, needed: Collection[str] = ()) -> tuple[list[str], list[OcibuildError]]:
    """Those of the pins without a star, those that the options of the providers he named name; and what went wrong.

    The providers are asked side by side. One that finds nothing to log in with gets a warning when the build needs a
    registry that it may know as any other: it is asked for that one, so that it was not named in vain. A login that was
    tried and failed is an error.

    Args:
        rules: who may answer.
        needed: the registries that the build needs.
    """
    named_by: dict[str, list[GuardedProvider]] = {}
    failures: list[OcibuildError] = []
    providers = rules.explicit()
    for provider, call in zip(providers, side_by_side(partial(_names_of, item) for item in providers), strict=True):
        names = call.result()
        if isinstance(names, CredentialsUnavailable) and any(_may_know(provider, registry) for registry in needed):
            _log.warning("%s; nothing that the build is known to need depends on it", names.summary)
            continue
        if isinstance(names, OcibuildError):
            failures.append(names)
            continue
        for name in names:
            named_by.setdefault(name, []).append(provider)
    failures += [
        _two_identities(name, by) for name, by in named_by.items() if len(by) > 1 and rules.login.pin_for(name) is None
    ]
    pinned = [pin.glob for pin in rules.login.pins if is_exact(pin.glob)]
    return list(dict.fromkeys([*pinned, *named_by])), failures


def _may_know(provider: GuardedProvider, registry: str) -> bool:
    try:
        return provider.match(registry) is Match.GENERIC
    except OcibuildError:
        return False  # whoever asks it for that registry tells


def _names_of(provider: GuardedProvider) -> list[str] | OcibuildError:
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


def _two_identities(registry: str, providers: list[GuardedProvider]) -> UsageError:
    first, second, *_ = providers
    return UsageError(
        f"two logins are told to log in to {registry}: {first} and {second}",
        why="a build shows one identity to a registry: BuildKit asks without saying pull or push",
        do=f"choose one: --login {first.name}={registry} or --login {second.name}={registry}",
    )

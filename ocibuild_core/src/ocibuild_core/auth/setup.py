"""Puts the rules together from what is installed and what the user said."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ocibuild_core.errors import OcibuildError, PluginError, raise_all
from ocibuild_core.late_logging import get_logger
from ocibuild_core.option_sources import collect_options, unknown_options, wrong_types
from ocibuild_core.spellings import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocibuild_core.auth.ambient import Ambient
    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.auth.docker_config import UserConfig
    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.auth.rules import Rules
    from ocibuild_core.catalog import Catalog
    from ocibuild_core.clock import Clock
    from ocibuild_core.credentials import Credential
    from ocibuild_core.option_sources import OptionSources
    from ocibuild_core.options import OptionValues

_log = get_logger("ocibuild.auth")


def make_resolver(  # noqa: PLR0913  # everything that a decision hangs on, each from another part
    *,
    login: LoginSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    config: UserConfig,
    env: Mapping[str, str],
    clock: Clock,
    learned: Callable[[Credential], None] | None = None,
) -> Resolver:
    """The resolver of a process.

    Args:
        login: what the user said about logins.
        catalog: what is installed.
        options: the values of each provider's options, by the provider's name.
        config: the user's docker config (`load_user_config`).
        env: the user's environment.
        clock: where time comes from.
        learned: told every credential before it is handed out, so that its secret can be masked.

    Raises:
        PluginError: the user named a provider that is unknown, missing or broken; several as one `Failures`.
    """
    from ocibuild_core.auth.resolver import Resolver  # noqa: PLC0415  # the options are read before anybody is asked

    rules = make_rules(login=login, catalog=catalog, options=options, config=config, env=env, clock=clock)
    return Resolver(rules, clock=clock, learned=learned)


def make_rules(  # noqa: PLR0913  # as `make_resolver`
    *,
    login: LoginSettings,
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    config: UserConfig,
    env: Mapping[str, str],
    clock: Clock,
) -> Rules:
    """As `make_resolver`, the rules alone."""
    from ocibuild_core.auth.rules import Rules  # noqa: PLC0415  # see `make_resolver`

    by_name = _named_by_user(login, catalog)
    guarded = guard_providers(
        catalog,
        options,
        env=env,
        clock=clock,
        timeout=login.timeout,
        named={name: spelling for spelling, name in by_name.items()},
    )
    named = {spelling: guarded[name] for spelling, name in by_name.items()}
    return Rules(login=login, providers=guarded, named=named, config=config)


def guard_providers(  # noqa: PLR0913  # as `make_resolver`
    catalog: Catalog,
    options: Mapping[str, OptionValues],
    *,
    env: Mapping[str, str],
    clock: Clock,
    timeout: float,
    named: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, GuardedProvider]:
    """Every provider behind its wall, by its name; `named` has those that the user named, with how he did."""
    from ocibuild_core.auth.boundary import GuardedProvider, Surroundings  # noqa: PLC0415  # see `make_resolver`

    surroundings = Surroundings(env=env, clock=clock, timeout=timeout)
    return {
        loaded.provider.name: GuardedProvider(
            loaded,
            surroundings,
            options=options.get(loaded.provider.name),
            named_as=named.get(loaded.provider.name, ""),
        )
        for loaded in catalog.providers
    }


def provider_options(
    catalog: Catalog, sources: OptionSources, login: LoginSettings
) -> tuple[Catalog, dict[str, OptionValues]]:
    """The values of every provider's options, and the catalog of those whose options make sense.

    A provider that nobody named must not end a run by a variable that was never meant for it: it is left out.

    Raises:
        UsageError: an option of a provider that the user named is malformed, a file names one that there is not, or a
            request has a value of another type.
    """
    named = set(login.names())
    options: dict[str, OptionValues] = {}
    errors: list[OcibuildError] = []
    for loaded in catalog.providers:
        provider = loaded.provider
        owner = Owner.of_provider(provider)
        if meant := [*unknown_options(owner, sources), *wrong_types(owner, sources)]:
            errors += meant  # a file or a request says so, which is made for this very run
            continue
        try:
            options[provider.name] = collect_options(owner, sources)
        except OcibuildError as error:
            if named.intersection((provider.name, *provider.aliases)):
                errors.append(error)
            _log.info("%s is not asked: %s", loaded.source, error)
    raise_all(errors)
    usable = tuple(loaded for loaded in catalog.providers if loaded.provider.name in options)
    return catalog._replace(providers=usable), options


def load_providers(ambient: Ambient) -> tuple[Catalog, dict[str, OptionValues]]:
    """What is installed and may be used outside of a build, and the values of the providers' options.

    Raises:
        PluginError: a plugin that the user's list of allowed ones names is missing or broken.
        UsageError: as `provider_options`.
    """
    from ocibuild_core.loader import load_plugins  # noqa: PLC0415  # a build has loaded them itself
    from ocibuild_core.settings.reserved import reserved_spellings  # noqa: PLC0415

    catalog = load_plugins(ambient.selection, reserved=reserved_spellings())
    catalog.check_allowed()
    return provider_options(catalog, ambient.options, ambient.login)


def _named_by_user(login: LoginSettings, catalog: Catalog) -> dict[str, str]:
    """The provider's own name for each name or alias that the user wrote."""
    found: dict[str, str] = {}
    errors: list[OcibuildError] = []
    for spelling, origin in login.names().items():
        try:
            found[spelling] = catalog.provider(spelling).provider.name
        except PluginError as error:
            told = PluginError(f"{origin}: {error.summary}", why=error.why, do=error.do)
            told.__cause__ = error.__cause__
            errors.append(told)
    raise_all(errors)
    return found

"""From arguments and environment to a scene: what is malformed on the way is told, and the rest is looked at."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ocibuild_core.auth.ambient import Ambient, read_ambient
from ocibuild_core.auth.calls import side_by_side
from ocibuild_core.auth.login import LoginSettings
from ocibuild_core.auth.redact import Redactor
from ocibuild_core.auth.setup import guard_providers
from ocibuild_core.checks import lacking_sources
from ocibuild_core.clock import SystemClock
from ocibuild_core.daemon_config import daemon_config
from ocibuild_core.doctor.attempts import try_namespaces, try_state
from ocibuild_core.doctor.engine import EngineCheck
from ocibuild_core.doctor.examination import examine
from ocibuild_core.doctor.machine import daemon_path
from ocibuild_core.doctor.network import Network
from ocibuild_core.doctor.plugged import DIAGNOSIS_SECONDS
from ocibuild_core.doctor.scene import Scene
from ocibuild_core.doctor.trial import Trial, TrialFailed
from ocibuild_core.engine import launch
from ocibuild_core.engine_choice import engine_settings
from ocibuild_core.errors import EngineError, Failures, OcibuildError
from ocibuild_core.loader import load_plugins
from ocibuild_core.needs import needed_registries
from ocibuild_core.option_sources import OptionSources, collect_options
from ocibuild_core.plan import dockerfile_location
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.globs import is_exact
from ocibuild_core.registry.hosts import normalise, parse
from ocibuild_core.selection import EVERY_PLUGIN
from ocibuild_core.settings.documents import find_files
from ocibuild_core.settings.keys import unknown_keys
from ocibuild_core.settings.reserved import reserved_spellings
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine, Document, Environment
from ocibuild_core.spellings import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.catalog import Catalog
    from ocibuild_core.doctor.checks import Row
    from ocibuild_core.engine import Engine
    from ocibuild_core.options import OptionValues
    from ocibuild_core.settings.documents import SettingsFile
    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.settings.sources import Source

_T = TypeVar("_T")

_TRIAL_SECONDS = 5.0


def examine_machine(
    hosts: Sequence[str], values: Mapping[str, Any], *, config: str | None, env: Mapping[str, str], directory: Path
) -> tuple[list[Row], Callable[[str], str]]:
    """Look at everything; the findings, and what masks secrets in their texts.

    Args:
        hosts: registries that were named.
        values: settings by name, as click parsed them.
        config: a file of settings that was named.
        env: the user's environment.
        directory: where the user is.

    Raises:
        UsageError: what was named is no registry.
    """
    named = [parse(host, what="HOST").registry for host in hosts]
    complaints: list[OcibuildError] = []
    # One spelling, so that an error about it is told once.
    config = str(directory / config) if config else None
    settings = _settings(values, config=config, env=env, directory=directory, complaints=complaints)
    if settings.origin("dockerfile") != "default":
        complaints += lacking_sources(settings, env)
    # Both fork, as the engine does, and so come before any thread.
    namespaces = _tried(Trial(partial(try_namespaces, os.geteuid(), daemon_path(env))))
    state = _tried(Trial(partial(try_state, settings.state_dir, env, os.geteuid()))) if not settings.addr else ""
    with EngineCheck(partial(launch_with_state, settings, env, state)) as engine:
        logins = _logins(values, config=config, env=env, complaints=complaints)
        nothing: Mapping[str, object] = {}
        tables = _tried_settings(partial(daemon_config, settings), complaints, nothing)
        scene = Scene(
            settings=settings,
            complaints=tuple(complaints),
            env=env,
            clock=SystemClock(),
            uid=os.geteuid(),
            catalog=logins.catalog,
            login=logins.login,
            providers=logins.providers,
            network=Network(partial(_registries, named, settings, logins), tables=tables, env=env, clock=SystemClock()),
            namespaces=namespaces,
            state=state,
        )
        return examine(scene, engine), logins.redactor.text


class _Logins(NamedTuple):
    """What is installed, and what the user said about logins."""

    catalog: Catalog
    login: LoginSettings
    providers: Mapping[str, GuardedProvider]
    redactor: Redactor


def _tried_settings(read: Callable[[], _T], complaints: list[OcibuildError], otherwise: _T) -> _T:
    """What `read` gives; its error is a complaint."""
    try:
        return read()
    except OcibuildError as error:
        told = {str(one) for one in complaints}
        errors = error.errors if isinstance(error, Failures) else (error,)
        complaints += [one for one in errors if str(one) not in told]
        return otherwise


def _settings(
    values: Mapping[str, Any],
    *,
    config: str | None,
    env: Mapping[str, str],
    directory: Path,
    complaints: list[OcibuildError],
) -> BuildSettings:
    """As `build` would have them. What cannot be read is a complaint, and as if it were not there."""
    find = partial(find_files, config=config, env=env, directory=str(directory))
    files: Sequence[SettingsFile] = _tried_settings(find, complaints, ())
    complaints += [error for file in files for error in unknown_keys(file)]
    line = CommandLine(values, env)
    documents = [Document(file.values, file.name, trusted=file.trusted) for file in files]
    nothing = resolve([])
    everything: list[Source] = [line, Environment(env), *documents]
    for count in (len(everything), 2, 1):
        found = _tried_settings(partial(resolve, everything[:count]), complaints, nothing)
        if found is not nothing:
            return found
    return nothing


def _logins(
    values: Mapping[str, Any],
    *,
    config: str | None,
    env: Mapping[str, str],
    complaints: list[OcibuildError],
) -> _Logins:
    nothing = Ambient(login=LoginSettings(), selection=EVERY_PLUGIN, options=OptionSources(env=env))
    read = partial(read_ambient, env, config=Path(config) if config else None, flags=values)
    ambient = _tried_settings(read, complaints, nothing)
    catalog = load_plugins(ambient.selection, reserved=reserved_spellings())
    options: dict[str, OptionValues] = {}
    redactor = Redactor()
    for loaded in catalog.providers:
        collect = partial(collect_options, Owner.of_provider(loaded.provider), ambient.options)
        found = _tried_settings(collect, complaints, None)
        if found is not None:
            options[loaded.provider.name] = found
            redactor.add_options(found)
    usable = tuple(loaded for loaded in catalog.providers if loaded.provider.name in options)
    providers = guard_providers(
        catalog._replace(providers=usable),
        options,
        env=env,
        clock=SystemClock(),
        timeout=DIAGNOSIS_SECONDS,
        named=dict(_named(ambient.login, catalog)),
    )
    return _Logins(catalog=catalog, login=ambient.login, providers=providers, redactor=redactor)


def _named(login: LoginSettings, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Each provider that the user named, with how he did."""
    for loaded in catalog.providers:
        spellings = {loaded.provider.name, *loaded.provider.aliases}.intersection(login.names())
        yield from ((loaded.provider.name, spelling) for spelling in sorted(spellings)[:1])


def _registries(named: Sequence[str], settings: BuildSettings, logins: _Logins) -> tuple[str, ...]:
    """Those named by hand, or those of the Dockerfile and of the configuration; each once."""
    found = list(named)
    if not named or settings.origin("dockerfile") != "default":
        where, name = dockerfile_location(settings)
        if os.path.isfile(os.path.join(where, name)):  # noqa: PTH113, PTH118  # texts
            found += needed_registries(settings)
    if not named:
        hosts = (*settings.registry_mirrors, *settings.registry_http, *settings.registry_insecure)
        found += [normalise(name) or "" for name in hosts]
        found += [normalise(pair.key) or "" for pair in settings.registry_certs]
        found += [pin.glob for pin in logins.login.pins if is_exact(pin.glob)]
        explicit = (provider for provider in logins.providers.values() if provider.explicit)
        found += [
            name for call in side_by_side(partial(_names_of, each) for each in explicit) for name in call.result()
        ]
    return tuple(dict.fromkeys(filter(None, found)))


def _names_of(provider: GuardedProvider) -> list[str]:
    """What its options name; where it cannot say, the line about logins tells."""
    try:
        return sorted(provider.registries())
    except OcibuildError:
        return []


def launch_with_state(settings: BuildSettings, env: Mapping[str, str], state: object) -> Engine:
    """The engine; EngineError where the trial of its state directory did not end, or found none that will do."""
    if (isinstance(state, str) and state) or (isinstance(state, dict) and "summary" in state):
        raise EngineError("not started without a state directory", do="see the line about the state")
    return launch(engine_settings(settings, env))


def _tried(trial: Trial) -> Any:  # noqa: ANN401  # JSON
    """What the trial gave, or why it gave nothing."""
    try:
        return trial.result(_TRIAL_SECONDS)
    except TrialFailed as error:
        return str(error)

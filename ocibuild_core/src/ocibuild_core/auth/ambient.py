"""What a process is told about logins without being a build: environment, the user's own file, a few flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocibuild_core.auth.login import LoginSettings, parse_login, pins_of
from ocibuild_core.errors import UsageError
from ocibuild_core.option_sources import Document as OptionDocument
from ocibuild_core.option_sources import OptionSources
from ocibuild_core.selection import Selection, select_plugins
from ocibuild_core.settings.documents import own_files, read_file
from ocibuild_core.settings.sources import CommandLine, Document, Environment, Found
from ocibuild_core.settings.table import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.settings.documents import SettingsFile
    from ocibuild_core.settings.sources import Source

KEEPER_ENV = "OCIBUILD_CREDENTIAL_STORE"
KEEPER_KEY = "credential-store"

_FIELDS = {field.name: field for field in FIELDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambient:
    """All of it.

    Args:
        login: who logs in.
        selection: which plugins may be loaded.
        options: where the options of providers come from.
        keeper: the provider that keeps credentials, or empty.
        sources: where settings come from, highest precedence first.
    """

    login: LoginSettings
    selection: Selection
    options: OptionSources
    keeper: str = ""
    sources: tuple[Source, ...] = ()


def read_ambient(
    env: Mapping[str, str], *, config: Path | None = None, flags: Mapping[str, Any] | None = None
) -> Ambient:
    """Read it all. What lies in the current directory has no say: it may be anybody's.

    Args:
        env: the user's environment.
        config: a file of settings that the user named; it comes before his own.
        flags: fields of the table of settings by name, as click parsed them.

    Raises:
        UsageError: something in it is malformed.
    """
    flags = flags or {}
    named = [read_file(config, trusted=True)] if config else []
    files = [*named, *own_files(env)]
    documents = (Document(file.values, file.name) for file in files)
    sources: tuple[Source, ...] = (CommandLine(flags, env), Environment(env), *documents)
    return Ambient(
        login=_login(sources, files),
        selection=select_plugins(env=env, no_plugin=flags.get("blocked_plugins") or (), files=files),
        options=OptionSources(env=env, yaml=[OptionDocument(name=file.name, values=file.values) for file in files]),
        keeper=env.get(KEEPER_ENV) or next((_keeper(file) for file in files if KEEPER_KEY in file.values), ""),
        sources=sources,
    )


def _login(sources: Sequence[Source], files: Sequence[SettingsFile]) -> LoginSettings:
    login, timeout = _first("login", sources), _first("login_timeout", sources)
    pins, pins_origin = pins_of(files)
    return parse_login(
        login.value if login and isinstance(login.value, tuple) else (),
        origin=login.origin if login else "--login",
        registries=pins,
        registries_origin=pins_origin,
        timeout=float(str(timeout.value if timeout else _FIELDS["login_timeout"].default)),
    )


def _first(name: str, sources: Sequence[Source]) -> Found | None:
    return next((found for source in sources if (found := source.find(_FIELDS[name]))), None)


def _keeper(file: SettingsFile) -> str:
    keeper = file.values[KEEPER_KEY]
    if not isinstance(keeper, str) or not keeper.strip():
        raise UsageError(f"{file.name}: {KEEPER_KEY}: the name of a provider is expected")
    return keeper.strip().lower()

"""Auth providers whose answers a test dictates, and what it takes to resolve with them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ocibuild_core.auth.docker_config import UserConfig
from ocibuild_core.auth.login import parse_login
from ocibuild_core.auth.setup import make_resolver
from ocibuild_core.catalog import Catalog, LoadedProvider, PluginSource, PluginState, PluginStatus, Problem
from ocibuild_core.clock import SystemClock
from ocibuild_core.plugin import (
    AuthProvider,
    Credential,
    CredentialRequest,
    Match,
    Option,
    OptionValues,
    ProviderContext,
    Secret,
)
from ocibuild_core.registry.globs import glob_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.clock import Clock


def credential(user: str = "u", secret: str = "long-enough", **fields: object) -> Credential:
    """A credential of few words."""
    return Credential(username=user, secret=Secret(secret), **fields)  # type: ignore[arg-type]


class Teller(AuthProvider):
    """Says what it is told to say, and remembers what it was asked.

    Args:
        name: its name.
        get: the answer for every registry: a credential, None, an exception to raise, or a function of the request.
        match: how well it fits, by pattern of registry; NO for others.
        names: what `registries` gives; an exception is raised.
        aliases: as of a provider.
        options: as of a provider.
    """

    summary = "Tells."

    def __init__(  # each part of its behaviour is dictated
        self,
        name: str = "teller",
        get: object = None,
        *,
        match: Mapping[str, Match] | object = Match.SPECIFIC,
        names: Sequence[str] | BaseException = (),
        aliases: tuple[str, ...] = (),
        options: tuple[Option, ...] = (),
    ) -> None:
        self.name = name
        self.aliases = aliases
        self.options = options
        self.asked: list[str] = []
        self.named = 0
        self.requests: list[CredentialRequest] = []
        self._get = get
        self._match = match
        self._names = names
        self._lock = threading.Lock()

    def match(self, registry: str, options: OptionValues) -> Match:
        del options
        found = self._match
        if isinstance(found, dict):
            found = next((match for glob, match in found.items() if glob_matches(glob, registry)), Match.NO)
        return _said(found)  # type: ignore[no-any-return]

    def registries(self, context: ProviderContext) -> Sequence[str]:
        del context
        self.named += 1
        return _said(self._names)  # type: ignore[no-any-return]

    def get(self, request: CredentialRequest) -> Credential | None:
        with self._lock:
            self.asked.append(request.registry)
            self.requests.append(request)
        return _said(self._get(request) if callable(self._get) else self._get)  # type: ignore[no-any-return]


def _said(what: Any) -> Any:  # noqa: ANN401  # whatever the test dictates
    if isinstance(what, BaseException):
        raise what
    return what


def loaded(*providers: AuthProvider) -> tuple[LoadedProvider, ...]:
    """The providers, each of a plugin with its name."""
    return tuple(LoadedProvider(provider=provider, source=source(provider.name)) for provider in providers)


def source(name: str) -> PluginSource:
    """A plugin called like its provider."""
    return PluginSource(id=name, distribution=f"dist-{name}", version="1.2.3")


def broken(name: str) -> PluginState:
    """A plugin that could not be imported."""
    problem = Problem(what="misses a module while it is imported", why="No module named 'sdk'", do="pip install sdk")
    return PluginState(source=source(name), status=PluginStatus.BROKEN, problem=problem)


def resolver_of(  # as `make_resolver`
    *providers: AuthProvider,
    login: Sequence[str] = (),
    registries: Mapping[str, str] | None = None,
    timeout: float = 5.0,
    config: UserConfig | None = None,
    clock: Clock | None = None,
    learned: Callable[[Credential], None] | None = None,
    plugins: tuple[PluginState, ...] = (),
) -> Resolver:
    """A resolver over these providers alone."""
    return make_resolver(
        login=parse_login(login, registries=registries, timeout=timeout),
        catalog=Catalog(providers=loaded(*providers), plugins=plugins),
        options={},
        config=config or UserConfig(env={}, timeout=timeout),
        env={},
        clock=clock or SystemClock(),
        learned=learned,
    )

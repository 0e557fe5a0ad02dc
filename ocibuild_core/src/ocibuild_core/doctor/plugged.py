"""The plugins, and what those that can say so say of their surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.auth.calls import CallTimeout, side_by_side
from ocibuild_core.catalog import PluginStatus
from ocibuild_core.diagnostics import Finding
from ocibuild_core.doctor.checks import UNKNOWN_REMEDY, failure, fine, warning
from ocibuild_core.errors import Failures, OcibuildError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_core.catalog import PluginState
    from ocibuild_core.doctor.scene import Scene

DIAGNOSIS_SECONDS = 5.0
"""What a provider gets to look at its surroundings."""
_GRACE = 2.0
"""Seconds more until it is left behind, for the border between host and plugin has its own."""


def look_at_plugins(scene: Scene) -> Iterator[Finding]:
    """What is installed, and what became of it; broken ones count when the user counts on them."""
    needed = {*scene.catalog.listed, *_named(scene)}
    good = [state for state in scene.catalog.plugins if state.status is PluginStatus.OK]
    yield fine(", ".join(f"{state.source.id} {state.source.version}".strip() for state in good) or "none is installed")
    for state in scene.catalog.plugins:
        if state.status in (PluginStatus.BROKEN, PluginStatus.MISSING):
            yield _broken(state, is_needed=state.source.id in needed)
    yield from (
        failure(f"{origin} asks for {name!r}: {error.summary}", why=error.why, do=error.do or UNKNOWN_REMEDY)
        for name, origin, error in _unknown(scene)
    )
    for note in scene.catalog.remarks():
        if not any(note == state.line() for state in scene.catalog.plugins):
            yield warning(note, do="ocibuild plugins shows all of them; --no-plugin ID leaves one out")


def look_at_logins(scene: Scene) -> Iterator[Finding]:
    """What the options of the named logins say. Raises the errors that a build would end with."""
    named = [provider for provider in scene.providers.values() if provider.explicit]
    registries: dict[str, list[str]] = {}
    errors: list[OcibuildError] = []
    for provider in named:
        try:
            registries[provider.name] = sorted(provider.registries())
        except OcibuildError as error:
            errors.append(error)
    if errors:
        raise Failures(errors)
    told = (f"{name}: {', '.join(hosts)}" if hosts else name for name, hosts in registries.items())
    yield fine("; ".join(told) or "none is named")


def look_at_providers(scene: Scene) -> Iterator[Finding]:
    """What each provider finds when it looks at what its logins stand on."""
    able = [provider for provider in scene.providers.values() if provider.diagnoses]
    if not able:
        yield fine("no plugin looks at anything of its own")
    for provider, call in zip(able, side_by_side(provider.diagnose for provider in able), strict=True):
        try:
            found = call.result(DIAGNOSIS_SECONDS + _GRACE)
        except CallTimeout:
            found = (warning("no answer in time", do=f"leave the plugin out with --no-plugin {provider.source.id}"),)
        except OcibuildError as error:
            found = (warning(error.summary, why=error.why, do=error.do or UNKNOWN_REMEDY),)
        for finding in found or (fine("nothing to tell"),):
            yield Finding(
                severity=finding.severity, what=f"{provider.name}: {finding.what}", why=finding.why, do=finding.do
            )


def _named(scene: Scene) -> set[str]:
    """The ids of plugins that the user named as logins; a provider is mostly called like its plugin."""
    return set(scene.login.names())


def _broken(state: PluginState, *, is_needed: bool) -> Finding:
    error = state.error()
    make = failure if is_needed else warning
    return make(error.summary, why=error.why, do=error.do or UNKNOWN_REMEDY)


def _unknown(scene: Scene) -> Iterator[tuple[str, str, PluginError]]:
    """Names of logins that no plugin answers to; those that are broken or missing have a line of their own."""
    of_their_own = (PluginStatus.BROKEN, PluginStatus.MISSING)
    told = {state.source.id for state in scene.catalog.plugins if state.status in of_their_own}
    for name, origin in scene.login.names().items():
        try:
            scene.catalog.provider(name)
        except PluginError as error:
            if name not in told:
                yield name, origin, error

"""The two hooks that a plugin implements, and the version of the contract between host and plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.exporting import Exporter
    from ocibuild_core.providers import AuthProvider

PROJECT = "ocibuild"
"""The name of the pluggy project and of the entry-point group."""

HOOK_API = 1
"""The contract's version: raised when a plugin written for an older one could no longer work."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of one of the hooks below."""


@hookspec
def ocibuild_auth_providers() -> Iterable[AuthProvider]:  # type: ignore[empty-body]
    """The auth providers of this plugin. No arguments, no I/O, no heavy import.

    >>> from ocibuild_core.plugin import AuthProvider, Match, hookimpl
    >>> class Example(AuthProvider):
    ...     name = "example"
    ...     summary = "Registries of Example Ltd."
    ...     def match(self, registry, options):
    ...         return Match.SPECIFIC if registry == "r.example" else Match.NO
    ...     def get(self, request):
    ...         return None
    >>> @hookimpl
    ... def ocibuild_auth_providers():
    ...     return [Example()]
    """


@hookspec
def ocibuild_exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """The exporters of this plugin. No arguments, no I/O, no heavy import."""

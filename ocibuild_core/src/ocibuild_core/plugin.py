"""The public surface: all that the author of a plugin imports.

A plugin is a module (or object) with hook implementations, named by an entry point of the group `ocibuild`; the
entry-point name is the plugin's id:

    [project.entry-points.ocibuild]
    example = "ocibuild_example"

A plugin that needs a certain version of this surface sets `OCIBUILD_HOOK_API = 1` beside its hooks.

A name is loaded when it is first asked for: `--help` imports every plugin, but hardly any of the records.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocibuild_core.clock import Clock, SystemClock
    from ocibuild_core.credentials import (
        Credential,
        CredentialKind,
        CredentialRequest,
        LoginRequest,
        ProviderContext,
        StoredCredential,
    )
    from ocibuild_core.diagnostics import Finding, Severity
    from ocibuild_core.errors import CredentialError, CredentialsUnavailable, ExportError, OcibuildError, UsageError
    from ocibuild_core.export_records import Artifact, BuildOutput, ExportPlan, ExportRequest, ExportResults
    from ocibuild_core.exporting import Exporter
    from ocibuild_core.hooks import HOOK_API, hookimpl
    from ocibuild_core.options import Option, OptionType, OptionValues
    from ocibuild_core.providers import AuthProvider, CredentialStore, Diagnostics, InteractiveLogin, LoginUI, Match
    from ocibuild_core.registry.hosts import Address as RegistryAddress
    from ocibuild_core.registry.hosts import parse as parse_registry
    from ocibuild_core.secret import Secret

__all__ = [
    "HOOK_API",
    "Artifact",
    "AuthProvider",
    "BuildOutput",
    "Clock",
    "Credential",
    "CredentialError",
    "CredentialKind",
    "CredentialRequest",
    "CredentialStore",
    "CredentialsUnavailable",
    "Diagnostics",
    "ExportError",
    "ExportPlan",
    "ExportRequest",
    "ExportResults",
    "Exporter",
    "Finding",
    "InteractiveLogin",
    "LoginRequest",
    "LoginUI",
    "Match",
    "OcibuildError",
    "Option",
    "OptionType",
    "OptionValues",
    "ProviderContext",
    "RegistryAddress",
    "Secret",
    "Severity",
    "StoredCredential",
    "SystemClock",
    "UsageError",
    "hookimpl",
    "parse_registry",
]

_HOMES = {
    "clock": ("Clock", "SystemClock"),
    "credentials": (
        "Credential",
        "CredentialKind",
        "CredentialRequest",
        "LoginRequest",
        "ProviderContext",
        "StoredCredential",
    ),
    "diagnostics": ("Finding", "Severity"),
    "errors": ("CredentialError", "CredentialsUnavailable", "ExportError", "OcibuildError", "UsageError"),
    "export_records": ("Artifact", "BuildOutput", "ExportPlan", "ExportRequest", "ExportResults"),
    "exporting": ("Exporter",),
    "hooks": ("HOOK_API", "hookimpl"),
    "options": ("Option", "OptionType", "OptionValues"),
    "providers": ("AuthProvider", "CredentialStore", "Diagnostics", "InteractiveLogin", "LoginUI", "Match"),
    "registry.hosts": ("RegistryAddress", "parse_registry"),
    "secret": ("Secret",),
}
"""The module of core that each name comes from."""

_MODULES = {name: module for module, names in _HOMES.items() for name in names}
_NAMES_THERE = {"RegistryAddress": "Address", "parse_registry": "parse"}


if not TYPE_CHECKING:  # a type checker reads the imports above, and so finds a name that is not there

    def __getattr__(name: str) -> object:
        """Load a name of the surface; kept as an ordinary attribute from then on."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=None)
        found = getattr(import_module(f"ocibuild_core.{_MODULES[name]}"), _NAMES_THERE.get(name, name))
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return __all__

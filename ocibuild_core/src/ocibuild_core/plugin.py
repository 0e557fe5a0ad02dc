"""The public surface: all that the author of a plugin imports.

A plugin is a module (or object) with hook implementations, named by an entry point of the group `ocibuild`; the
entry-point name is the plugin's id:

    [project.entry-points.ocibuild]
    example = "ocibuild_example"

A plugin that needs a certain version of this surface sets `OCIBUILD_HOOK_API = 1` beside its hooks.
"""

from ocibuild_core.clock import Clock, SystemClock
from ocibuild_core.errors import CredentialError, CredentialsUnavailable, ExportError, OcibuildError, UsageError
from ocibuild_core.exporting import Artifact, BuildOutput, Exporter, ExportPlan, ExportRequest, ExportResults
from ocibuild_core.hooks import HOOK_API, hookimpl
from ocibuild_core.options import Option, OptionType, OptionValues
from ocibuild_core.providers import (
    AuthProvider,
    Credential,
    CredentialKind,
    CredentialRequest,
    CredentialStore,
    InteractiveLogin,
    LoginRequest,
    LoginUI,
    Match,
    ProviderContext,
    StoredCredential,
)
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
    "ExportError",
    "ExportPlan",
    "ExportRequest",
    "ExportResults",
    "Exporter",
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
    "StoredCredential",
    "SystemClock",
    "UsageError",
    "hookimpl",
    "parse_registry",
]

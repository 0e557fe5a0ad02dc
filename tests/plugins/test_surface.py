from __future__ import annotations

import ast
import doctest
import importlib
from itertools import pairwise
from pathlib import Path

import pytest

from ocibuild_core import plugin

# What authors rely on. A name that goes, or changes its meaning, raises HOOK_API; one that comes is a minor release.
PINNED = {
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
}
CONSTANTS = {"HOOK_API", "hookimpl"}
DOCUMENTED_BY_EXAMPLE = ("errors", "hooks", "secret", "spellings", "registry.hosts", "settings.values")


def test_surface_is_what_authors_rely_on() -> None:
    assert set(plugin.__all__) == PINNED
    assert list(plugin.__all__) == sorted(
        plugin.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    assert set(dir(plugin)) == PINNED
    assert sorted(name for names in plugin._HOMES.values() for name in names) == sorted(PINNED)


def test_a_name_that_is_not_there_is_an_import_error_of_the_surface() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nothing'") as caught:
        from ocibuild_core.plugin import Nothing  # type: ignore[attr-defined]  # noqa: F401
    assert caught.value.name == "ocibuild_core.plugin"


def test_hook_api_is_pinned() -> None:
    assert plugin.HOOK_API == 1


@pytest.mark.parametrize("name", sorted(PINNED - CONSTANTS))
def test_every_name_has_a_contract(name: str) -> None:
    thing = getattr(plugin, name)
    assert vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__
    for member, value in vars(thing).items() if isinstance(thing, type) else ():
        if callable(value) and not member.startswith("_"):
            assert value.__doc__, f"{name}.{member} has no docstring"


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_constants_are_explained_below_their_line(name: str) -> None:
    hooks = importlib.import_module("ocibuild_core.hooks")
    body = ast.parse(Path(str(hooks.__file__)).read_text()).body
    explained = {
        statement.targets[0].id
        for statement, following in pairwise(body)
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
    }
    assert name in explained


@pytest.mark.parametrize("name", DOCUMENTED_BY_EXAMPLE)
def test_examples_in_docstrings_hold(name: str) -> None:
    module = importlib.import_module(f"ocibuild_core.{name}")
    result = doctest.testmod(module, raise_on_error=True)
    assert result.attempted > 0


def test_example_of_the_hook_is_a_plugin_that_loads() -> None:
    from ocibuild_core.catalog import PluginSource
    from ocibuild_core.hooks import ocibuild_auth_providers
    from ocibuild_core.plugin_hooks import register

    (example,) = doctest.DocTestFinder().find(ocibuild_auth_providers, "hook", globs={})
    doctest.DocTestRunner().run(example, clear_globs=False)
    module = type("Module", (), {"ocibuild_auth_providers": staticmethod(example.globs["ocibuild_auth_providers"])})
    offer = register(PluginSource(id="example", distribution="d", version="1"), module)
    assert [provider.name for provider in offer.providers] == ["example"]

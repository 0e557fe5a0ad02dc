"""The plugin as the host sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import ocibuild_basic
import pytest


def test_the_entry_point_leads_to_the_one_provider() -> None:
    (entry,) = entry_points(group="ocibuild", name="basic")

    plugin = entry.load()

    assert plugin is ocibuild_basic
    assert [provider.name for provider in plugin.ocibuild_auth_providers()] == ["basic"]
    assert [provider.aliases for provider in plugin.ocibuild_auth_providers()] == [("pass",)]


@pytest.mark.parametrize("module", ["keyring", "yaml", "subprocess", "secretstorage", "http.client", "ssl", "asyncio"])
def test_loading_it_imports_nothing_heavy(module: str) -> None:
    code = "import json, sys, ocibuild_basic; json.dump(sorted(sys.modules), sys.stdout)"

    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)

    assert "ocibuild_basic.provider" in loaded
    assert module not in loaded

"""What loading plugins may import: nothing that is heavy, whatever is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.made_plugins import Site

SHIPPED = {"basic", "ecr", "gcr"}
HEAVY = ("boto3", "botocore", "keyring", "google", "requests", "urllib3", "yaml")
NEEDLESS = ("asyncio", "concurrent.futures", "http.client", "importlib.metadata", "ssl", "subprocess", "tarfile")

CODE = """
import json, sys
from ocibuild_core.loader import load_plugins
catalog = load_plugins()
print(json.dumps({
    "states": {state.source.id: state.status.value for state in catalog.plugins},
    "seconds": {state.source.id: state.seconds for state in catalog.plugins},
    "modules": sorted(sys.modules),
}))
"""


def loaded(**env: str) -> dict[str, Any]:
    command = [sys.executable, "-c", CODE]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **env})
    return dict(json.loads(found.stdout))


def heavy(modules: list[str]) -> list[str]:
    return [name for name in modules if name.partition(".")[0] in HEAVY or name in NEEDLESS]


def test_loading_the_shipped_plugins_imports_nothing_heavy() -> None:
    found = loaded()
    missing = sorted(plugin_id for plugin_id in SHIPPED if found["states"].get(plugin_id) != "ok")
    assert not missing, f"not installed in order: {missing}; run `make setup`"
    assert heavy(found["modules"]) == []


def test_an_import_that_is_heavy_would_be_seen(site: Site) -> None:
    site.add("heavy", "import http.client\n")
    assert "http.client" in heavy(loaded(PYTHONPATH=str(site.directory))["modules"])

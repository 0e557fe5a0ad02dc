"""The testkit costs little where it is merely installed, and works where Linux is not."""

from __future__ import annotations

import json
import subprocess
import sys

_LOADED = """
import json, sys
import pytest
before = set(sys.modules)
import ocibuild_testkit.plugin
from importlib import import_module
for name in ocibuild_testkit.plugin.pytest_plugins:
    import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""

# Every module, as on a machine where neither Linux's own modules nor the registry's wheel exist.
_ELSEWHERE = """
import pkgutil, sys
from importlib import import_module
sys.platform = "darwin"
for missing in ("spwd", "ossaudiodev", "ocibuild_registry"):
    sys.modules[missing] = None
import ocibuild_testkit
names = [module.name for module in pkgutil.walk_packages(ocibuild_testkit.__path__, "ocibuild_testkit.")]
for name in names:
    import_module(name)
from ocibuild_testkit.registry.process import _wrapper
assert _wrapper() == ()
print(len(names))
"""


def run(script: str) -> str:
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_pytest_plugin_loads_nothing_heavy() -> None:
    loaded = set(json.loads(run(_LOADED)))
    assert "ocibuild_testkit" in loaded
    assert not loaded & {"cryptography", "bcrypt", "http", "ssl", "ocibuild_core", "asyncio"}


def test_every_module_can_be_imported_elsewhere() -> None:
    assert int(run(_ELSEWHERE)) > 20

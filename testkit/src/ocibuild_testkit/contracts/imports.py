"""What the import of a plugin brings along, seen in an interpreter of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the host has loaded anyway.
_HOSTS_OWN = frozenset({"ocibuild_core", "pluggy", "click", "yaml"})

_SCRIPT = """
import importlib, json, sys
import ocibuild_core.plugin
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def third_party_imports(modules: Iterable[str], package: str) -> tuple[str, ...]:
    """The top-level modules from other distributions that importing `modules` loads, `package` itself aside."""
    result = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *modules],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise AssertionError(f"{', '.join(modules)} cannot be imported alone:\n{result.stderr}")
    loaded: list[str] = json.loads(result.stdout.splitlines()[-1])
    ours = _HOSTS_OWN | {package} | sys.stdlib_module_names
    return tuple(name for name in loaded if name not in ours)

"""Fail unless the image has just the plugins that its labels name, each in order: check_plugins.py PLUGINS_JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_FACTS = ("id", "distribution", "version", "hook_api")


def main() -> None:
    """Compare what is installed with what was announced."""
    answer = subprocess.run(["ocibuild", "plugins", "--json"], check=True, capture_output=True, text=True)
    installed = json.loads(answer.stdout)
    broken = [plugin["id"] for plugin in installed if plugin["state"] != "ok"]
    if broken:
        sys.exit(f"broken: {', '.join(broken)}")
    found = sorted([plugin[fact] for fact in _FACTS] for plugin in installed)
    announced = sorted([plugin[fact] for fact in _FACTS] for plugin in json.loads(Path(sys.argv[1]).read_text()))
    if found != announced:
        sys.exit(f"the labels name {announced}, installed are {found}")


if __name__ == "__main__":
    main()

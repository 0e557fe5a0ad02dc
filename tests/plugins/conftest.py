"""Fixtures with made distributions."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.made_plugins import Site

if TYPE_CHECKING:
    from pathlib import Path

    from support.made_plugins import Run


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(made.directory)
    return made


@pytest.fixture
def ocibuild(site: Site) -> Run:
    """Runs the program `ocibuild` with the made distributions beside the real ones."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from ocibuild_core.cli.main import ocibuild; ocibuild()", *arguments]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site.directory), **env}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)

    return run

"""Fixtures with made distributions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.made_plugins import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.fresh_env import FreshEnvironment, Wheelhouse
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


@pytest.fixture
def fresh_environment(tmp_path: Path, wheelhouse: Wheelhouse) -> Callable[..., FreshEnvironment]:
    """Makes a virtual environment with these requirements in it."""
    from support.fresh_env import FreshEnvironment

    def make(*requirements: str) -> FreshEnvironment:
        environment = FreshEnvironment(tmp_path / "environment", wheelhouse)
        environment.install(*requirements)
        return environment

    return make

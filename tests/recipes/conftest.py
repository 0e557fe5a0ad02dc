"""The machine on which the recipes' shell runs, and the files that they consist of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.ci_scenes import Machine, fill_index
from support.fresh_env import ROOT
from support.missing import need_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocibuild_testkit.registry import Authority
    from support.fresh_env import Wheelhouse
    from support.programs import ProgramRunner
    from support.users import OrdinaryUser


@pytest.fixture(scope="session")
def examples() -> Path:
    return ROOT / "examples"


@pytest.fixture(scope="session")
def index(wheelhouse: Wheelhouse, ordinary_user: OrdinaryUser) -> Path:
    """A directory with all the wheels that a recipe may install, which the ordinary user can read."""
    directory = ordinary_user.home / "index"
    directory.mkdir()
    fill_index(directory, wheelhouse)
    return ordinary_user.own(directory)


@pytest.fixture(scope="session")
def pipx_libraries(ordinary_user: OrdinaryUser) -> Path:
    """What pipx makes in its first use, and hosted runners have: made by uv, in a tenth of the time."""
    directory = ordinary_user.home / "pipx-libraries"
    python = Path(sys.base_prefix) / "bin" / "python3"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "--seed", "--python", python, directory], check=True)
    return ordinary_user.own(directory)


@pytest.fixture
def machine(
    index: Path, pipx_libraries: Path, ordinary_user: OrdinaryUser, run: ProgramRunner
) -> Callable[[str], Machine]:
    """A machine with this name; what was installed on it is still there when it is asked for again."""

    def get(name: str) -> Machine:
        need_program("pipx", "pipx")
        home = ordinary_user.home / name
        (home / "bin").mkdir(parents=True, exist_ok=True)
        return Machine(user=ordinary_user, index=index, pipx_libraries=pipx_libraries, run=run, home=home)

    return get


@pytest.fixture
def ca(ordinary_user: OrdinaryUser, tls_authority: Authority) -> Path:
    """The authority's certificate, where the ordinary user can read it."""
    path = ordinary_user.home / "ca.pem"
    return ordinary_user.own(tls_authority.write(path))

"""Fresh Python environments with built wheels in them: what a user has, with no source tree in sight."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.missing import fail_missing

ROOT = Path(__file__).parents[2]
_PURE = ("ocibuild_core", "plugins/basic", "plugins/ecr", "plugins/gcr", "testkit")
# Compiled by `make setup`, which takes minutes the first time.
_COMPILED = ("engine", "registry")
_UV = Path(sys.executable).with_name("uv")


class Wheelhouse:
    """A directory with the wheels of this repository."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self) -> None:
        """Build what is pure Python, take what `make setup` has compiled."""
        for folder in _PURE:
            self.build(ROOT / folder)
        for name in _COMPILED:
            wheels = list((ROOT / ".venv" / "wheels" / name).glob("*.whl"))
            if not wheels:
                fail_missing(f"the tests need the wheel of {name!r}", "make setup")
            for wheel in wheels:
                shutil.copy(wheel, self.directory)

    def build(self, project: Path) -> Path:
        """Build one more wheel; returns it."""
        before = set(self.directory.glob("*.whl"))
        command = ["build", "-q", "--wheel", "--no-build-isolation", "--python", sys.executable]
        _uv(*command, "--out-dir", str(self.directory), str(project))
        (wheel,) = set(self.directory.glob("*.whl")) - before
        return wheel


class FreshEnvironment:
    """A virtual environment of its own.

    Args:
        directory: where it is made.
        wheels: what it may install besides what is on the index.
    """

    def __init__(self, directory: Path, wheels: Wheelhouse) -> None:
        self.directory = directory
        self._wheels = wheels
        _uv("venv", "-q", "--seed", "--python", sys.executable, str(directory))

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """One of its programs."""
        return self.directory / "bin" / name

    def install(self, *requirements: str) -> None:
        """Install requirements, or wheels by path."""
        _uv(
            *("pip", "install", "-q", "--python", str(self.python), "--find-links", str(self._wheels.directory)),
            *requirements,
        )


def _uv(*arguments: str) -> None:
    if not _UV.exists():
        fail_missing("the tests need the program 'uv' beside Python", "make setup")
    done = subprocess.run([str(_UV), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"uv {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}", pytrace=False)

"""Runs the installed programs as a person or a pipeline would, and looks for secrets in all that they leave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.leaks import raise_leaks

from support.mapped_root import find_leaks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocibuild_testkit.leaks import LeakWatcher

    from support.users import OrdinaryUser

PROGRAMS = Path(sys.executable).parent
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a program ended, and what it said."""

    command: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def succeeded(self) -> Run:
        """Itself; fails the test, showing all of its output, unless the exit code is 0."""
        return self.ended_with(0)

    def ended_with(self, code: int) -> Run:
        """Itself; fails the test, showing all of its output, unless the exit code is `code`."""
        if self.code != code:
            pytest.fail(f"{self} instead of {code}", pytrace=False)
        return self

    def __str__(self) -> str:
        said = f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        return f"{said}\n--- `{' '.join(self.command)}` ended with {self.code}"


class ProgramRunner:
    """Runs programs in a sandbox: a home, a runtime and a temporary directory of their own.

    Nothing of this process's environment is handed on. After each run its output and every file in the sandbox are
    searched for registered secrets.

    Args:
        watcher: knows the secrets.
        sandbox: a directory of the test's own, with a short path.
    """

    def __init__(self, watcher: LeakWatcher, sandbox: Path) -> None:
        self._watcher = watcher
        self._sandbox = sandbox
        for name in ("home", "run", "tmp"):
            (sandbox / name).mkdir(mode=0o700, exist_ok=True)

    @property
    def home(self) -> Path:
        """HOME of the programs, when they run as this user."""
        return self._sandbox / "home"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the programs, when they run as this user."""
        return self._sandbox / "tmp"

    def env(self, user: OrdinaryUser | None = None) -> dict[str, str]:
        """The environment of a run, before its own additions."""
        places = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self._sandbox / "run"), "TMPDIR": str(self.temporary)}
        return {
            "PATH": f"{PROGRAMS}:{_SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            **(user.env() if user else places),
        }

    def __call__(  # all of it by keyword
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        cwd: Path,
        stdin: str = "",
        user: OrdinaryUser | None = None,
        seconds: float = 120,
        may_hold_secrets: Sequence[Path] = (),
    ) -> Run:
        """Run a program to its end.

        Args:
            argv: the program (`build`, `ocibuild`, …) and its arguments.
            env: what it gets besides `env()`.
            cwd: where it runs.
            stdin: what it reads.
            user: who runs it; None is the user of the tests.
            seconds: after which it is killed with all its children, and the test fails.
            may_hold_secrets: files and directories in the sandbox that are no leak (a docker config made by the test).
        """
        command = _as_user(argv, user)
        # A session of its own, so that a run that hangs is ended with its children.
        with subprocess.Popen(
            command,
            cwd=cwd,
            env={**self.env(user), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
                self._check(argv, stdout, stderr, may_hold_secrets)
                pytest.fail(f"{argv} did not end within {seconds:g} s\n{stdout}\n{stderr}", pytrace=False)
        self._check(argv, stdout, stderr, may_hold_secrets)
        return Run(command=argv, code=process.returncode, stdout=stdout, stderr=stderr)

    def _check(self, argv: Sequence[str], stdout: str, stderr: str, may_hold_secrets: Sequence[Path]) -> None:
        self._watcher.check(stdout, f"stdout of {argv[0]}")
        self._watcher.check(stderr, f"stderr of {argv[0]}")
        self._watcher.check(" ".join(argv), f"the arguments of {argv[0]}")
        raise_leaks(find_leaks(self._watcher, self._sandbox, may_hold_secrets))


def _as_user(argv: Sequence[str], user: OrdinaryUser | None) -> list[str]:
    program = shutil.which(argv[0], path=f"{PROGRAMS}:{_SYSTEM_PATH}")
    if program is None:
        pytest.fail(f"{argv[0]} is not installed\n  do     make setup", pytrace=False)
    absolute = [program, *argv[1:]]
    return user.command(*absolute) if user else absolute

"""The table of bad and odd input: every check has the text of its row for a name, and drives the installed programs."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from ocibuild_buildkit import binary
from support.demo import Demo, login
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from ocibuild_testkit.leaks import LeakWatcher
    from support.users import OrdinaryUser

    Check = Callable[["Case"], None]
    Ended = subprocess.CompletedProcess[str]

HOST = "r.demo.example"
"""A registry for which the plugin `demo` is made."""
OTHER = "r.other.example"
"""A registry for which no plugin is made."""
FROM_SCRATCH = "FROM scratch\nLABEL a=b\n"
CASES: dict[str, Check] = {}


def case(row: str) -> Callable[[Check], Check]:
    """Makes a function the check of a row."""

    def add(check: Check) -> Check:
        assert row not in CASES, f"two checks for: {row}"
        CASES[row] = check
        return check

    return add


class Case:
    """What a check works with: a home with the plugin `demo` in it, sources beside it, and all fixtures.

    Args:
        request: gives the fixtures.
        sandbox: a directory of the test's own.
    """

    def __init__(self, request: pytest.FixtureRequest, sandbox: Path) -> None:
        self._request = request
        self.sandbox = sandbox
        self.demo = Demo(sandbox / "d")
        self.work = sandbox / "work"
        (self.work / "image").mkdir(parents=True)
        (self.work / "image" / "digest").write_text("what an earlier build has made")
        self.watcher: LeakWatcher = self.fixture("leak_watcher")
        self.token = self.watcher.fresh()
        """A secret that is watched."""

    def fixture(self, name: str) -> Any:  # noqa: ANN401  # each fixture has its own type
        """A fixture of the tests."""
        return self._request.getfixturevalue(name)

    @property
    def user(self) -> OrdinaryUser:
        """Somebody else."""
        return self.fixture("ordinary_user")  # type: ignore[no-any-return]

    @property
    def entry(self) -> dict[str, str]:
        """An entry of a docker config with the secret in it, for the user `config`."""
        return login("config", self.token)

    def build(self, *argv: str, dockerfile: str = FROM_SCRATCH, **env: str) -> Ended:
        """`build ARGV` in the sources; `.` unless there is any."""
        (self.work / "Dockerfile").write_text(dockerfile)
        return self.program("build", *(argv or (".",)), **env)

    def in_sources(self, *command: str | Path, **env: str) -> Ended:
        """A program that runs in the sources; neither its talk nor what it makes there may hold a secret."""
        ended = subprocess.run(
            command,
            cwd=self.work,
            env=self.demo.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.watcher.check(ended.stdout + ended.stderr, f"what {command[0]} said")
        self.watcher.check_files(self.work)
        return ended

    def watch_engine(self) -> Children:
        """From now on the engine's programs stand on PATH, and each says how it was started."""
        return Children(self)

    def builds(self, *argv: str, dockerfile: str = FROM_SCRATCH, **env: str) -> str:
        """A build that succeeds; what it said on stderr."""
        ended = self.build(*argv, dockerfile=dockerfile, **env)
        assert ended.returncode == 0, ended
        return ended.stderr

    def fails_to_pull(self, *argv: str, host: str = HOST, **env: str) -> str:
        """A build on an image of a registry that is not there, let in without a login; what it said on stderr."""
        ended = self.build(*argv, dockerfile=f"FROM {host}/team/base:1\n", **env)
        assert (ended.returncode, "load metadata" in ended.stdout) == (1, True), ended
        return ended.stderr

    def program(self, name: str, *argv: str, **env: str) -> Ended:
        """Another of our programs."""
        return self.in_sources(PROGRAMS / name, *argv, **env)

    def fails(self, code: int, *texts: str, host: str = HOST, argv: str = ".", **env: str) -> str:
        """A build on an image of `host` ends with `code` and says all of `texts`, before anything is solved.

        Gives what was said on stderr.
        """
        before = self._images()
        ended = self.build(*argv.split(), dockerfile=f"FROM {host}/team/base:1\n", **env)
        assert ended.returncode == code, ended
        missing = [text for text in texts if text not in ended.stderr]
        assert not missing, f"{missing} not in: {ended.stderr}"
        assert "Traceback" not in ended.stderr
        # BuildKit's own words about steps are all on stdout.
        assert ended.stdout == ""
        assert self._images() == before
        return ended.stderr

    def _images(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (self.work / "image").iterdir()}

    def answer(self, host: str = HOST, *, says: str = "", **env: str) -> str:
        """The user that answers for `host`, or "anonymous"; `says` is on stderr, which is empty without it."""
        (found,) = self.answers(host, says=says, **env)
        return found

    def answers(self, *hosts: str, says: str = "", **env: str) -> list[str]:
        """As `answer`, for several hosts."""
        ended = self.demo.explain("--json", *hosts, **env)
        assert ended.returncode == 0, ended
        self.watcher.check(ended.stdout + ended.stderr, "what auth explain said")
        assert says in ended.stderr, ended.stderr
        assert bool(says) == bool(ended.stderr), ended.stderr
        return [found["username"] or found["identity"] for found in json.loads(ended.stdout)]


_WATCHED = """#!/bin/sh
{ echo "$0" "$@"; env; } >> '%(log)s'
exec '%(program)s' "$@"
"""


class Children:
    """Arguments and environment of the programs that a build has started: the engine's, each behind a script.

    What is recorded holds no secret, or the watcher finds it.

    Args:
        given: whose PATH leads to the scripts from now on.
    """

    def __init__(self, given: Case) -> None:
        self._watcher = given.watcher
        self._directory = given.sandbox / "children"
        self._directory.mkdir(mode=0o777)
        programs = given.sandbox / "engine"
        programs.mkdir()
        for name in ("buildctl", "buildkitd", "runc", "rootlesskit"):
            script = programs / name
            log = self._directory / name
            script.write_text(_WATCHED % {"log": log, "program": binary(name)})
            script.chmod(0o755)
        given.demo.env["PATH"] = f"{programs}:{given.demo.env['PATH']}"

    def ran(self, *names: str) -> bool:
        """Whether all of these were started."""
        return all((self._directory / name).exists() for name in names)

    def text(self) -> str:
        """All that was recorded."""
        text = "".join(path.read_text() for path in self._directory.iterdir())
        self._watcher.check(text, "arguments and environment of the engine's programs")
        return text

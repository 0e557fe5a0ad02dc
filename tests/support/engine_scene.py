"""One engine at work in a program of its own, seen from outside: its processes, and what it leaves behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from support.footprint import descendants, left_mounts, mounts, processes
from support.missing import fail_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.users import OrdinaryUser

_DRIVER = Path(__file__).with_name("engine_driver.py")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BUSYBOX = Path("/bin/busybox")
PATIENCE = 20.0
"""Seconds for what takes well under one on an idle machine."""
_CLEANING = 3.0
"""Seconds for a keeper to clean up after a program that was killed."""


class Scene:
    """A directory, a user, and builds in there.

    Args:
        directory: the user's own, with a short path.
        user: who builds; None is the user of the tests.
    """

    def __init__(self, directory: Path, user: OrdinaryUser | None) -> None:
        self.directory = directory
        self.user = user
        self.token = str(secrets.randbelow(10**8) + 10**9)
        """Seconds that a step sleeps, by which its processes are found."""
        self.context = directory / "context"
        self.context.mkdir()
        (directory / "state").mkdir(mode=0o700)
        self.write("RUN echo built")

    @property
    def env(self) -> dict[str, str]:
        """The environment of the programs."""
        own = self.user.env() if self.user else {"HOME": str(self.directory)}
        return {**own, "PATH": _SYSTEM_PATH, "LANG": "C.UTF-8"}

    @property
    def state(self) -> Path:
        """Where the engine keeps its cache."""
        return self.directory / "state"

    def write(self, *lines: str) -> None:
        """A Dockerfile on busybox; `RUN` steps go through its shell."""
        if not _BUSYBOX.exists():
            fail_missing(f"the tests need {_BUSYBOX}", "apt-get install busybox-static")
        (self.context / "busybox").write_bytes(_BUSYBOX.read_bytes())
        (self.context / "busybox").chmod(0o755)
        shell = 'SHELL ["/bin/busybox", "sh", "-c"]'
        text = "\n".join(["FROM scratch", "COPY busybox /bin/busybox", shell, "ENV PATH=/bin", *lines, ""])
        (self.context / "Dockerfile").write_text(text)
        if self.user:
            self.user.own(self.directory)

    def write_sleep(self) -> None:
        """A Dockerfile whose step says `begun` and sleeps for years."""
        self.write(f"RUN echo begun; exec /bin/busybox sleep {self.token}")

    @property
    def arguments(self) -> list[str]:
        """Those of `buildctl build` for the Dockerfile."""
        local = [f"--local=context={self.context}", f"--local=dockerfile={self.context}"]
        return ["--frontend=dockerfile.v0", *local, "--progress=plain"]

    def start(
        self,
        *arguments: str,
        settings: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
        wrap: Callable[[list[str]], list[str]] = list,
        surround: Callable[[list[str]], list[str]] = list,
        **more: object,
    ) -> Running:
        """Start a build.

        Args:
            arguments: further ones for `buildctl build`.
            settings: fields of `EngineSettings`.
            env: what the program gets besides `env`; an empty value takes a variable away.
            wrap: makes another command of the program's.
            surround: the same for what the tests' own user runs, before it becomes this scene's user.
            more: further keys for the driver.
        """
        report = self.directory / f"report-{secrets.token_hex(4)}"
        asked = {
            "report": str(report),
            "arguments": [*self.arguments, *arguments],
            "settings": {"state_dir": str(self.state), **(settings or {})},
            **more,
        }
        argv = wrap([sys.executable, str(_DRIVER), json.dumps(asked)])
        if self.user:
            argv = self.user.command(*argv)
        environment = {name: value for name, value in {**self.env, **(env or {})}.items() if value}
        return Running(self, surround(argv), environment, report)

    def build(self, *arguments: str, **more: Any) -> Running:  # noqa: ANN401  # those of `start`
        """Build to the end."""
        running = self.start(*arguments, **more)
        running.wait()
        return running


class Running:
    """A program that builds."""

    def __init__(self, scene: Scene, argv: list[str], env: dict[str, str], report: Path) -> None:
        self._scene = scene
        self._report = report
        self._before = mounts()
        self.output = b""
        self.process = subprocess.Popen(
            argv,
            cwd=scene.directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()
        # Its keeper cleans up now; the state that it works in is removed next.
        deadline = time.monotonic() + _CLEANING
        while self._has_keeper() and time.monotonic() < deadline:
            time.sleep(0.02)

    @property
    def facts(self) -> dict[str, Any]:
        """What the program has told of itself."""
        text = self._report.read_text() if self._report.exists() else ""
        return {name: value for line in text.splitlines() for name, value in json.loads(line).items()}

    @property
    def text(self) -> str:
        """What the client has printed."""
        return self.output.decode(errors="replace")

    def wait(self) -> int:
        """Wait for its end; the exit code. Fails the test when it does not end."""
        try:
            output, _ = self.process.communicate(timeout=PATIENCE + 40)
        except subprocess.TimeoutExpired:
            state = Path(f"/proc/{self.process.pid}/status").read_text()
            self.process.send_signal(signal.SIGABRT)  # it shows where it is
            time.sleep(1)
            os.killpg(self.process.pid, signal.SIGKILL)
            said = self.process.communicate()[0].decode()
            pytest.fail(f"the program does not end\n{self.text}{said}\n{self.facts}\n{state}")
        self.output += output
        return self.process.returncode

    def succeeded(self) -> Self:
        """Itself; fails the test, showing everything, unless the build was good."""
        if self.process.returncode != 0:
            pytest.fail(f"exit code {self.process.returncode}\n{self.text}\n{self.facts}")
        return self

    def wait_for(self, mark: bytes) -> Self:
        """Read until the client prints it."""
        assert self.process.stdout is not None
        while mark not in self.output:
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                pytest.fail(f"it ended before it said {mark!r}\n{self.text}\n{self.facts}")
            self.output += piece
        return self

    def wait_for_fact(self, name: str) -> Any:  # noqa: ANN401  # whatever JSON holds
        """Wait until the program has told it."""
        deadline = time.monotonic() + PATIENCE
        while name not in self.facts:
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"no {name} in {self.facts}\n{self.text}")
            time.sleep(0.002)
        return self.facts[name]

    def wait_for_step(self) -> Self:
        """Wait until the step of `write_sleep` sleeps."""
        self.wait_for(b"begun")
        deadline = time.monotonic() + PATIENCE
        while not self.found(f"sleep {self._scene.token}"):
            if time.monotonic() > deadline:
                pytest.fail(f"no step runs\n{self.text}")
            time.sleep(0.01)
        return self

    def found(self, *marks: str) -> dict[int, str]:
        """The processes of the machine with all of these in their arguments, without the program itself."""
        mine = {self.process.pid, self.facts.get("keeper", 0)}
        return {
            pid: command
            for pid, command in processes().items()
            if pid not in mine and all(mark in command for mark in marks) and str(_DRIVER) not in command
        }

    def one(self, *marks: str) -> int:
        """The one process of this run's tree whose arguments begin with a program of that name and hold the marks."""
        name, *rest = marks
        tree = descendants(self.process.pid)
        found = [
            pid
            for pid, command in self.found(*rest).items()
            if pid in tree and command.split(" ")[0].endswith(f"/{name}")
        ]
        if len(found) != 1:
            pytest.fail(f"not one {marks}, but {found}")
        return found[0]

    def left(self) -> list[str]:
        """What there is of this run: processes, mounts, control groups, directories."""
        runtime = self.facts.get("runtime", "/nonexistent/runtime")
        identifier = Path(runtime).name
        marks = (f"sleep {self._scene.token}", identifier, str(self._scene.state))
        left = [f"process {pid}: {command}" for mark in marks for pid, command in self.found(mark).items()]
        if self._has_keeper():
            left.append(f"keeper {self.facts['keeper']}")
        left += [f"mount {place}" for place in left_mounts(self._before, self._scene.directory)]
        # Not by a glob, which fails when a group goes away under its eyes.
        groups = (path for path, _, _ in os.walk("/sys/fs/cgroup") if identifier in Path(path).name)
        left += [f"cgroup {path}" for path in groups]
        left += [f"directory {path}" for path in (Path(runtime), *self._scene.state.glob("once-*")) if path.exists()]
        left += [f"container {path}" for path in _containers() if str(self._scene.directory) in path.read_text()]
        if (self._scene.state / "tmp").exists():
            left += [f"file {path}" for path in (self._scene.state / "tmp").iterdir()]
        return left

    def _has_keeper(self) -> bool:
        try:
            return bool(Path(f"/proc/{self.facts['keeper']}/cmdline").read_bytes())  # a zombie has none
        except (KeyError, FileNotFoundError, ProcessLookupError):
            return False

    def is_gone(self, within: float = 6.0) -> Self:
        """Fail the test unless nothing is left of this run after so many seconds."""
        deadline = time.monotonic() + within
        while left := self.left():
            if time.monotonic() > deadline:
                pytest.fail("left behind:\n" + "\n".join(left) + f"\n{self.text}")
            time.sleep(0.05)
        return self


def _containers() -> list[Path]:
    try:
        return list(Path("/run/runc").glob("*/state.json"))
    except PermissionError:
        return []

"""The installed `build` from outside, as a person and as a pipeline: outputs, codes, signals, secrets."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.leaks import LeakWatcher
from ocibuild_testkit.registry import PasswordAuth, RegistryServer, busybox_files
from support.footprint import (
    Moment,
    descendants,
    leaks_in_arguments,
    leaks_in_files,
    left_mounts,
    left_processes,
    processes,
)
from support.programs import PROGRAMS, ProgramRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e

SLEEP = "sleep 98765"


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with a Dockerfile that needs nobody, and `image/`."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return directory


@pytest.fixture
def private(work: Path, tls_registry: RegistryServer) -> dict[str, str]:
    """The environment that builds `work` on a base image of a registry with TLS and a password."""
    base = tls_registry.push_image("team/base:1", files=busybox_files())
    (work / "Dockerfile").write_text(f"FROM {base.reference}\nRUN echo built > /built\n")
    assert isinstance(tls_registry.auth, PasswordAuth)
    return {
        "LOGIN": "PASS",
        "PASS": f"alice:{tls_registry.auth.users['alice']}",
        "REG_URL": tls_registry.url,
        "REGISTRY_CA": f"{tls_registry.address}={tls_registry.ca_file}",
    }


def busybox_context(work: Path, *steps: str) -> None:
    (work / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (work / "busybox").chmod(0o755)
    runs = "\n".join(f'RUN ["/busybox", "sh", "-c", "{step}"]' for step in steps)
    (work / "Dockerfile").write_text(f"FROM scratch\nCOPY busybox /busybox\n{runs}\n")


def files_in(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_without_arguments_the_environment_says_it_all(work: Path, run: ProgramRunner) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "Other").write_text("FROM scratch AS a\nARG X\nLABEL x=$X\nFROM scratch AS b\n")
    env = {"CONTEXT": "sub", "DOCKERFILE": "sub/Other", "target": "a", "BUILD_ARG_X": "1,2", "LABELS": "y=2"}
    result = run("build", env=env, cwd=work).succeeded()
    assert result.stdout.startswith("#1 [internal] load build definition from Other")
    with tarfile.open(work / "image" / "image.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        config = archive.extractfile(manifest["Config"]).read()  # type: ignore[union-attr]
    assert json.loads(config)["config"]["Labels"] == {"x": "1,2", "y": "2"}
    assert (work / "image" / "digest").read_bytes() == b"sha256:" + hashlib.sha256(config).hexdigest().encode()
    assert {path.stat().st_mode & 0o777 for path in (work / "image").iterdir()} == {0o644}


def test_without_an_output_nothing_is_kept_and_that_is_said(work: Path, run: ProgramRunner) -> None:
    (work / "image").rmdir()
    result = run("build", ".", cwd=work).succeeded()
    assert "nothing is kept" in result.stderr
    assert "--output docker,dest=image.tar" in result.stderr
    assert sorted(files_in(work)) == ["Dockerfile"]


def test_an_output_goes_where_it_is_told(work: Path, run: ProgramRunner) -> None:
    run("build", "-o", 'type=docker,"dest=a,b.tar"', "-o", "digest,dest=d", ".", cwd=work).succeeded()
    assert sorted(path.name for path in work.iterdir()) == ["Dockerfile", "a,b.tar", "d", "image"]
    assert files_in(work / "image") == {}


def test_a_failed_build_ends_with_1_and_touches_nothing(work: Path, run: ProgramRunner) -> None:
    run("build", ".", cwd=work).succeeded()
    before = files_in(work / "image")
    busybox_context(work, "echo about to fail; exit 7")
    result = run("build", ".", cwd=work).ended_with(1)
    assert "exit code: 7" in result.stderr
    assert result.stderr.count("error:") == 1
    assert files_in(work / "image") == before


def test_quiet_says_nothing_unless_it_fails(work: Path, run: ProgramRunner) -> None:
    result = run("build", "-q", ".", cwd=work).succeeded()
    assert (result.stdout, result.stderr) == ("", "")
    busybox_context(work, "echo the reason; exit 7")
    assert "the reason" in run("build", "-q", ".", cwd=work).ended_with(1).stdout


def test_a_second_build_finds_the_first_ones_steps(work: Path, run: ProgramRunner) -> None:
    busybox_context(work, "echo once > /x")
    assert "CACHED" not in run("build", ".", cwd=work).succeeded().stdout
    assert "CACHED" in run("build", ".", cwd=work).succeeded().stdout


def test_two_builds_at_once_both_succeed(work: Path, run: ProgramRunner) -> None:
    busybox_context(work, "sleep 1; echo x > /x")
    results = []
    threads = [
        threading.Thread(
            target=lambda number=number: results.append(run("build", "-o", f"docker,dest={number}.tar", ".", cwd=work))
        )
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.succeeded().code for result in results] == [0, 0]
    assert sum("another build is using the cache" in result.stderr for result in results) == 1


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["nowhere"], 2, "is not a directory"),
        (["--file", "nowhere", "."], 2, "there is no nowhere"),
        (["--no-such-flag", "."], 2, "No such option"),
        (["--output", "docker,des=x", "."], 2, "unknown option 'des'; did you mean 'dest'?"),
        (["--output", "dockr", "."], 4, "no exporter 'dockr' is installed; did you mean 'docker'?"),
        (["--login", "nosuch", "."], 4, "no auth provider 'nosuch' is installed"),
        (["--login", "pass", "."], 3, "PASS"),
        (["--addr", "unix:///no/such/socket", "."], 5, "unix:///no/such/socket"),
        (["--output", "docker,dest=/proc/no/image.tar", "."], 6, "cannot write into /proc/no"),
    ],
)
def test_what_is_wrong_is_said_with_its_code(
    work: Path, run: ProgramRunner, argv: list[str], code: int, says: str
) -> None:
    result = run("build", *argv, cwd=work).ended_with(code)
    assert says in result.stderr
    assert result.stdout == ""
    assert files_in(work / "image") == {}


def test_a_foreign_debug_is_ignored_on_a_laptop_and_an_error_in_a_pipeline(work: Path, run: ProgramRunner) -> None:
    env = {"DEBUG": "app:*"}
    assert "DEBUG='app:*' is ignored" in run("build", ".", env=env, cwd=work).succeeded().stderr
    assert "DEBUG='app:*': not a boolean" in run("build", env=env, cwd=work).ended_with(2).stderr


def test_a_password_that_nobody_asked_for_is_told(
    work: Path, run: ProgramRunner, fresh_secret: Callable[[], str]
) -> None:
    result = run("build", env={"PASS": f"alice:{fresh_secret()}"}, cwd=work).succeeded()
    assert result.stderr.count("warning: PASS is ignored: set LOGIN=PASS") == 1


def test_a_private_base_image_is_pulled(work: Path, private: dict[str, str], run: ProgramRunner) -> None:
    result = run("build", env=private, cwd=work).succeeded()
    assert "user alice from PASS" in result.stderr
    assert sorted(files_in(work / "image")) == ["digest", "image.tar"]


def test_a_wrong_password_ends_with_3_and_touches_nothing(
    work: Path, private: dict[str, str], run: ProgramRunner, fresh_secret: Callable[[], str]
) -> None:
    (work / "image" / "digest").write_text("the one before")
    host = private["REG_URL"].removeprefix("https://")
    result = run("build", env={**private, "PASS": f"alice:{fresh_secret()}"}, cwd=work).ended_with(3)
    for part in (host, "plugin 'basic' (ocibuild-basic", "user alice from PASS", "  do     check user and password"):
        assert part in result.stderr
    assert files_in(work / "image") == {"digest": b"the one before"}


def test_no_file_and_no_argument_ever_holds_the_password(
    work: Path, private: dict[str, str], leak_watcher: LeakWatcher, run: ProgramRunner
) -> None:
    dockerfile = (work / "Dockerfile").read_text()
    (work / "Dockerfile").write_text(f"{dockerfile}RUN sleep 3\n")
    since = Moment.now()
    with started(run, work, private) as process:
        wait_for(lambda: left_processes(since, "sleep 3"), process)
        during = [*leaks_in_arguments(leak_watcher), *leaks_in_files(leak_watcher, since)]
        assert process.wait(60) == 0
    assert during == []
    assert leaks_in_files(leak_watcher, since) == []


def test_the_search_for_the_password_finds_a_planted_one(
    sandbox: Path, leak_watcher: LeakWatcher, fresh_secret: Callable[[], str]
) -> None:
    since = Moment.now()
    planted = fresh_secret()
    (sandbox / "planted").write_text(f"x{planted}x")
    with subprocess.Popen(["sh", "-c", "sleep 30; true", planted]) as process:  # `true` keeps sh itself there
        its = f"the arguments of {process.pid}"
        # The kernel shows them a moment after the program was started.
        wait_for(lambda: its in [leak.where for leak in leaks_in_arguments(leak_watcher)], process)
        process.kill()
    assert [leak.where for leak in leaks_in_files(leak_watcher, since)] == [str(sandbox / "planted")]
    (sandbox / "planted").unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_and_soon(work: Path, run: ProgramRunner, number: signal.Signals) -> None:
    busybox_context(work, SLEEP)
    since = Moment.now()
    with started(run, work, {}) as process:
        wait_for(lambda: left_processes(since, SLEEP), process)
        family = descendants(process.pid)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 128 + number
        assert time.monotonic() - began < 5
    assert len(family) > 3
    wait_for(lambda: not family & processes().keys())
    assert left_mounts(since.mounts, work.parent) == set()
    assert files_in(work / "image") == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_an_exporter_finishes_is_no_fault_of_it(
    work: Path, run: ProgramRunner, number: signal.Signals
) -> None:
    docker = work.parent / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\necho it loads >&2; exec sleep 60\n")
    docker.chmod(0o755)
    since = Moment.now()
    busybox_context(work, "true")
    with started(run, work, {"PATH": f"{docker.parent}:{run.env()['PATH']}", "OUTPUTS": "load,docker"}) as process:
        wait_for(lambda: left_processes(since, "sleep 60"), process)
        process.send_signal(number)
        assert process.wait(10) == 128 + number
    assert b"fault of" not in (work.parent / "output").read_bytes()
    assert files_in(work / "image") == {}


def test_a_signal_that_was_ignored_stays_ignored(work: Path, run: ProgramRunner) -> None:
    busybox_context(work, "sleep 3")
    with started(run, work, {}, ignoring=True) as process:
        wait_for(lambda: b"sleep 3" in (work.parent / "output").read_bytes(), process)
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0


def test_a_core_dump_is_left_to_the_steps(work: Path, run: ProgramRunner) -> None:
    """Ours would have the passwords in it, and lie in the build's context."""
    busybox_context(work, "echo limit=$(ulimit -c)", SLEEP)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = "unlimited" if hard == resource.RLIM_INFINITY else str(hard // 512)
    since = Moment.now()
    starter = started(run, work, {})
    starter.command = ["sh", "-c", 'ulimit -Sc "$(ulimit -Hc)"; exec "$@"', "sh", *starter.command]
    with starter as process:
        wait_for(lambda: left_processes(since, SLEEP), process)
        wait_for(lambda: f"limit={limit}\n" in (work.parent / "output").read_text(), process)
        clients = [pid for pid in descendants(process.pid) if "buildctl" in command_of(pid)]
        assert [core_limit(pid) for pid in (process.pid, *clients)] == ["0", "0"]
        process.send_signal(signal.SIGQUIT)
        assert process.wait(10) == -signal.SIGQUIT
    assert {path.name for path in work.iterdir()} == {"Dockerfile", "busybox", "image"}
    wait_for(lambda: not left_processes(since, SLEEP))


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0]


def core_limit(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4] for line in lines if line.startswith("Max core file size"))


@pytest.mark.parametrize("who", ["root", "ordinary_user"])
def test_sigkill_in_the_middle_of_a_step_leaves_nothing(
    request: pytest.FixtureRequest, work: Path, run: ProgramRunner, sandbox: Path, who: str
) -> None:
    user: OrdinaryUser | None = request.getfixturevalue(who) if who == "ordinary_user" else None
    busybox_context(work, SLEEP)
    if user:
        sandbox.chmod(0o755)
        user.own(work)
    since = Moment.now()
    with started(run, work, {}, user) as process:
        wait_for(lambda: left_processes(since, SLEEP), process)
        family = descendants(process.pid)
        process.kill()
        process.wait(10)
    assert len(family) > 3
    wait_for(lambda: not family & processes().keys())
    assert left_mounts(since.mounts, work.parent) == set()
    # What was staged beside the outputs goes with the next build.
    run("build", "-q", "-o", "digest,dest=image/digest", "--target", "base", ".", cwd=with_target(work), user=user)
    assert list(files_in(work / "image")) == ["digest"]


def with_target(work: Path) -> Path:
    (work / "Dockerfile").write_text("FROM scratch AS base\nCOPY Dockerfile /\n")
    return work


def started(
    run: ProgramRunner, work: Path, env: dict[str, str], user: OrdinaryUser | None = None, *, ignoring: bool = False
) -> Starter:
    """`build` in the background; `ignoring` starts it as `nohup` would."""
    starter = Starter(run, work, env, user)
    if ignoring:
        starter.command = ["nohup", *starter.command]
    return starter


class Starter:
    """`build` in the background; killed at the end of the block when it still runs."""

    def __init__(self, run: ProgramRunner, work: Path, env: dict[str, str], user: OrdinaryUser | None) -> None:
        command = [str(PROGRAMS / "build"), "--progress", "plain", "."]
        self.command = user.command(*command) if user else command
        self._env = {**run.env(user), **env}
        self._work = work

    def __enter__(self) -> subprocess.Popen[bytes]:
        output = (self._work.parent / "output").open("wb")
        self._process = subprocess.Popen(
            self.command, cwd=self._work, env=self._env, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        output.close()
        return self._process

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes] | None = None) -> None:
    """Until the condition holds; fails after 30 s, or when the process has ended before."""
    deadline = time.monotonic() + 30
    while not condition():
        if process and process.poll() is not None:
            pytest.fail(f"it ended with {process.returncode} before its time")
        if time.monotonic() > deadline:
            pytest.fail("it did not come to pass within 30 s")
        time.sleep(0.02)

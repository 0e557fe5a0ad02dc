"""The docker config of a build leads every client to the broker, and holds no secret."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.auth.broker import Broker
from ocibuild_core.auth.compose import ComposedConfig, compose
from ocibuild_core.auth.protocol import Responder
from ocibuild_core.engine.find import find_credential_helper
from ocibuild_core.errors import CredentialError
from ocibuild_core.plugin import Match
from support.auth_parts import Teller, credential, resolver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = "docker-credential-ocibuild"
PYTHON = os.path.realpath(sys.executable)


@pytest.fixture(params=["compiled", "python"])
def composed(
    sandbox: Path, fresh_secret: Callable[[], str], request: pytest.FixtureRequest
) -> Iterator[ComposedConfig]:
    """With either of the helpers: they are to do the same."""
    helper = find_credential_helper() if request.param == "compiled" else None
    assert helper or request.param == "python", "needs the engine's wheel: scripts/setup.sh test"
    with composing(sandbox, fresh_secret(), helper=helper) as config:
        yield config


@contextmanager
def composing(
    sandbox: Path, secret: str, *, helper: Path | None = None, python: str = PYTHON, **env: str
) -> Iterator[ComposedConfig]:
    teller = Teller(
        "a",
        lambda request: credential("me", secret) if request.registry == "r.example" else fail(),
        match={"*.example": Match.SPECIFIC},
    )
    broker = Broker(Responder(resolver_of(teller, login=["a"]).resolve))
    env = {"TMPDIR": str(sandbox), "PATH": "/usr/bin:/bin"} | env
    with compose(broker, env=env, outside=[], helper=helper, python=python) as config:
        yield config


def fail() -> None:
    raise CredentialError("the service is down", do="wait")


def call(config: ComposedConfig, action: str, question: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """As docker and BuildKit call it: by its name, found on PATH."""
    return subprocess.run(
        [PROGRAM, action], input=question, env=dict(config.child_env), capture_output=True, check=False
    )


def test_the_config_names_our_helper_for_every_registry(composed: ComposedConfig) -> None:
    assert json.loads((composed.directory / "config.json").read_text()) == {"auths": {}, "credsStore": "ocibuild"}


def test_everything_is_the_users_alone(sandbox: Path) -> None:
    with composing(sandbox, "long-enough") as composed:
        modes = {
            str(path.relative_to(composed.directory)): stat.S_IMODE(path.stat().st_mode) for path in walk(composed)
        }
    assert modes == {
        ".": 0o700,
        "bin": 0o700,
        f"bin/{PROGRAM}": 0o700,
        "broker.sock": 0o600,
        "config.json": 0o600,
    }


def walk(config: ComposedConfig) -> list[Path]:
    return [config.directory, *config.directory.rglob("*")]


def test_the_child_is_told_three_things(composed: ComposedConfig) -> None:
    assert composed.child_env == {
        "DOCKER_CONFIG": str(composed.directory),
        "PATH": f"{composed.directory}/bin:/usr/bin:/bin",
        "OCIBUILD_BROKER": f"{composed.directory}/broker.sock",
    }


def test_the_helper_answers(composed: ComposedConfig, leak_watcher: object) -> None:
    del leak_watcher
    ended = call(composed, "get", b"r.example")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout)["Username"] == "me"


@pytest.mark.parametrize(
    ("action", "question", "answer"),
    [
        ("get", b"https://index.docker.io/v1/", b"credentials not found in native keychain\n"),
        ("get", b"", b"no credentials server URL\n"),
        ("get", b"other.example", b"plugin 'a' (dist-a 1.2.3): the service is down (wait)\n"),
        (
            "store",
            b'{"ServerURL": "r", "Username": "u", "Secret": "s"}',
            b"ocibuild keeps no credentials inside a build",
        ),
        ("nonsense", b"", b"Usage: docker-credential-ocibuild"),
    ],
)
def test_a_failure_is_on_stdout(composed: ComposedConfig, action: str, question: bytes, answer: bytes) -> None:
    ended = call(composed, action, question)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert ended.stdout.startswith(answer)


def test_version_needs_no_stdin(composed: ComposedConfig) -> None:
    ended = subprocess.run(
        [PROGRAM, "version"], stdin=None, env=dict(composed.child_env), capture_output=True, check=True, timeout=10
    )
    assert ended.stdout.startswith(b"docker-credential-ocibuild (ocibuild-core) ")


def test_list_needs_no_stdin(composed: ComposedConfig) -> None:
    with subprocess.Popen(
        [PROGRAM, "list"], env=dict(composed.child_env), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as listing:
        assert listing.stdout
        assert listing.stdout.read().startswith(b"ocibuild keeps no credentials inside a build")


def test_a_closed_stdin_is_no_server(composed: ComposedConfig) -> None:
    command = ["sh", "-c", f"{PROGRAM} get <&-"]
    ended = subprocess.run(command, env=dict(composed.child_env), capture_output=True, check=False, timeout=10)
    assert (ended.returncode, ended.stdout) == (1, b"no credentials server URL\n")


def test_after_the_build_the_helper_says_so(composed: ComposedConfig, sandbox: Path) -> None:
    helper = sandbox / "kept"
    shutil.copy(composed.directory / "bin" / PROGRAM, helper)
    env = dict(composed.child_env) | {"OCIBUILD_BROKER": str(sandbox / "gone.sock")}
    ended = subprocess.run([helper, "get"], input=b"r.example", env=env, capture_output=True, check=False)
    assert ended.returncode == 1
    said = b"the build that gave this login cannot be reached (no such file or directory)\n"
    assert ended.stdout.lower() == said  # Go's words for the errors have small letters


def test_a_broker_that_says_nothing_is_told_of(composed: ComposedConfig, sandbox: Path) -> None:
    silent = sandbox / "silent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(silent))
        listener.listen()
        env = dict(composed.child_env) | {"OCIBUILD_BROKER": str(silent)}
        with subprocess.Popen([PROGRAM, "get"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as asking:
            connection, _ = listener.accept()
            with connection:
                assert read_all(connection) == b"get\n"
            assert asking.stdout
            said = asking.stdout.read()
    assert said == b"the build that gave this login cannot be reached (it gave no answer)\n"
    assert asking.returncode == 1


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(4096), b""))


def test_nothing_secret_is_in_the_directory_while_it_is_used(
    composed: ComposedConfig, watch_for_leaks: Callable[[Path], Path], leak_watcher: object
) -> None:
    assert call(composed, "get", b"r.example").returncode == 0
    leak_watcher.check_files(composed.directory)  # type: ignore[attr-defined]
    watch_for_leaks(composed.directory)


def test_all_of_it_is_gone_at_the_end(sandbox: Path) -> None:
    with composing(sandbox, "long-enough") as config:
        assert config.directory.exists()
    assert not config.directory.exists()
    assert list(sandbox.iterdir()) == []


@pytest.mark.parametrize("place", ["with space/python", "d" * 150 + "/python", "quo'te/python"])
def test_an_interpreter_in_an_odd_place_will_do(sandbox: Path, place: str) -> None:
    python = sandbox / place
    python.parent.mkdir()
    python.symlink_to(PYTHON)
    with composing(sandbox, "long-enough", python=str(python)) as config:
        assert call(config, "get", b"r.example").returncode == 0


def test_an_interpreter_that_needs_its_libraries_finds_them(sandbox: Path) -> None:
    python = sandbox / "python"
    python.write_text(f'#!/bin/sh\n[ "$LD_LIBRARY_PATH" = "/opt/li b" ] || exit 9\nexec {PYTHON} "$@"\n')
    python.chmod(0o755)
    with composing(sandbox, "long-enough", python=str(python), LD_LIBRARY_PATH="/opt/li b") as config:
        assert call(config, "get", b"r.example").returncode == 0


def test_two_hundred_calls_at_once_all_succeed(composed: ComposedConfig) -> None:
    env = dict(composed.child_env)
    running = [
        subprocess.Popen([PROGRAM, "get"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) for _ in range(200)
    ]
    answers = [process.communicate(b"r.example")[0] for process in running]
    assert len(set(answers)) == 1
    assert json.loads(answers[0])["Username"] == "me"


def test_a_call_takes_at_most_40_ms(composed: ComposedConfig) -> None:
    """The median, in processor time of the child, so that a busy machine does not count."""
    times = []
    for _ in range(15):
        before = os.times()
        call(composed, "get", b"r.example")
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert median(times) <= 0.04


def test_the_helper_imports_next_to_nothing(sandbox: Path) -> None:
    with composing(sandbox, "long-enough") as composed:
        helper = composed.directory / "bin" / PROGRAM
        ended = subprocess.run(
            [PYTHON, "-ISB", "-X", "importtime", str(helper), "get"],
            input=b"r.example",
            env=dict(composed.child_env),
            capture_output=True,
            check=True,
        )
    imported = {line.split("|")[-1].strip() for line in ended.stderr.decode().splitlines()}
    assert "_socket" in imported
    assert not imported & {"socket", "json", "re", "typing", "enum", "site", "subprocess", "argparse", "ocibuild_core"}


def test_the_environment_cannot_lead_the_helper_astray(composed: ComposedConfig, sandbox: Path) -> None:
    (sandbox / "os.py").write_text("raise SystemExit('astray')")
    env = dict(composed.child_env) | {"PYTHONPATH": str(sandbox), "PYTHONHOME": "/none", "PYTHONSTARTUP": "/none"}
    started = time.monotonic()
    ended = subprocess.run([PROGRAM, "get"], input=b"r.example", env=env, capture_output=True, check=False, cwd=sandbox)
    assert ended.returncode == 0, ended.stdout
    assert time.monotonic() - started < 60

"""The engine at work, for root and for an ordinary user: builds, reuse, two at once, what its children get."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_buildkit import binary
from support.footprint import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.engine_scene import Running, Scene

pytestmark = pytest.mark.e2e


def steps(running: Running) -> dict[str, Mapping[str, Any]]:
    """The last word of BuildKit about each step, by its name."""
    return {step["name"]: step for event in running.facts["events"] for step in event.get("vertexes", ())}


def test_a_build_runs_and_leaves_nothing_but_its_cache(scene: Scene) -> None:
    running = scene.build().succeeded().is_gone(within=0)
    assert not Path(f"/proc/{running.facts['keeper']}").exists(), "the keeper was left to others to reap"
    assert "echo built" in running.text
    assert "tracing logs" not in running.text
    assert [step for step in steps(running) if "echo built" in step]
    assert running.facts["notices"] == []
    assert running.facts["describe"].startswith("BuildKit 0.")
    assert sorted(path.name for path in scene.state.iterdir()) == [
        "buildkitd.log",
        "lock",
        "root",
        "tmp",
        "uncollected",
    ]


def test_the_second_build_finds_the_first_ones_cache(scene: Scene) -> None:
    scene.write("RUN echo built; head -c 8 /dev/urandom > /random")
    scene.build().succeeded()
    again = scene.build().succeeded()
    step = next(step for name, step in steps(again).items() if "urandom" in name)
    assert step["cached"] is True


def test_of_many_builds_the_history_keeps_the_newest(own_scene: Scene) -> None:
    few = {"daemon_config": {"history": {"maxEntries": 2}}}
    for _ in range(4):
        own_scene.build(settings=few).succeeded()
    time.sleep(1.1)  # the youngest age at which records go
    with own_scene.start(settings=few, pause=600) as running:
        address = f"unix://{running.wait_for_fact('runtime')}/buildkitd.sock"
        command = [str(binary("buildctl")), "--addr", address, "debug", "histories", "--format={{json .}}"]
        deadline = time.monotonic() + 20
        while True:
            listed = subprocess.run(command, capture_output=True, check=False)
            if listed.returncode == 0 and listed.stdout.count(b"\n") <= 2:
                break
            assert time.monotonic() < deadline, listed
            time.sleep(0.05)
    assert listed.stdout.count(b"\n") == 2


def test_of_two_builds_at_once_the_second_does_without_the_cache_and_says_so(scene: Scene) -> None:
    scene.build().succeeded()
    scene.write("RUN echo begun; while ! [ -e /stop ]; do sleep 0.05; done || true")
    scene.write_sleep()
    with scene.start() as first:
        first.wait_for_step()
        scene.write("RUN echo built; mkdir /private; touch /private/file; chmod 0 /private")
        second = scene.build().succeeded()
        (notice,) = second.facts["notices"]
        assert f"another build is using the cache in {scene.state}" in notice
        assert not list(scene.state.glob("once-*"))
        assert first.found(f"sleep {scene.token}")
    first.is_gone()


def test_a_failed_step_gives_its_exit_code_and_an_event(scene: Scene) -> None:
    scene.write("RUN echo going wrong; exit 7")
    running = scene.build()
    assert running.facts["code"] == 1
    (error,) = {step["error"] for step in steps(running).values() if step.get("error")}
    assert "exit code: 7" in error
    running.is_gone(within=0)


def test_on_a_terminal_the_events_of_a_failure_come_afterwards(own_scene: Scene) -> None:
    own_scene.write("RUN echo going wrong; exit 7")
    shown, terminal = pty.openpty()

    def on_terminal(argv: list[str]) -> list[str]:
        return ["sh", "-c", 'exec "$@" > "$0" 2>&1', os.ttyname(terminal), *argv]

    running = own_scene.start("--progress=tty", terminal=True, wrap=on_terminal)
    running.wait()
    os.set_blocking(shown, False)
    pieces = []
    with suppress(BlockingIOError):
        while True:
            pieces.append(os.read(shown, 65536))  # a terminal gives 4 kB at a time
    display = b"".join(pieces).decode()
    for fd in (shown, terminal):
        os.close(fd)

    assert "\x1b[" in display
    assert "going wrong" in display
    assert "tracing logs" not in display
    assert running.facts["code"] == 1
    assert [step for step in steps(running).values() if "exit code: 7" in step.get("error", "")]


def test_much_output_is_handed_on_whole(own_scene: Scene) -> None:
    own_scene.write("RUN for i in $(seq 1 20000); do echo line $i of many; done")
    unlimited = {"BUILDKIT_STEP_LOG_MAX_SIZE": "-1", "BUILDKIT_STEP_LOG_MAX_SPEED": "-1"}
    text = own_scene.build(env=unlimited).succeeded().text
    assert "line 1 of many" in text
    assert "line 20000 of many" in text


def environment(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if entry)


CLIENT = {"PATH", "HOME", "LANG", "LC_ALL", "HTTP_PROXY", "no_proxy", "SSL_CERT_DIR", "SSH_AUTH_SOCK", "TERM", "GOGC"}
OWN = {"USER", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "TMPDIR"}
DAEMON = {"PATH", "HTTP_PROXY", "no_proxy", "SSL_CERT_DIR", "GOGC", *OWN}
PRIVATE = ("PASS", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "DOCKER_AUTH_CONFIG")


def test_the_children_get_what_the_table_says_and_nothing_else(
    scene: Scene, fresh_secret: Callable[[], str], tmp_path: Path
) -> None:
    secret = fresh_secret()
    scene.write_sleep()
    public = {
        "LC_ALL": "C",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "no_proxy": "localhost",
        "SSL_CERT_DIR": str(tmp_path),
        "SSH_AUTH_SOCK": "/nonexistent",
        "TERM": "xterm",
        "OTEL_TRACES_EXPORTER": "otlp",
        "USER": "somebody-else",
        "LANG": "C",
    }
    with scene.start(env={**dict.fromkeys(PRIVATE, secret), **public}) as running:
        running.wait_for_step()
        client, daemon = running.one("buildctl"), running.one("buildkitd", "--config=")
        found = {pid: environment(pid) for pid in descendants(running.process.pid) if is_readable(pid)}

        assert found[client].keys() == CLIENT
        assert {name for name in found[daemon] if "ROOTLESSKIT" not in name} == DAEMON
        assert found[daemon]["XDG_RUNTIME_DIR"] == running.facts["runtime"]
        assert found[daemon]["USER"] == "ocibuild"
        if scene.user:
            assert environment(running.one("rootlesskit", "--pidns")).keys() == DAEMON
        keeper = running.facts["keeper"]
        holders = [pid for pid, env in found.items() if secret in "".join(env.values())]
        assert [pid for pid in holders if pid != keeper] == []
    running.is_gone()


def is_readable(pid: int) -> bool:
    try:
        Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def test_what_a_build_asked_for_reaches_the_client(own_scene: Scene, fresh_secret: Callable[[], str]) -> None:
    own_scene.write_sleep()
    secret = fresh_secret()
    settings = {"cache_types": ["s3"]}
    with own_scene.start(env={"AWS_REGION": "eu-west-1"}, settings=settings, client_env={"EXTRA": secret}) as running:
        running.wait_for_step()
        client, daemon = environment(running.one("buildctl")), environment(running.one("buildkitd", "--config="))
        assert (client["AWS_REGION"], daemon["AWS_REGION"]) == ("eu-west-1", "eu-west-1")
        assert client["EXTRA"] == secret
        assert "EXTRA" not in daemon


@pytest.mark.parametrize("runtime", ["", "/nonexistent", "/", "deep"])
def test_any_runtime_directory_will_do(make_scene: Callable[[str], Scene], runtime: str) -> None:
    scene = make_scene("ordinary")
    value = runtime
    if runtime == "deep":
        deep = scene.directory / ("d" * 90)
        deep.mkdir()
        value = str(deep)
        scene.write("RUN echo built")
    running = scene.build(env={"XDG_RUNTIME_DIR": value, "TMPDIR": ""}).succeeded().is_gone(within=0)
    assert len(f"{running.facts['runtime']}/rootlesskit/api.sock") <= 107


@pytest.mark.parametrize("end", ["good", "failed"])
def test_the_cache_is_held_to_its_limit_although_every_build_is_short(own_scene: Scene, end: str) -> None:
    settings = {"max_cache": 30_000_000}
    most = 0
    for number in range(40):
        own_scene.write(f"RUN head -c 10000000 /dev/urandom > /file-{number}", *["RUN false"] * (end == "failed"))
        running = own_scene.build(settings=settings)
        assert running.process.returncode == (0 if end == "good" else 1), running.text
        size = size_of(own_scene.state)
        most = max(most, size)
        # On a disk that is nearly full it is held closer.
        if size < most - 5_000_000 and size < 70_000_000:
            return
    pytest.fail(f"it held up to {most / 1e6:.0f} MB, in the end {size / 1e6:.0f} MB")


@pytest.mark.parametrize(("worker", "collects"), [({}, False), ({"gcpolicy": [{"maxUsedSpace": "1GB"}]}, True)])
def test_the_daemon_collects_by_itself_where_the_user_has_a_policy(
    own_scene: Scene, worker: dict[str, object], *, collects: bool
) -> None:
    own_scene.write_sleep()
    with own_scene.start(settings={"daemon_config": {"worker": {"oci": worker}}}) as running:
        running.wait_for_step()
        told = tomllib.loads((Path(running.facts["runtime"]) / "buildkitd.toml").read_text())
        assert told["worker"]["oci"]["gc"] is collects
        running.process.send_signal(signal.SIGTERM)
        running.wait()


def size_of(directory: Path) -> int:
    # Some directories are closed to an ordinary user who is not in his own namespace; they are small.
    found = subprocess.run(["du", "-s", "--block-size=1", directory], capture_output=True, text=True, check=False)
    return int(found.stdout.split()[0])

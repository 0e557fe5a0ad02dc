"""A BuildKit that runs already: reached, used, left running."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_buildkit import binary
from support.engine_scene import Scene
from support.footprint import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e


@pytest.fixture
def daemon(make_scene: Callable[[str], Scene]) -> Iterator[str]:
    """The address of a BuildKit that somebody else runs: ours, in a program that is not under test."""
    scene = make_scene("ordinary")
    with scene.start(pause=600) as running:
        path = Path(running.wait_for_fact("runtime")) / "buildkitd.sock"
        deadline = time.monotonic() + 20
        while not path.exists():
            assert time.monotonic() < deadline, running.facts
            time.sleep(0.01)
        yield f"unix://{path}"
        assert path.exists(), "the daemon of somebody else is gone"


def at(address: str) -> dict[str, object]:
    """The settings for a BuildKit at that address."""
    return {"addr": address}


def test_it_is_used_and_left_running(own_scene: Scene, daemon: str) -> None:
    for _ in range(2):
        running = own_scene.build(settings=at(daemon)).succeeded().is_gone(within=0)
        assert "echo built" in running.text
    assert running.facts["describe"] == f"BuildKit 0.32.2 at {daemon}"
    assert not list(own_scene.state.iterdir())


def test_a_failed_step_is_the_builds_failure(own_scene: Scene, daemon: str) -> None:
    own_scene.write("RUN exit 3")
    running = own_scene.build(settings=at(daemon))
    assert running.facts["code"] == 1
    assert [step for event in running.facts["events"] for step in event.get("vertexes", ()) if step.get("error")]


def test_a_program_that_is_killed_takes_its_client_along(own_scene: Scene, daemon: str) -> None:
    own_scene.write_sleep()
    with own_scene.start(settings=at(daemon)) as running:
        running.wait_for_step()
        client = running.one("buildctl")
        running.process.kill()
        deadline = time.monotonic() + 5
        while client in processes() and processes()[client]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.is_gone()


def test_a_signal_ends_the_client_and_nothing_else(own_scene: Scene, daemon: str) -> None:
    own_scene.write_sleep()
    with own_scene.start(settings=at(daemon)) as running:
        running.wait_for_step()
        running.process.send_signal(signal.SIGTERM)
        assert running.wait() == 128 + signal.SIGTERM
        running.is_gone()
    own_scene.write("RUN echo built")
    own_scene.build(settings=at(daemon)).succeeded()


def test_one_that_stops_in_a_build_is_asked_and_given_up(own_scene: Scene, daemon: str) -> None:
    place = daemon.removeprefix("unix://").removesuffix("/buildkitd.sock")
    own = {command: pid for pid, command in processes().items() if place in command}
    (pid,) = (pid for command, pid in own.items() if command.split()[0].endswith("/buildkitd"))
    own_scene.write_sleep()
    with own_scene.start(settings={**at(daemon), "silence": 2.0}) as running:
        running.wait_for_step()
        time.sleep(5)  # asked twice meanwhile, it answers
        assert running.process.poll() is None
        os.kill(pid, signal.SIGSTOP)
        try:
            assert running.wait() == 5
        finally:
            os.kill(pid, signal.SIGCONT)
        assert running.facts["error"].startswith(f"the BuildKit at {daemon} no longer answers\n")


@pytest.mark.parametrize("address", ["unix:///nonexistent/buildkitd.sock", "tcp://127.0.0.1:{port}"])
def test_nobody_there_is_an_engine_error(own_scene: Scene, address: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = address.format(port=unused.getsockname()[1])
        started = time.monotonic()
        running = own_scene.build(settings=at(address))
    assert time.monotonic() - started < 10
    assert running.facts["kind"] == "EngineError"
    assert running.facts["error"].startswith(f"the BuildKit at {address} cannot be reached\n")
    assert "--addr" in running.facts["error"]
    running.is_gone(within=0)


def test_somebody_who_does_not_answer_meets_the_deadline(own_scene: Scene) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = {"addr": f"tcp://127.0.0.1:{silent.getsockname()[1]}", "start_timeout": 1}
        started = time.monotonic()
        running = own_scene.build(settings=settings)
    assert time.monotonic() - started < 8
    assert "cannot be reached" in running.facts["error"]


def stand_in(scene: Scene, name: str, socket_path: str) -> dict[str, str]:
    """The environment with a program of that name on PATH that has a container in which `buildctl dial-stdio` runs."""
    programs = scene.directory / "bin"
    programs.mkdir()
    record = scene.directory / "record.json"
    (programs / name).write_text(
        "#!/usr/bin/env python3\n"
        "import json, os, sys\n"
        f"open({str(record)!r}, 'w').write(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
        "if sys.argv[-2:] != ['buildctl', 'dial-stdio'] or '-i' not in sys.argv:\n"
        "    sys.exit('there is no such container')\n"
        f"os.execv({str(binary('buildctl'))!r}, ['buildctl', '--addr', {socket_path!r}, 'dial-stdio'])\n"
    )
    (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:{scene.env['PATH']}"}


@pytest.mark.parametrize(
    ("address", "program", "arguments"),
    [
        ("docker-container://builder?context=far", "docker", ["--context=far", "exec", "-i", "builder"]),
        ("podman-container://builder", "podman", ["exec", "-i", "builder"]),
        ("nerdctl-container://builder?namespace=n", "nerdctl", ["exec", "--namespace", "n", "-i", "builder"]),
        (
            "kube-pod://builder-0?context=c&namespace=n&container=buildkitd",
            "kubectl",
            ["--context=c", "--namespace=n", "exec", "--container=buildkitd", "-i", "builder-0", "--"],
        ),
    ],
)
def test_the_program_behind_an_address_gets_the_users_environment_and_not_pass(
    address: str,
    program: str,
    arguments: list[str],
    own_scene: Scene,
    daemon: str,
    fresh_secret: Callable[[], str],
) -> None:
    env = {
        **stand_in(own_scene, program, daemon),
        "PASS": fresh_secret(),
        "BUILDKIT_SECRETTEXT_x": fresh_secret(),
        "DOCKER_CONFIG": "/home/alice/.docker",
        "DOCKER_HOST": "unix:///run/docker.sock",
        "KUBECONFIG": "/home/alice/.kube/config",
        "ODD": "line\nbreak = 'quoted'",
    }
    running = own_scene.build(env=env, client_env={"DOCKER_CONFIG": "/ours"}, settings=at(address))
    running.succeeded().is_gone(within=0)

    asked, given = json.loads((own_scene.directory / "record.json").read_text())
    assert asked == [*arguments, "buildctl", "dial-stdio"]
    withheld = ("PASS", "BUILDKIT_SECRETTEXT_x")
    assert given == {name: value for name, value in {**own_scene.env, **env}.items() if name not in withheld}
    assert f"BuildKit 0.32.2 at {address}" == running.facts["describe"]


def test_without_docker_the_client_says_so(own_scene: Scene) -> None:
    env = {"PATH": "/nonexistent"}
    running = own_scene.build(env=env, settings=at("docker-container://builder"))
    assert "docker" in running.facts["error"]
    assert running.facts["kind"] == "EngineError"


def test_a_build_over_tls_has_its_files(own_scene: Scene) -> None:
    """The arguments reach the client: with a CA that does not exist, that is what it says."""
    settings = {"addr": "tcp://127.0.0.1:9", "tls": {"ca": "/nonexistent/ca.pem"}}
    running = own_scene.build(settings=settings)
    assert "/nonexistent/ca.pem" in running.facts["error"]

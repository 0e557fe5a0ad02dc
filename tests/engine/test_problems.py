"""An engine that does not come up: what is said, how soon, and that nothing stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from ocibuild_buildkit import binary
from ocibuild_core.engine import EngineSettings, launch
from ocibuild_core.errors import UsageError
from support.footprint import descendants

if TYPE_CHECKING:
    from pathlib import Path

    from support.engine_scene import Running, Scene
    from support.programs import ProgramRunner

VERSION = "github.com/moby/buildkit v0.32.2"


def fake_engine(scene: Scene, daemon: str, version: str = VERSION) -> dict[str, str]:
    """The environment with programs on PATH that look like an engine; the daemon is a shell script."""
    programs = scene.directory / "bin"
    programs.mkdir()
    ask = f'[ "$1" = --version ] && echo "$0 {version}" && exit 0\n'
    scripts = {"buildkitd": daemon, "buildctl": "exit 1", "runc": "exit 1", "rootlesskit": 'shift 5; exec "$@"'}
    for name, text in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{ask}{text}\n")
        (programs / name).chmod(0o755)
    if scene.user:
        scene.user.own(programs)
    return {"PATH": f"{programs}:{scene.env['PATH']}"}


def failed(running: Running) -> str:
    assert running.facts["kind"] == "EngineError", running.facts
    assert running.process.returncode == 5
    running.is_gone(within=1)
    return str(running.facts["error"])


def test_a_daemon_that_never_gets_ready_meets_the_deadline(scene: Scene) -> None:
    env = fake_engine(scene, f"echo here I hang; exec sleep {scene.token}")
    started = time.monotonic()
    error = failed(scene.build(env=env, settings={"start_timeout": 0.7}))
    assert time.monotonic() - started < 20
    assert error.startswith("the engine was not ready within 0.7 s\n")
    assert "here I hang" in error
    assert "--start-timeout" in error


def test_a_daemon_that_listens_but_never_serves_meets_the_deadline(scene: Scene) -> None:
    listen = (
        'python3 -c "import socket, sys, time; s = socket.socket(socket.AF_UNIX); '
        "s.bind(sys.argv[1].split('=', 1)[1].replace('buildkitd.toml', 'buildkitd.sock')); s.listen(); "
        f'print(\'here I listen\', flush=True); time.sleep({scene.token})" "$1"'
    )
    error = failed(scene.build(env=fake_engine(scene, f"exec {listen}"), settings={"start_timeout": 1.5}))
    assert "not ready within 1.5 s" in error
    assert "here I listen" in error


def test_a_daemon_that_dies_while_it_starts_is_noticed_at_once(scene: Scene) -> None:
    started = time.monotonic()
    error = failed(scene.build(env=fake_engine(scene, "echo no luck today; exit 3")))
    assert time.monotonic() - started < 20
    assert error.startswith("the engine ended while it started (exit code 3)\n")
    assert "no luck today" in error
    assert f"mend {scene.directory}/bin/buildkitd, or take it off PATH" in error


def test_a_daemon_that_cannot_be_run_says_why(scene: Scene) -> None:
    env = fake_engine(scene, "")
    program = scene.directory / "bin" / ("rootlesskit" if scene.user or os.geteuid() else "buildkitd")
    program.write_text("#!/nonexistent/interpreter\n")
    error = failed(scene.build(env=env))
    assert error.startswith(("the engine could not be started", f"{program} cannot be run"))
    assert str(program) in error
    assert "No such file" in error


def test_an_old_engine_on_path_is_named_with_the_version_that_is_needed(scene: Scene) -> None:
    env = fake_engine(scene, f"sleep {scene.token}; true", version="github.com/moby/buildkit v0.12.5")
    error = failed(scene.build(env=env, settings={"start_timeout": 1}))
    assert "buildkitd on PATH is too old: BuildKit 0.12.5, needed is 0.17.0 or newer" in error


@pytest.mark.e2e
def test_a_damaged_cache_is_shown_by_the_daemons_log(own_scene: Scene) -> None:
    (own_scene.state / "root").write_text("not a directory")
    error = failed(own_scene.build())
    assert "the engine ended while it started" in error
    assert "not a directory" in error


@pytest.mark.e2e
def test_wrong_extra_configuration_is_shown_by_the_daemons_log(own_scene: Scene) -> None:
    settings = {"daemon_config": {"worker": {"oci": {"max-parallelism": "many"}}}}
    assert "MaxParallelism" in failed(own_scene.build(settings=settings))


def test_contradictions_are_usage_errors_and_start_nothing() -> None:
    before = descendants(os.getpid())
    settings = EngineSettings(env={}, addr="unix:///x", daemon_config={"registry": {"docker.io": {"http": True}}})
    with pytest.raises(UsageError, match="cannot be configured from here") as caught:
        launch(settings)
    assert "registry" in caught.value.why
    with pytest.raises(UsageError, match="may not set root"):
        launch(EngineSettings(env=dict(os.environ), daemon_config={"root": "/"}))
    with pytest.raises(UsageError, match="names no way"):
        launch(EngineSettings(env=dict(os.environ), addr="/run/buildkit.sock"))
    assert descendants(os.getpid()) == before


@pytest.mark.e2e
def test_an_ordinary_user_who_may_gain_no_privileges_is_told(make_scene: object) -> None:
    assert callable(make_scene)
    scene: Scene = make_scene("ordinary")
    running = scene.build(wrap=lambda argv: ["setpriv", "--no-new-privs", *argv])
    assert running.facts["error"].startswith("BuildKit cannot run as an ordinary user here\n")
    assert "no_new_privs" in running.facts["error"]


@pytest.mark.e2e
@pytest.mark.needs_root
def test_root_without_the_right_to_mount_is_told(own_scene: Scene) -> None:
    running = own_scene.build(
        wrap=lambda argv: ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *argv]
    )
    assert running.process.returncode == 5
    assert running.facts["error"].startswith("BuildKit cannot run as root here\n")
    assert "privileged" in running.facts["error"]


_ON_A_FULL_DISK = """
import os, pathlib, resource
from ocibuild_core.engine import EngineSettings, launch
from ocibuild_core.errors import EngineError
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    launch(EngineSettings(env=dict(os.environ), state_dir=pathlib.Path("state")))
except EngineError as error:
    print(error)
"""


@pytest.mark.e2e
def test_where_nothing_can_be_written_that_is_told(run: ProgramRunner, sandbox: Path) -> None:
    """No file may have any content: as on a full disk, where directories can still be made."""
    command = [sys.executable, "-c", _ON_A_FULL_DISK]
    done = subprocess.run(command, cwd=sandbox, env=run.env(), capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith("the engine could not be started\n")
    assert "File too large" in done.stdout
    assert "make room" in done.stdout
    assert done.stderr == ""


# Listens where buildkitd will, and serves nobody, until the test lets buildkitd begin.
_LISTEN_FIRST = """
import os, socket, sys, time
path = sys.argv[1].split("=", 1)[1].replace("buildkitd.toml", "buildkitd.sock")
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen()
    time.sleep(1.5)
os.unlink(path)
os.execv(os.environ["REAL"], [os.environ["REAL"], *sys.argv[1:]])
"""
_IMPATIENT = """
from ocibuild_core.cli import main
from ocibuild_core.engine import local
local._CLIENT_PATIENCE = 0.3
main.build()
"""


@pytest.mark.e2e
def test_a_client_does_not_wait_for_a_daemon_longer_than_it_may(run: ProgramRunner, sandbox: Path) -> None:
    """The first client is ended, and what it said is not shown; another builds when the daemon serves."""
    programs = sandbox / "bin"
    programs.mkdir()
    for name in ("buildctl", "runc", "rootlesskit"):
        (programs / name).symlink_to(binary(name))
    daemon = programs / "buildkitd"
    real = f"REAL={binary('buildkitd')}"
    daemon.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec {binary("buildkitd")} --version\n'
        f"exec env {real} {sys.executable} -c '{_LISTEN_FIRST}' \"$@\"\n"
    )
    daemon.chmod(0o755)
    (sandbox / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    env = {**run.env(), "PATH": f"{programs}:{run.env()['PATH']}"}
    command = [sys.executable, "-c", _IMPATIENT, "--progress", "plain", "."]

    done = subprocess.run(command, cwd=sandbox, env=env, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("#")
    assert "error" not in done.stdout + done.stderr

"""examples/laptop: what laptop/README.md says, in one session of an ordinary user with a keyring of his own."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import Identity
from support.ci_scenes import Machine, with_passwords
from support.doc_blocks import blocks
from support.docker import reads_oci_manifests
from support.missing import need_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority

pytestmark = pytest.mark.e2e

README = "examples/laptop/README.md"
HOST = "registry.example.com"
# The session's keyring is unlocked as a desktop does it at log-in.
UNLOCK = "printf 'of the keyring itself' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"


def in_a_session(script: str, machine: Machine, network: dict[str, str], workspace: Path, typed: str) -> str:
    """Run a script in a desktop session with a terminal, at which one line is typed; returns what it printed."""
    need_program("setsid", "util-linux")
    need_program("gnome-keyring-daemon", "gnome-keyring")
    need_program("docker", "docker.io")
    session = [need_program("dbus-run-session", "dbus"), "--", "bash", "-euo", "pipefail", "-c", script]
    keyboard, terminal = pty.openpty()
    command = machine.user.command(*session)
    with subprocess.Popen(
        [shutil.which("setsid") or "setsid", "--ctty", "--wait", *command],
        cwd=workspace,
        env={**machine.env, **network},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        os.close(terminal)
        while b"assword" not in (shown := os.read(keyboard, 4096)):
            assert shown
        os.write(keyboard, f"{typed}\n".encode())
        said, _ = process.communicate(timeout=300)
        os.close(keyboard)
    if process.returncode:
        pytest.fail(said, pytrace=False)
    return said


def test_the_page_is_followed(
    examples: Path,
    machine: Callable[[str], Machine],
    tls_authority: Authority,
    ca: Path,
    fresh_secret: Callable[[], str],
    leak_watcher: LeakWatcher,
) -> None:
    password = fresh_secret()
    laptop = machine("with-basic")
    workspace = laptop.workspace(f"FROM {HOST}/team/base:1\nRUN cat /etc/motd\n")
    shutil.copy(examples / "laptop" / "log-in.sh", workspace)
    docker = laptop.home / ".docker"
    docker.mkdir(exist_ok=True)
    (docker / "config.json").write_text('{"detachKeys": "ctrl-x"}')
    laptop.user.own(laptop.home)
    typed = [block.code for block in blocks(README) if block.is_shell]

    with with_passwords(HOST, (Identity(username="alice", password=password),), tls_authority, ca) as scene:
        script = "\n".join([UNLOCK, *typed, "ocibuild auth list --json", f"ocibuild logout {HOST}"])
        media_types = {} if reads_oci_manifests() else {"REGISTRY_OCI_MEDIATYPES": "false"}
        said = in_a_session(script, laptop, {**scene.network, **media_types}, workspace, password)

        assert f"the private base of {HOST}" in said
        assert scene.tags("team/app") == ("1",)
        pulled = {one.path for one in scene.registry.requests if one.user_agent.startswith("Docker-Client")}
        assert "/v2/team/app/manifests/1" in pulled
    assert json.loads((docker / "config.json").read_text()) == {"detachKeys": "ctrl-x", "credsStore": "ocibuild"}
    assert (docker / "config.json").stat().st_mode & 0o077 == 0
    assert '"username": "alice"' in said
    leak_watcher.check(said, "what the session printed")
    leak_watcher.check_files(docker, workspace)


def test_another_helper_of_docker_is_kept(examples: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "pass"}')
    (tmp_path / "ocibuild").write_text("#!/bin/sh\n")
    (tmp_path / "ocibuild").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    script = examples / "laptop" / "log-in.sh"
    done = subprocess.run([script, HOST, "alice"], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "names the helper 'pass' already" in done.stderr) == (1, True)
    assert (tmp_path / "config.json").read_text() == '{"credsStore": "pass"}'

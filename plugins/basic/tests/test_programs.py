"""The installed programs with a real keyring and a real registry: log in once, use it anywhere, log out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from basic_support import SecretService
    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import RegistryServer

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def run(secret_service: SecretService, leak_watcher: LeakWatcher) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs an installed program on the keyring's bus; what it prints to people holds no secret."""

    def run(
        *argv: str, stdin: str = "", secret_on_stdout: bool = False, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        env = {"LANG": "C.UTF-8", **secret_service.env, **variables}
        done = subprocess.run(
            [PROGRAMS / argv[0], *argv[1:]],
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        leak_watcher.check(done.stderr, "stderr")
        if not secret_on_stdout:
            leak_watcher.check(done.stdout, "stdout")
        return done

    return run


def test_a_login_is_verified_kept_used_listed_and_forgotten(
    run: Callable[..., subprocess.CompletedProcess[str]], tls_registry: RegistryServer
) -> None:
    host, password = tls_registry.address, tls_registry.auth.users["alice"]  # type: ignore[attr-defined]
    ca = ("--registry-ca", str(tls_registry.ca_file))

    refused = run("ocibuild", "login", host, *ca, "--user", "alice", "--stdin", stdin="not-the-password\n")
    assert (refused.returncode, "wrong password" in refused.stderr) == (3, True)
    assert json.loads(run("ocibuild", "auth", "list", "--json").stdout) == []

    done = run("ocibuild", "login", host, *ca, "--user", "alice", "--stdin", stdin=f"{password}\n")
    assert done.returncode == 0, done.stderr
    assert f"alice is logged in to {host}" in done.stderr
    assert json.loads(run("ocibuild", "auth", "list", "--json").stdout) == [
        {"registry": host, "username": "alice", "provider": "basic"}
    ]
    answer = run("docker-credential-ocibuild", "get", stdin=host, secret_on_stdout=True)
    assert json.loads(answer.stdout) == {"ServerURL": host, "Username": "alice", "Secret": password}
    assert f"{host}  " in run("ocibuild", "auth", "explain", host).stdout

    assert run("ocibuild", "logout", host).returncode == 0
    assert run("ocibuild", "auth", "list").stdout == ""
    assert run("docker-credential-ocibuild", "get", stdin=host).returncode == 1


def test_the_registry_is_spoken_to_as_a_build_would(
    run: Callable[..., subprocess.CompletedProcess[str]], tls_registry: RegistryServer, tmp_path: Path
) -> None:
    """The variable that a build needs for a registry of one's own serves here, too."""
    host, password = tls_registry.address, tls_registry.auth.users["alice"]  # type: ignore[attr-defined]
    login = ("ocibuild", "login", host, "--user", "alice", "--stdin")

    done = run(*login, stdin=password, REGISTRY_CA=f"{host}={tls_registry.ca_file}")
    assert (done.returncode, f"alice is logged in to {host}" in done.stderr) == (0, True)
    for ca in (f"{host}={tls_registry.ca_file}", str(tls_registry.ca_file)):
        assert run(*login, "--registry-ca", ca, stdin=password).returncode == 0
    for ca, says in ((f"r.example={tls_registry.ca_file}", "names r.example"), (f"{host}=/nowhere", "'/nowhere'")):
        refused = run(*login, "--registry-ca", ca, stdin=password)
        assert (refused.returncode, says in refused.stderr) == (2, True), refused.stderr
    forgotten = run("ocibuild", "logout", host, REGISTRY_CA="no pair, and nobody asks")
    assert (forgotten.returncode, "nothing was stored" in forgotten.stderr) == (0, False)

    stranger = Authority().write(tmp_path / "other.pem")
    unreached = run(*login, stdin=password, REGISTRY_CA=f"{host}={stranger}")
    assert (unreached.returncode, "its certificate is not trusted" in unreached.stderr) == (3, True)
    assert "do     nothing was stored; check the name, the network, and --registry-ca" in unreached.stderr
    assert run("ocibuild", "auth", "list").stdout == ""


def test_without_a_terminal_nothing_is_asked(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run("ocibuild", "login", "r.example")
    assert done.returncode == 3
    assert "there is no terminal to ask at" in done.stderr
    assert "--stdin" in done.stderr


def test_a_password_without_a_user_is_refused(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run("ocibuild", "login", "r.example", "--stdin", stdin="x\n")
    assert (done.returncode, "add --user NAME" in done.stderr) == (2, True)


def test_docker_s_login_as_another_user_takes_the_place_of_the_first(
    run: Callable[..., subprocess.CompletedProcess[str]], leak_watcher: LeakWatcher
) -> None:
    """What docker sends for `docker login`, twice; then what it asks before a pull."""
    keeper = {"OCIBUILD_CREDENTIAL_STORE": "basic"}
    for user in ("alice", "bob"):
        secret = leak_watcher.register(f"the-password-of-{user}", "a password")
        entry = json.dumps({"ServerURL": "r.example", "Username": user, "Secret": secret})
        assert run("docker-credential-ocibuild", "store", stdin=entry, **keeper).returncode == 0

    answer = run("docker-credential-ocibuild", "get", stdin="r.example", secret_on_stdout=True)
    assert json.loads(answer.stdout)["Username"] == "bob"
    listed = run("docker-credential-ocibuild", "list", **keeper)
    assert json.loads(listed.stdout) == {"r.example": "bob"}

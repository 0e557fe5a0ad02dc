"""Several registries, several identities, one build; refusals of every kind by registries that refuse for real."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.registry import (
    Authority,
    GatedRegistry,
    Identity,
    IssuedPasswords,
    PasswordAuth,
    RegistryServer,
    TokenAuth,
    busybox_files,
)
from support.missing import need_program
from support.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry_fixtures import RegistryFactory
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e


class FiveRegistries:
    """Four to pull from, each with another way to log in, and one to push to."""

    def __init__(self, start: RegistryFactory, authority: Authority, secret: Callable[[], str]) -> None:
        self.secrets = {name: secret() for name in ("alice", "bob", "carol", "deploy")}
        self.password = start(auth=PasswordAuth({"alice": self.secrets["alice"]}), tls=authority)
        self.bearer = start(auth=TokenAuth([Identity(username="bob", password=self.secrets["bob"])]), tls=authority)
        self.helped = start(auth=PasswordAuth({"carol": self.secrets["carol"]}), tls=authority)
        self.open = start()
        self.target = start(auth=PasswordAuth({"deploy": self.secrets["deploy"]}), tls=authority)
        self.sources = {
            "password": self.password,
            "bearer": self.bearer,
            "helped": self.helped,
            "open": self.open,
        }
        for name, registry in self.sources.items():
            registry.push_image("team/part:1", files={f"{name}.txt": name, **busybox_files()})

    def dockerfile(self) -> str:
        first, *others = [registry.reference("team/part:1") for registry in self.sources.values()]
        copies = [f"COPY --from={other} /*.txt /" for other in others]
        return "\n".join([f"FROM {first}", *copies, "RUN cat /*.txt", ""])

    def env(self) -> dict[str, str]:
        with_tls = [self.password, self.bearer, self.helped, self.target]
        logins = {
            self.password.address: {"user": "alice", "password": {"env": "ALICE"}},
            self.bearer.address: {"user": "bob", "password": {"env": "BOB"}},
            self.target.address: {"user": "deploy", "password": {"env": "DEPLOY"}},
        }
        return {
            "BASIC_REGISTRIES": json.dumps(logins),
            "ALICE": self.secrets["alice"],
            "BOB": self.secrets["bob"],
            "DEPLOY": self.secrets["deploy"],
            "REGISTRY_CA": ",".join(f"{registry.address}={registry.ca_file}" for registry in with_tls),
        }

    def helper_of_the_user(self, home: Path) -> Path:
        """A credential helper of the user's own, that his docker config names for one registry; returns its directory.

        The password is in a file that the test may have: it stands for the keychain that such a helper asks.
        """
        programs, keychain = home / "bin", home / "keychain"
        programs.mkdir(parents=True)
        answer = {"ServerURL": self.helped.address, "Username": "carol", "Secret": self.secrets["carol"]}
        keychain.write_text(json.dumps(answer))
        helper = programs / "docker-credential-mine"
        helper.write_text(f"#!/bin/sh\nread -r host\necho asked for $host >> {home}/asked\ncat {keychain}\n")
        helper.chmod(0o755)
        (home / ".docker").mkdir()
        config = {"credHelpers": {self.helped.address: "mine"}}
        (home / ".docker" / "config.json").write_text(json.dumps(config))
        return programs


@pytest.fixture
def five(
    registry_factory: RegistryFactory, tls_authority: Authority, fresh_secret: Callable[[], str]
) -> FiveRegistries:
    return FiveRegistries(registry_factory, tls_authority, fresh_secret)


@pytest.mark.parametrize("line", ['ca = ["{ca}"]', "insecure = true"])
def test_a_token_server_is_trusted_as_the_daemons_configuration_says(
    five: FiveRegistries, run: ProgramRunner, sandbox: Path, line: str
) -> None:
    """BuildKit's client asks for tokens itself, and reads no buildkitd.toml."""
    registry = five.bearer
    (sandbox / "Dockerfile").write_text(f"FROM {registry.reference('team/part:1')}\nRUN cat /bearer.txt\n")
    table = f'[registry."{registry.address}"]\nhttp = false\n{line.format(ca=registry.ca_file)}\n'
    env = {
        "BUILDKIT_EXTRA_CONFIG": table,
        "LOGIN": "PASS",
        "PASS": f"bob:{five.secrets['bob']}",
        "REG_URL": registry.url,
    }

    run("build", ".", env=env, cwd=sandbox).succeeded()

    assert users_of(registry) == {"bob"}


def users_of(registry: RegistryServer) -> set[str]:
    """Who was let in by it, as its own log tells."""
    return {one.username for one in registry.requests if one.status in (200, 201, 202) and one.username}


def test_four_registries_are_pulled_from_and_a_fifth_is_pushed_to(
    five: FiveRegistries, run: ProgramRunner, sandbox: Path
) -> None:
    work = sandbox / "work"
    work.mkdir()
    (work / "Dockerfile").write_text(five.dockerfile())
    programs = five.helper_of_the_user(run.home)
    keychain = run.home / "keychain"
    config_before = (run.home / ".docker" / "config.json").read_bytes()
    env = {**five.env(), "PATH": f"{programs}:{run.env()['PATH']}"}
    push = f"registry,name={five.target.reference('team/whole:1')}"

    command = ("build", "--login", "basic", "-o", push, ".")
    explained = run(*command, "--explain", env=env, cwd=work, may_hold_secrets=[keychain]).succeeded()
    for identity in ("user alice", "user bob", "user carol", "anonymous", "user deploy"):
        assert identity in explained.stdout
    assert f"needed for   push {five.target.reference('team/whole:1')}" in explained.stdout
    run(*command, env=env, cwd=work, may_hold_secrets=[keychain]).succeeded()

    assert users_of(five.password) == {"alice"}
    assert users_of(five.bearer) == {"bob"}
    assert users_of(five.helped) == {"carol"}
    assert users_of(five.open) == set()
    assert users_of(five.target) == {"deploy"}
    assert five.target.client().tags("team/whole") == ("1",)
    assert (run.home / ".docker" / "config.json").read_bytes() == config_before
    assert (run.home / "asked").read_text().splitlines().count(f"asked for {five.helped.address}") >= 1


@pytest.mark.mounts  # under strace, newuidmap has no rights
def test_no_file_is_ever_given_a_secret_to_write(
    five: FiveRegistries, run: ProgramRunner, sandbox: Path, leak_watcher: LeakWatcher
) -> None:
    """strace sees every write of the client, the daemon, the helpers and the steps."""
    need_program("strace", "strace")
    work = sandbox / "work"
    work.mkdir()
    (work / "Dockerfile").write_text(five.dockerfile())
    programs = five.helper_of_the_user(run.home)
    trace = sandbox / "trace"
    command = ["strace", "-f", "-y", "-s", "1000000", "-e", "trace=openat,write,pwrite64,writev", "-o", str(trace)]
    build = [str(PROGRAMS / "build"), "--login", "basic", "-o", f"registry,name={five.target.reference('x/y:1')}", "."]
    env = {**run.env(), **five.env(), "PATH": f"{programs}:{run.env()['PATH']}"}

    done = subprocess.run([*command, *build], cwd=work, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    lines = trace.read_text(errors="replace").splitlines()
    trace.unlink()
    to_files = [line for line in lines if re.search(r"\b(p?write(64|v)?)\(\d+</", line)]
    opened = [line for line in lines if "openat(" in line]
    assert len(to_files) > 100
    assert len(opened) > 1000
    for line in (*to_files, *opened):
        leak_watcher.check(line, "what strace saw")
    # The same search does see the secret on its way through sockets and pipes, so it can see it at all.
    elsewhere = [line for line in lines if re.search(r"\bwritev?\(\d+<(UNIX|TCP|socket|pipe)", line)]
    assert any(leak_watcher.find(line, "") for line in elsewhere)


@pytest.mark.parametrize(
    ("who", "says", "remedy"),
    [
        ("wrong", "it does not accept the credential", "check user and password"),
        ("reader", "the identity lacks the permission", "give this identity the right"),
        ("nobody", "asks for a login, and no credential was configured", "name a provider"),
        (
            "unset",
            "tried  plugin 'basic' (ocibuild-basic 0.1.0): BASIC_REGISTRIES, ",
            "the environment variable NOT_SET is not set\n  do     set NOT_SET\n",
        ),
    ],
)
def test_a_token_registry_that_refuses_is_told_with_identity_and_remedy(
    registry_factory: RegistryFactory,
    tls_authority: Authority,
    fresh_secret: Callable[[], str],
    run: ProgramRunner,
    sandbox: Path,
    who: str,
    says: str,
    remedy: str,
) -> None:
    accounts = [
        Identity(username="owner", password=fresh_secret()),
        Identity(username="reader", password=fresh_secret(), pull=("other/*",), push=()),
    ]
    registry = registry_factory(auth=TokenAuth(accounts), tls=tls_authority)
    registry.push_image("team/base:1", files={"x": "y"})
    work = sandbox / "work"
    work.mkdir()
    (work / "Dockerfile").write_text(f"FROM {registry.reference('team/base:1')}\n")
    env = {"REGISTRY_CA": f"{registry.address}={registry.ca_file}", "REG_URL": registry.url}
    given = {
        "wrong": {"LOGIN": "PASS", "PASS": f"owner:{fresh_secret()}"},
        "reader": {"LOGIN": "PASS", "PASS": f"reader:{accounts[1].password}"},
        "nobody": {},
        "unset": {
            "BASIC_REGISTRIES": json.dumps({registry.address: {"user": "owner", "password": {"env": "NOT_SET"}}})
        },
    }[who]

    result = run("build", env={**env, **given}, cwd=work).ended_with(3)

    assert registry.address in result.stderr
    assert says in result.stderr
    assert remedy in result.stderr


@pytest.mark.parametrize("action", ["pull", "push"])
def test_a_password_whose_time_is_over_is_told_as_that(
    tls_authority: Authority, fresh_secret: Callable[[], str], run: ProgramRunner, sandbox: Path, action: str
) -> None:
    """As ECR says it: 403, `DENIED`, and that the token has expired."""
    alice = Identity(username="alice", password=fresh_secret())
    passwords = IssuedPasswords()
    passwords.issue(alice, expires_at=datetime.now(UTC) - timedelta(minutes=1))
    with GatedRegistry(passwords, tls=tls_authority) as registry:
        registry.push_image("team/base:1", files={"x": "y"})
        base, push = (registry.reference("team/base:1"), ()) if action == "pull" else ("scratch", ("--push",))
        (sandbox / "Dockerfile").write_text(f"FROM {base}\nCOPY Dockerfile /\n")
        env = {
            "LOGIN": "PASS",
            "PASS": f"alice:{alice.password}",
            "REG_URL": registry.url,
            "REGISTRY_CA": f"{registry.address}={registry.ca_file}",
        }
        result = run("build", "-t", registry.reference("team/app:1"), *push, ".", env=env, cwd=sandbox).ended_with(3)

        assert f"plugin 'basic' (ocibuild-basic 0.1.0): {registry.address} refused the login" in result.stderr
        assert "refused the login: the credential has expired\n" in result.stderr
        assert "shown to it: user alice" in result.stderr
        assert "do     get a new credential" in result.stderr
        assert {one.status for one in registry.requests if one.username} == {403}


def test_a_check_tells_the_verdicts_apart(five: FiveRegistries, run: ProgramRunner, sandbox: Path) -> None:
    (sandbox / "Dockerfile").write_text(
        f"FROM {five.password.reference('team/part:1')}\nCOPY --from={five.password.reference('team/none:1')} / /\n"
        f"COPY --from={five.helped.reference('team/part:1')} / /\n"
    )
    certificates = five.env()["REGISTRY_CA"].split(",")
    flags = [text for pair in certificates for text in ("--registry-ca", pair)]
    result = run("ocibuild", "auth", "check", "--login", "basic", *flags, env=five.env(), cwd=sandbox).ended_with(3)
    verdicts = [line.split("  ")[0].strip() for line in result.stdout.splitlines()]
    assert verdicts == ["ok", "not found", "no credential"]


def test_registries_are_checked_by_the_way_that_a_build_takes(
    registry: RegistryServer, tls_registry: RegistryServer, run: ProgramRunner, sandbox: Path
) -> None:
    """Plain http on loopback without a word, an unknown authority where that was allowed; nobody else is believed."""
    for one in (registry, tls_registry):
        one.push_image("team/base:1", files={"x": "y"})
    images = [one.reference("team/base:1") for one in (registry, tls_registry)]
    (sandbox / "Dockerfile").write_text(f"FROM {images[0]}\nCOPY --from={images[1]} / /\n")
    assert isinstance(tls_registry.auth, PasswordAuth)
    logins = {"LOGIN": "PASS", "REG_URL": tls_registry.address, "PASS": f"alice:{tls_registry.auth.users['alice']}"}

    def verdicts(code: int, *flags: str, env: dict[str, str] | None = None) -> list[str]:
        checked = run("ocibuild", "auth", "check", *flags, env={**logins, **(env or {})}, cwd=sandbox).ended_with(code)
        return [line.split("  ")[0] for line in checked.stdout.splitlines()]

    assert verdicts(0, "--registry-insecure", tls_registry.address) == ["anonymous ok", "ok"]
    assert verdicts(0, env={"REGISTRY_INSECURE_HOSTS": tls_registry.address}) == ["anonymous ok", "ok"]
    other = Authority().write(sandbox / "other.pem")
    assert verdicts(1, env={"REGISTRY_CA": f"{tls_registry.address}={other}"}) == ["anonymous ok", "unreachable"]
    assert verdicts(1, "--registry-http", tls_registry.address) == ["anonymous ok", "unreachable"]

    build = run("build", "--preflight", "--registry-insecure", tls_registry.address, ".", env=logins, cwd=sandbox)
    said = build.succeeded().stderr.splitlines()
    assert [line.split()[0] for line in said if "  pull  " in line] == ["anonymous", "ok"]


def test_what_only_a_mirror_has_passes_the_check_and_the_preflight_as_it_passes_the_build(
    registry_factory: RegistryFactory, run: ProgramRunner, sandbox: Path
) -> None:
    upstream, mirror = registry_factory(), registry_factory()
    mirror.push_image("team/base:1", files={"x": "y"})
    (sandbox / "Dockerfile").write_text(f"FROM {upstream.reference('team/base:1')}\n")
    env = {"BUILDKIT_EXTRA_CONFIG": f'[registry."{upstream.address}"]\nmirrors = ["{mirror.address}"]\n'}

    checked = run("ocibuild", "auth", "check", env=env, cwd=sandbox).succeeded()
    built = run("build", "--preflight", ".", env=env, cwd=sandbox).succeeded()

    assert f"from its mirror {mirror.address}" in checked.stdout
    assert checked.stdout.strip() in built.stderr


def test_the_mirrors_of_docker_hub_are_checked_first(
    registry_factory: RegistryFactory, run: ProgramRunner, sandbox: Path
) -> None:
    mirror = registry_factory()
    mirror.push_image("library/never-there:1", files={"x": "y"})
    env = {"REGISTRY_MIRRORS": mirror.address}
    run("ocibuild", "auth", "check", "never-there:1", env=env, cwd=sandbox).succeeded()


def test_a_preflight_ends_the_run_before_the_solve(five: FiveRegistries, run: ProgramRunner, sandbox: Path) -> None:
    (sandbox / "Dockerfile").write_text(f"FROM {five.password.reference('team/none:1')}\n")
    result = run("build", "--preflight", "--login", "basic", ".", env=five.env(), cwd=sandbox).ended_with(3)
    assert result.stdout == ""
    refused = [line for line in result.stderr.splitlines() if "team/none:1" in line]
    assert len(refused) == 1
    assert "cannot be pulled as user alice" in refused[0]
    assert "the login is of plugin 'basic'" in result.stderr


def test_a_preflight_says_of_an_untrusted_certificate_what_the_build_will(
    registry: RegistryServer, tls_registry: RegistryServer, run: ProgramRunner, sandbox: Path
) -> None:
    ca = f"name the CA that signed its certificate: --registry-ca {tls_registry.address}=FILE"
    plain = f"say that it speaks plain HTTP: --registry-http {registry.address}"
    for one, flags, remedy in (
        (tls_registry, (), ca),
        (tls_registry, ("--registry-ca", f"{tls_registry.address}={Authority().write(sandbox / 'other.pem')}"), ca),
        (registry, ("--registry-ca", f"{registry.address}={tls_registry.ca_file}"), plain),
    ):
        (sandbox / "Dockerfile").write_text(f"FROM {one.reference('team/base:1')}\n")
        result = run("build", "--preflight", *flags, ".", cwd=sandbox).ended_with(1)
        told = [line for line in result.stderr.splitlines() if remedy in line]
        assert [line.split()[0] for line in told] == ["unreachable", "do"], result.stderr


def test_a_host_that_nobody_could_know_of_fails_at_the_helper_with_the_same_code(
    registry_factory: RegistryFactory,
    tls_authority: Authority,
    fresh_secret: Callable[[], str],
    run: ProgramRunner,
    sandbox: Path,
) -> None:
    """An ONBUILD trigger of the base names a registry for which a pinned provider has nothing."""
    base = registry_factory()
    hidden = registry_factory(auth=PasswordAuth({"alice": fresh_secret()}), tls=tls_authority)
    hidden.push_image("team/part:1", files={"x": "y"})
    trigger = f"COPY --from={hidden.reference('team/part:1')} /x /x"
    base.push_image("team/base:1", files=busybox_files(), config={"OnBuild": [trigger]})
    (sandbox / "Dockerfile").write_text(f"FROM {base.reference('team/base:1')}\n")
    env = {"REGISTRY_CA": f"{hidden.address}={hidden.ca_file}"}

    pin = f"basic=127.0.*.1:{hidden.port}"
    result = run("build", "--login", pin, ".", env=env, cwd=sandbox).ended_with(3)

    assert "#1 " in result.stdout
    assert hidden.address in result.stderr
    assert "plugin 'basic'" in result.stderr


def test_the_proxies_of_the_docker_config_become_build_arguments(
    registry: RegistryServer, run: ProgramRunner, sandbox: Path
) -> None:
    registry.push_image("team/base:1", files=busybox_files())
    (run.home / ".docker").mkdir()
    proxies = {"default": {"httpProxy": "http://proxy.example:3128", "noProxy": "one.example"}}
    (run.home / ".docker" / "config.json").write_text(json.dumps({"proxies": proxies}))
    (sandbox / "Dockerfile").write_text(f"FROM {registry.reference('team/base:1')}\nRUN echo $HTTP_PROXY $no_proxy\n")

    plain = run("build", "--build-arg", "NO_PROXY=mine", "--build-arg", "no_proxy=mine", ".", cwd=sandbox).succeeded()

    assert "http://proxy.example:3128 mine" in plain.stdout

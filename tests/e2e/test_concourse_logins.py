"""The task files of `examples/concourse` that log in: they pull a private base, build on it, and push the result."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest
from fake_aws import AwsServer, Cloud, Issuer, Machine
from ocibuild_testkit.registry import GatedRegistry, Identity, PasswordAuth, RegistryServer, busybox_files
from support.cloud_registries import EcrPasswords
from support.concourse import ConcourseTask
from support.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority, Content
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e

ACCOUNT, OTHER = "012345678901", "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/builder"
BASE: dict[str, Content] = {**busybox_files(), "etc/motd": "the private base\n"}


def host(account: str) -> str:
    return f"{account}.dkr.ecr.eu-west-1.amazonaws.com"


class Amazon(NamedTuple):
    """AWS as a worker meets it, and what the worker needs to meet this one."""

    cloud: Cloud
    registries: dict[str, GatedRegistry]
    machine: dict[str, str]


@pytest.fixture
def amazon(tls_authority: Authority, fresh_secret: Callable[[], str], sandbox: Path) -> Iterator[Amazon]:
    """Two accounts with a registry each that the role may use, and nobody else."""
    cloud = Cloud(lambda: fresh_secret() * 55)
    ca = tls_authority.write(sandbox / "ca.pem")
    registries: dict[str, GatedRegistry] = {}
    with AwsServer(cloud, tls_authority) as aws, ExitStack() as running:
        for account in (ACCOUNT, OTHER):
            passwords = EcrPasswords(cloud, "eu-west-1", {ROLE: Identity(username="AWS", password="-")})
            registry = GatedRegistry(passwords, tls=tls_authority, host=host(account), bind="127.0.0.1")
            registries[account] = running.enter_context(registry)
            aws.routes[host(account)] = registry.port
        registries[ACCOUNT].push_image("team/base:1", files=BASE)
        tables = "".join(f'[registry."{host(account)}"]\nca = ["{ca}"]\n' for account in registries)
        env = {"HTTPS_PROXY": aws.url, "SSL_CERT_FILE": str(ca), "BUILDKIT_EXTRA_CONFIG": tables}
        yield Amazon(cloud, registries, {"AWS_EC2_METADATA_DISABLED": "true", **env})


def check(task: ConcourseTask, registry: GatedRegistry | RegistryServer) -> None:
    """What was built is on the private base, is kept as a file, and is in the registry."""
    image = read_image(task.directory("image") / "image.tar")
    assert image.files["etc/motd"] == b"the private base\n"
    assert image.files["etc/built-from"].startswith(b"ARG base")
    assert (task.directory("image") / "digest").read_text() == image.config_digest
    _, manifest = registry.client().manifest("team/app", "1")
    assert image.config_digest.encode() in manifest


def test_a_user_and_a_password(run: ProgramRunner, sandbox: Path, tls_registry: RegistryServer) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    tls_registry.push_image("team/base:1", files=BASE)
    variables = {
        "registry": tls_registry.address,
        "user": "alice",
        "password": tls_registry.auth.users["alice"],
    }
    machine = {"REGISTRY_CA": f"{tls_registry.address}={tls_registry.ca_file}"}
    task = ConcourseTask("user-and-password", sandbox / "work", variables)
    task.run(run, machine).succeeded()
    check(task, tls_registry)

    wrong = ConcourseTask("user-and-password", sandbox / "wrong", {**variables, "user": "mallory"})
    wrong.run(run, machine).ended_with(3)


def test_ecr_by_the_role_of_the_node(
    run: ProgramRunner, sandbox: Path, amazon: Amazon, fresh_secret: Callable[[], str]
) -> None:
    task = ConcourseTask("ecr-by-node-role", sandbox / "work", {"account": ACCOUNT, "other_account": OTHER})
    with Machine(amazon.cloud.add_session(ROLE), make_secret=fresh_secret) as machine:
        task.run(run, {**amazon.machine, **machine.instance_env()}).succeeded()
        check(task, amazon.registries[OTHER])
        machine.silent_to = {"PUT", "GET"}
        result = task.run(run, {**amazon.machine, **machine.instance_env()}).ended_with(3)
    assert "HttpPutResponseHopLimit=2" in result.stderr


def test_ecr_by_the_token_of_concourse(
    run: ProgramRunner, sandbox: Path, amazon: Amazon, leak_watcher: LeakWatcher
) -> None:
    issuer = Issuer("https://ci.example")
    amazon.cloud.add_role(ROLE, issuer=issuer, audience="sts.amazonaws.com", subject="main/app")
    token = leak_watcher.register(issuer.token(subject="main/app"), "an OIDC token")
    variables = {"account": ACCOUNT, "role": "builder", "token": token}
    task = ConcourseTask("ecr-by-idtoken", sandbox / "work", variables)
    task.run(run, amazon.machine).succeeded()
    check(task, amazon.registries[ACCOUNT])

    other = leak_watcher.register(issuer.token(subject="main/other"), "another OIDC token")
    stranger = ConcourseTask("ecr-by-idtoken", sandbox / "stranger", {**variables, "token": other})
    assert "sts:AssumeRoleWithWebIdentity" in stranger.run(run, amazon.machine).ended_with(3).stderr

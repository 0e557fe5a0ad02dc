"""The installed `build` with the shared parts: the stand-in for docker.io, the frontend, the registries, both users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ocibuild_testkit.proxy import NameProxy
from ocibuild_testkit.registry import GatedRegistry, Identity, IssuedPasswords, PasswordAuth, busybox_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocibuild_testkit.registry import Authority, RegistryServer
    from support.hub import DockerHub
    from support.programs import ProgramRunner
    from support.users import OrdinaryUser

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("who", ["root", "ordinary_user"])
def test_a_build_from_the_stand_in_runs(
    request: pytest.FixtureRequest, who: str, docker_hub: DockerHub, run: ProgramRunner, sandbox: Path
) -> None:
    user: OrdinaryUser | None = request.getfixturevalue(who) if who == "ordinary_user" else None
    work = (user.home if user else sandbox) / "work"
    (work / "image").mkdir(parents=True)
    (work / "Dockerfile").write_text("FROM alpine:3.20\nRUN cat /etc/os-release && id -u\n")
    if user:
        user.own(work)

    env = {"BUILDKIT_EXTRA_CONFIG": docker_hub.buildkitd_toml()}
    result = run("build", ".", "--progress", "plain", env=env, cwd=work, user=user).succeeded()

    assert "A stand-in for Alpine Linux" in result.stdout
    assert (work / "image" / "image.tar").stat().st_size > 100_000


def test_a_dockerfile_may_name_its_frontend(
    docker_hub: DockerHub, dockerfile_frontend: str, run: ProgramRunner, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(f"{dockerfile_frontend}FROM busybox\nRUN echo from the frontend\n")

    env = {"BUILDKIT_EXTRA_CONFIG": docker_hub.buildkitd_toml()}
    result = run("build", ".", "--progress", "plain", env=env, cwd=tmp_path).succeeded()

    assert "from the frontend" in result.stdout
    assert any("/v2/docker/dockerfile/manifests/" in one.path for one in docker_hub.requests)


def test_a_password_registry_works_with_the_build(
    tls_registry: RegistryServer, run: ProgramRunner, sandbox: Path
) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    base = tls_registry.push_image("team/base:1", files=busybox_files())
    work = sandbox / "work"
    work.mkdir()
    (work / "Dockerfile").write_text(f"FROM {base.reference}\nRUN echo built\n")
    env = {
        "BUILDKIT_EXTRA_CONFIG": tls_registry.buildkitd_toml(),
        "PASS": f"alice:{tls_registry.auth.users['alice']}",
        "REG_URL": tls_registry.url,
    }

    run("build", ".", "--login", "basic", env=env, cwd=work).succeeded()

    assert {one.username for one in tls_registry.requests if one.status == 200} == {"alice"}


def test_a_registry_with_a_clouds_name_and_a_long_password_works_with_the_build(
    tls_authority: Authority, fresh_secret: Callable[[], str], run: ProgramRunner, sandbox: Path
) -> None:
    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    password = fresh_secret() * 60
    passwords = IssuedPasswords()
    passwords.issue(Identity(username="AWS", password=password, push=()))
    with (
        GatedRegistry(passwords, tls=tls_authority, host=host, bind="127.0.0.1") as registry,
        NameProxy({host: f"127.0.0.1:{registry.port}"}) as proxy,
    ):
        registry.push_image("team/base:1", files=busybox_files())
        work = sandbox / "work"
        work.mkdir()
        (work / "Dockerfile").write_text(f"FROM {host}/team/base:1\nRUN echo built\n")
        env = {
            "BUILDKIT_EXTRA_CONFIG": registry.buildkitd_toml(host),
            "HTTPS_PROXY": proxy.url,
            "PASS": f"AWS:{password}",
            "REG_URL": f"https://{host}",
        }

        run("build", ".", "--login", "basic", env=env, cwd=work).succeeded()

    assert {one.username for one in registry.requests if one.status == 200} == {"AWS"}
    assert all(one.host == host for one in registry.requests)

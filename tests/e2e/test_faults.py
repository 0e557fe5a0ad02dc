"""The faults of the Concourse task (and its fork for ECR) that are mended here, one test each.

What an unpacked layer may write, the tenth of them, has files of its own: tests/unpack/.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_buildkit import binary
from ocibuild_core.emulation import can_run
from ocibuild_testkit.registry import PasswordAuth, RegistryServer, own_platform
from support.foreign import compile_for
from support.images import read_image
from support.programs import PROGRAMS, ProgramRunner

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

PLAIN = "FROM scratch\nCOPY Dockerfile /\n"


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory as a pipeline has it."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text(PLAIN)
    return directory


def with_busybox(work: Path, *lines: str) -> None:
    """A Dockerfile on an image of nothing but busybox."""
    (work / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (work / "busybox").chmod(0o755)
    head = 'FROM scratch\nCOPY busybox /bin/\nSHELL ["/bin/busybox", "sh", "-c"]\n'
    (work / "Dockerfile").write_text(head + "\n".join(lines) + "\n")


@pytest.mark.parametrize("login", ["PASS", "ECR"])
def test_1_a_login_that_fails_ends_the_run_before_the_solve(login: str, work: Path, run: ProgramRunner) -> None:
    env = {"LOGIN": login, "REGISTRIES": "123456789012", "AWS_EC2_METADATA_DISABLED": "true"}
    result = run("build", cwd=work, env=env).ended_with(3)
    assert result.stdout == ""
    assert list((work / "image").iterdir()) == []


@pytest.mark.parametrize("variable", ["DOCKER_CONFIG", ""])
def test_2_the_users_docker_config_is_read_and_never_written(
    variable: str, work: Path, run: ProgramRunner, tls_registry: RegistryServer
) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    directory = run.home / ("elsewhere" if variable else ".docker")
    directory.mkdir()
    config = directory / "config.json"
    config.write_text('{"auths": {"other.example": {}}, "HttpHeaders": {"a": "b"}}')
    config.chmod(0o640)
    before = (config.read_bytes(), config.stat().st_mode, config.stat().st_mtime_ns)
    env = {
        "LOGIN": "PASS",
        "PASS": f"alice:{tls_registry.auth.users['alice']}",
        "REG_URL": tls_registry.url,
        **({variable: str(directory)} if variable else {}),
    }
    run("build", cwd=work, env=env).succeeded()
    assert (config.read_bytes(), config.stat().st_mode, config.stat().st_mtime_ns) == before
    assert [path.name for path in directory.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("env", "region"),
    [
        ({}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-west-1"}, "us-west-1"),
        ({"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-west-1"}, "us-east-2"),
        ({"REGION": "eu-north-1", "AWS_REGION": "us-east-2"}, "eu-north-1"),
    ],
)
def test_3_the_regions_of_the_environment_count(
    env: dict[str, str], region: str, work: Path, run: ProgramRunner
) -> None:
    ecr = {"LOGIN": "ECR", "REGISTRIES": "123456789012", "AWS_EC2_METADATA_DISABLED": "true"}
    result = run("build", cwd=work, env={**ecr, **env}).ended_with(3)
    assert f"123456789012.dkr.ecr.{region}.amazonaws.com" in result.stderr


def test_4_unknown_logins_are_named_and_two_can_be_asked_for_at_once(work: Path, run: ProgramRunner) -> None:
    result = run("build", cwd=work, env={"LOGIN": "ECRR"}).ended_with(4)
    assert "ecr" in result.stderr.lower().replace("ecrr", "")
    both = {"LOGIN": "ECR,PASS", "REGISTRIES": "123456789012", "AWS_EC2_METADATA_DISABLED": "true"}
    result = run("build", cwd=work, env=both).ended_with(3)
    assert "plugin 'ecr'" in result.stderr
    assert "plugin 'basic'" in result.stderr


def test_5_a_daemon_that_dies_at_its_start_ends_the_run_with_its_log(
    work: Path, run: ProgramRunner, sandbox: Path
) -> None:
    programs = sandbox / "bin"
    programs.mkdir()
    for name in ("buildctl", "runc", "rootlesskit"):
        (programs / name).symlink_to(binary(name))
    (programs / "buildkitd").write_text('#!/bin/sh\necho "the reason why" >&2\nexit 9\n')
    (programs / "buildkitd").chmod(0o755)
    result = run("build", cwd=work, env={"PATH": f"{programs}:{run.env()['PATH']}"}, seconds=30).ended_with(5)
    assert "the reason why" in result.stderr


def test_6_additional_targets_get_platform_ssh_and_hosts(work: Path, run: ProgramRunner) -> None:
    key = work.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with_busybox(
        work,
        "RUN --mount=type=ssh /bin/busybox grep -q one.test /etc/hosts && "
        '/bin/busybox test -S "$SSH_AUTH_SOCK" && echo yes > /seen',
        "FROM scratch",
    )
    text = (work / "Dockerfile").read_text().replace("FROM scratch\n", "FROM scratch AS first\n", 1)
    (work / "Dockerfile").write_text(text)
    (work / "first").mkdir()
    env = {
        "ADDITIONAL_TARGETS": "first",
        "BUILDKIT_ADD_HOSTS": "one.test=10.0.0.1",
        "BUILDKIT_SSH": f"default={key}",
        "IMAGE_PLATFORM": f"{own_platform()}",
    }
    run("build", cwd=work, env=env).succeeded()
    assert read_image(work / "first" / "image.tar").files["seen"] == b"yes\n"
    foreign = "linux/arm64" if own_platform() == "linux/amd64" else "linux/amd64"
    (work / "Dockerfile").write_text("FROM scratch AS first\nCOPY Dockerfile /\nFROM first\n")
    run("build", cwd=work, env={**env, "IMAGE_PLATFORM": foreign}).succeeded()
    for directory in ("first", "image"):
        assert f"linux/{read_image(work / directory / 'image.tar').config['architecture']}" == foreign
    assert "an empty stage" in run("build", cwd=work, env={"ADDITIONAL_TARGETS": "a,"}).ended_with(2).stderr


def test_7_a_comma_in_a_path_is_only_a_comma(sandbox: Path, run: ProgramRunner) -> None:
    work = sandbox / 'a,b "c", d'
    for name in ("image", "cache", "con,text"):
        (work / name).mkdir(parents=True)
    (work / "con,text" / "Docker,file").write_text("FROM scratch AS st\nCOPY Docker,file /\nLABEL a=$A\n")
    env = {
        "CONTEXT": "con,text",
        "DOCKERFILE": "con,text/Docker,file",
        "BUILD_ARG_A": "1,2",
        "LABEL_l": "x,y=z",
        "OUTPUT_OCI": "true",
    }
    run("build", cwd=work, env=env).succeeded()
    image = read_image(work / "image" / "image.tar")
    assert list(image.files) == ["Docker,file"]
    assert image.config["config"]["Labels"]["l"] == "x,y=z"
    assert (work / "cache" / "index.json").is_file()
    run("build", cwd=work, env=env).succeeded()


def test_8_mirrors_and_extra_configuration_are_merged_or_refused(work: Path, run: ProgramRunner) -> None:
    same_table = '[registry."docker.io"]\nhttp = true\n'
    env = {"REGISTRY_MIRRORS": "mirror.example", "BUILDKIT_EXTRA_CONFIG": same_table}
    run("build", cwd=work, env=env).succeeded()
    env["BUILDKIT_EXTRA_CONFIG"] = '[registry."docker.io"]\nmirrors = ["other.example"]\n'
    result = run("build", cwd=work, env=env).ended_with(2)
    assert "both set 'mirrors' in the table [registry.\"docker.io\"]" in result.stderr


def test_9_a_secret_text_is_no_file_wherever_its_name_points(
    work: Path, run: ProgramRunner, fresh_secret: Callable[[], str]
) -> None:
    # The runner looks into every file of the sandbox for it.
    run("build", cwd=work, env={"BUILDKIT_SECRETTEXT_../x": fresh_secret()}).succeeded()
    assert not list(work.parent.rglob("x"))


def test_11_oci_output_is_unpacked_too(work: Path, run: ProgramRunner) -> None:
    run("build", cwd=work, env={"OUTPUT_OCI": "true", "UNPACK_ROOTFS": "true"}).succeeded()
    assert (work / "image" / "rootfs" / "Dockerfile").read_text() == PLAIN
    both = {"OUTPUT_OCI": "true", "UNPACK_ROOTFS": "true", "IMAGE_PLATFORM": "linux/amd64,linux/arm64"}
    assert "which platform" in run("build", cwd=work, env=both).ended_with(2).stderr


def test_12_an_image_from_a_file_needs_no_port(work: Path, run: ProgramRunner) -> None:
    """As root in a network of its own, where a port would be the only one; else what the client is told."""
    layout = work.parent / "base.tar"
    with_busybox(work)
    run("build", "-o", f"docker,dest={layout}", ".", cwd=work).succeeded()
    step = "RUN --network=host /bin/busybox cat /proc/net/tcp /proc/net/tcp6 > /seen"
    shell = 'SHELL ["/bin/busybox", "sh", "-c"]'
    (work / "Dockerfile").write_text(f"ARG base\nFROM ${{base}}\n{shell}\n{step}\n")
    argv = ("--image-arg", f"base={layout}", "--allow", "network.host", ".")
    if os.geteuid() == 0:
        run("unshare", "--net", str(PROGRAMS / "build"), *argv, cwd=work).succeeded()
        sockets = read_image(work / "image" / "image.tar").files["seen"].decode().splitlines()
        assert [line for line in sockets if " 0A " in line] == []  # 0A is LISTEN (include/net/tcp_states.h)
    shown = json.loads(run("build", "--print", "--json", *argv, cwd=work).succeeded().stdout)
    (command,) = shown["commands"]
    assert [word.partition("=")[0] for word in command if word.startswith("image-arg-0")] == ["image-arg-0"]


def test_13_what_came_from_a_secret_is_masked_among_build_args(
    work: Path, run: ProgramRunner, fresh_secret: Callable[[], str]
) -> None:
    with_busybox(work, "ARG TOKEN", "ARG OTHER", 'RUN echo "$TOKEN $OTHER"')
    secret = fresh_secret()
    # What a step prints is in the engine's own history, too, so that goes where nobody looks.
    state = Path(str(work.parent) + "-state")
    env = {
        "PASS": f"alice:{secret}",
        "LOGIN": "PASS",
        "BUILD_ARG_TOKEN": secret,
        "BUILD_ARG_OTHER": "plain",
        "DEBUG": "true",
        "OCIBUILD_STATE_DIR": str(state),
    }
    try:
        (work / "image").rmdir()
        result = run("build", cwd=work, env=env).succeeded()
        assert "*** plain" in result.stdout
        assert "build-arg:TOKEN=***" in run("build", "--print", ".", cwd=work, env=env).succeeded().stdout
    finally:
        subprocess.run(["rm", "-rf", str(state)], check=True)


def test_14_without_an_output_directory_the_ones_that_were_looked_for_are_named(work: Path, run: ProgramRunner) -> None:
    (work / "image").rename(work / "picture")
    (work / "Dockerfile").write_text("FROM scratch AS first\nLABEL a=b\nFROM scratch\nLABEL a=c\n")
    result = run("build", cwd=work, env={"ADDITIONAL_TARGETS": "first"}).succeeded()
    assert "nothing is kept, because no output was chosen and there is no first/, image/" in result.stderr


def test_15_a_failure_is_told_once_with_the_code_of_its_class(work: Path, run: ProgramRunner) -> None:
    with_busybox(work, "RUN exit 7")
    result = run("build", cwd=work).ended_with(1)
    assert result.stderr.count("error:") == 1
    assert "exit code: 7" in result.stderr


_FOREIGN = """
#include <stdio.h>
int main(void) {
  FILE *f = fopen("/seen", "w");
  return f && fputs("ran on arm64\\n", f) >= 0 && fclose(f) == 0 ? 0 : 1;
}
"""


def test_16_steps_of_another_architecture_run_where_an_emulator_is(
    work: Path, run: ProgramRunner, sandbox: Path
) -> None:
    """BuildKit takes an emulator of its own from PATH, or the kernel's binfmt handlers."""
    compile_for("arm64", _FOREIGN, work / "program")
    (work / "Dockerfile").write_text('FROM scratch\nCOPY program /program\nRUN ["/program"]\n')
    env = {"IMAGE_PLATFORM": "linux/arm64"}
    if not can_run("arm64", ""):
        result = run("build", cwd=work, env=env).ended_with(2)
        assert "this machine cannot run the steps of linux/arm64" in result.stderr
        assert result.stdout == ""
    programs = sandbox / "emulators"
    programs.mkdir()
    (programs / "buildkit-qemu-aarch64").symlink_to("/usr/bin/qemu-aarch64-static")
    run("build", cwd=work, env={**env, "PATH": f"{programs}:{run.env()['PATH']}"}).succeeded()
    image = read_image(work / "image" / "image.tar")
    assert image.files["seen"] == b"ran on arm64\n"
    assert image.config["architecture"] == "arm64"

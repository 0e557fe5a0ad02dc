"""The task image as Concourse runs it, and what runs in what it made."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_aws import AwsServer, Cloud
from ocibuild_testkit.registry import GatedRegistry, Identity, busybox_files
from support.cloud_registries import EcrPasswords
from support.container import CGROUPS, DOCKER, Container, bind, tmpfs
from support.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocibuild_testkit.leaks import LeakWatcher
    from ocibuild_testkit.registry import Authority
    from support.container import Mount
    from support.programs import Run

pytestmark = [pytest.mark.e2e, pytest.mark.needs_root]

WORK = "/tmp/build/e55deab7"  # noqa: S108  # where Concourse puts a task's volumes
BUSYBOX = 'FROM scratch\nCOPY busybox /bin/busybox\nSHELL ["/bin/busybox", "sh", "-c"]\n'
DOCKERFILE = f"{BUSYBOX}ENV BA=nana\nRUN echo built > /bin/made && echo really ran\nUSER banana\n"


class Task:
    """A Concourse task: a directory for each input, output and cache, and params."""

    def __init__(self, container: Container, directory: Path) -> None:
        self._container = container
        self.directory = directory
        for name in ("work/source", "work/image", "work/cache", "scratch"):
            (directory / name).mkdir(parents=True)
        shutil.copy("/bin/busybox", directory / "work/source/busybox")
        self.write(DOCKERFILE)

    def write(self, dockerfile: str) -> None:
        (self.directory / "work/source/Dockerfile").write_text(dockerfile)

    @property
    def image(self) -> Path:
        return self.directory / "work/image"

    def volumes(self) -> list[Mount]:
        """Every input, output and cache is a mount of its own (atc/worker in concourse/concourse)."""
        volumes = [bind(path, f"{WORK}/{path.name}") for path in sorted((self.directory / "work").iterdir())]
        return [bind(self.directory / "work", WORK), *volumes, bind(self.directory / "scratch", "/scratch")]

    def run(self, *argv: str, env: Mapping[str, str] | None = None, **more: object) -> Run:
        params = {"CONTEXT": "source", **(env or {})}
        more.setdefault("mounts", self.volumes())
        return self._container.run(*(argv or ("build",)), env=params, cwd=WORK, **more)  # type: ignore[arg-type]


@pytest.fixture
def task(container: Container, sandbox: Path) -> Iterator[Task]:
    yield Task(container, sandbox)
    # BuildKit's own trees are not removed by an ordinary walk where mode bits forbid it; root may.
    shutil.rmtree(sandbox, ignore_errors=True)


def test_a_task_builds_and_the_next_one_runs_in_what_it_made(task: Task, tmp_path: Path) -> None:
    first = task.run(env={"UNPACK_ROOTFS": "true"}).succeeded()
    assert "really ran" in first.stdout
    digest = (task.image / "digest").read_text()
    assert digest == read_image(task.image / "image.tar").config_digest

    metadata = json.loads((task.image / "metadata.json").read_text())
    assert metadata == {
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "BA=nana"],
        "user": "banana",
    }
    env = dict(text.split("=", 1) for text in metadata["env"])
    made = Container(rootfs=task.image / "rootfs", env=env, directory=tmp_path / "next")
    says = made.run("/bin/busybox", "sh", "-c", "echo $BA; cat /bin/made", rights=DOCKER).succeeded()
    assert says.stdout == "nana\nbuilt\n"

    # A second run has the cache of the first, and nothing else of it.
    shutil.rmtree(task.directory / "scratch")
    (task.directory / "scratch").mkdir()
    second = task.run().succeeded()
    assert "CACHED" in second.stdout
    assert (task.image / "digest").read_text() == digest


def test_its_entrypoint_takes_a_request(task: Task) -> None:
    request = {"response_path": f"{WORK}/image/response", "config": {"context": "source", "labels": ["a=1"]}}
    task.run("task", stdin=json.dumps(request)).succeeded()
    assert (task.image / "response").read_text() == '{"outputs":["image","cache"]}\n'
    assert read_image(task.image / "image.tar").config["config"]["Labels"] == {"a": "1"}


@pytest.mark.parametrize("cgroups", CGROUPS)
def test_steps_run_whatever_is_at_the_place_of_control_groups(cgroups: str, task: Task) -> None:
    assert "really ran" in task.run(cgroups=cgroups).succeeded().stdout


def test_without_a_volume_for_scratch_it_builds_on_the_container_s_own_overlay(task: Task) -> None:
    assert "really ran" in task.run(mounts=task.volumes()[:-1]).succeeded().stdout


def test_a_tiny_tmp_is_enough(task: Task, sandbox: Path) -> None:
    task.run().succeeded()
    shutil.move(task.image / "image.tar", sandbox / "work/source/base.tar")
    task.write("ARG BASE\nFROM ${BASE}\nCOPY Dockerfile /bin/\n")
    tiny = tmpfs("/tmp", "size=64k", "mode=1777")  # noqa: S108  # a mount point
    volumes = [tiny, *task.volumes()]
    # An image from an archive is unpacked somewhere, and this one is larger than /tmp.
    task.run(mounts=volumes, env={"IMAGE_ARG_BASE": "source/base.tar"}).succeeded()
    assert "bin/Dockerfile" in read_image(task.image / "image.tar").files


def test_a_read_only_root_file_system_is_enough_where_outputs_are_mounted(task: Task) -> None:
    # runc makes the mount points first.
    tmp = tmpfs("/tmp", "size=1m", "mode=1777")  # noqa: S108  # a mount point
    result = task.run(readonly=True, mounts=[tmp, *task.volumes()], env={"UNPACK_ROOTFS": "true"}).succeeded()
    assert "really ran" in result.stdout
    assert (task.image / "rootfs/bin/made").read_text() == "built\n"


def test_a_context_comes_from_git(task: Task, sandbox: Path) -> None:
    tree = sandbox / "served/repo"
    tree.mkdir(parents=True)
    (tree / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /from-git\n")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.test"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], cwd=tree, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*("git", "daemon", "--export-all", f"--base-path={tree.parent}", "--listen=127.0.0.1"), f"--port={port}"]
    with subprocess.Popen([*command, "--reuseaddr", "--log-destination=none"]) as daemon:
        try:
            _wait_for(port)
            task.run("build", f"git://127.0.0.1:{port}/repo#main", env={"CONTEXT": ""}).succeeded()
        finally:
            daemon.terminate()
    assert list(read_image(task.image / "image.tar").files) == ["from-git"]


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def test_it_logs_in_to_ecr(  # all of AWS
    task: Task,
    tls_authority: Authority,
    fresh_secret: Callable[[], str],
    leak_watcher: LeakWatcher,
    sandbox: Path,
) -> None:
    account, region = "111111111111", "eu-west-1"
    host = f"{account}.dkr.ecr.{region}.amazonaws.com"
    cloud = Cloud(lambda: fresh_secret() * 55)
    policy = {f"arn:aws:iam::{account}:user/ci": Identity(username="AWS", password="-")}
    tls_authority.write(task.directory / "work/source/ca.pem")
    ca = f"{WORK}/source/ca.pem"
    passwords = EcrPasswords(cloud, region, policy)
    with (
        AwsServer(cloud, tls_authority) as aws,
        GatedRegistry(passwords, tls=tls_authority, host=host, bind="127.0.0.1") as registry,
    ):
        aws.routes[host] = registry.port
        registry.push_image("team/base:1", files={**busybox_files(), "etc/motd": "the private base\n"})
        task.write(f"FROM {host}/team/base:1\nRUN cat /etc/motd\n")
        params = {
            "LOGIN": "ECR",
            "REGISTRIES": account,
            "REGION": region,
            **cloud.add_user(account).env(),
            "HTTPS_PROXY": aws.url,
            "SSL_CERT_FILE": ca,
            "AWS_EC2_METADATA_DISABLED": "true",
            "BUILDKIT_EXTRA_CONFIG": f'[registry."{host}"]\nca = ["{ca}"]\n',
        }
        result = task.run(env=params).succeeded()
    assert "the private base" in result.stdout
    leak_watcher.check(result.stdout + result.stderr, "what the task printed")
    leak_watcher.check_files(sandbox)

"""The task image in containers that may do little: what works, and what is said where it does not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.container import DOCKER, DOCKER_USER, UNCOVERED_USER, UNPRIVILEGED, Rights, bind
from support.images import read_image
from support.shared_engine import shared_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.container import Container, Mount
    from support.programs import Run

pytestmark = [pytest.mark.e2e, pytest.mark.needs_root]

CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"
WAYS_OUT = ("privileged: true", "--addr ADDRESS", "run as an ordinary user")


@pytest.fixture
def volumes(sandbox: Path) -> Callable[[int], list[Mount]]:
    """The working directory and /scratch, of a user's own."""

    def make(uid: int) -> list[Mount]:
        sandbox.chmod(0o755)
        for name in ("work", "work/image", "scratch"):
            (sandbox / name).mkdir()
            os.chown(sandbox / name, uid, uid)
        (sandbox / "work/busybox").write_bytes(Path("/bin/busybox").read_bytes())
        (sandbox / "work/busybox").chmod(0o755)
        steps = 'FROM scratch\nCOPY busybox /bin/\nSHELL ["/bin/busybox", "sh", "-c"]\nRUN echo made > /bin/made\n'
        (sandbox / "work/Dockerfile").write_text(steps)
        return [bind(sandbox / "work", "/work"), bind(sandbox / "scratch", "/scratch")]

    return make


@pytest.mark.parametrize("rights", [UNPRIVILEGED, DOCKER], ids=["concourse", "docker"])
def test_one_message_names_what_is_missing_and_three_ways_out(
    rights: Rights, container: Container, volumes: Callable[[int], list[Mount]], sandbox: Path
) -> None:
    result = container.run("build", cwd="/work", mounts=volumes(0), rights=rights).ended_with(5)
    assert result.stderr.count("error:") == 1
    assert "no CAP_SYS_ADMIN" in result.stderr
    assert [way for way in WAYS_OUT if way not in result.stderr] == []
    assert result.stdout == ""
    assert list((sandbox / "work/image").iterdir()) == []


def test_a_buildkit_elsewhere_is_a_way_out(
    container: Container, volumes: Callable[[int], list[Mount]], sandbox: Path
) -> None:
    (sandbox / "engine").mkdir(mode=0o700)
    with shared_engine(sandbox / "engine", "") as address:
        socket = Path(address.removeprefix("unix://"))
        mounts = [*volumes(0), bind(socket.parent, "/buildkit")]
        there = {"BUILDKIT_HOST": f"unix:///buildkit/{socket.name}"}
        container.run("build", cwd="/work", mounts=mounts, rights=DOCKER, env=there).succeeded()
    assert read_image(sandbox / "work/image/image.tar").files["bin/made"] == b"made\n"


def test_an_ordinary_user_with_namespaces_is_a_way_out(
    container: Container, volumes: Callable[[int], list[Mount]], sandbox: Path
) -> None:
    container.run("build", cwd="/work", mounts=volumes(1000), rights=UNCOVERED_USER).succeeded()
    assert read_image(sandbox / "work/image/image.tar").files["bin/made"] == b"made\n"


def test_an_ordinary_user_is_told_of_a_tmp_that_is_read_only(
    container: Container, volumes: Callable[[int], list[Mount]]
) -> None:
    result = container.run("build", cwd="/work", mounts=volumes(1000), rights=UNCOVERED_USER, readonly=True)
    assert "rootlesskit needs a /tmp that is writable" in result.ended_with(5).stderr


def test_the_pod_of_the_cluster_s_recipe_gets_as_far_as_the_daemon(container: Container, sandbox: Path) -> None:
    """Its volume is as the kubelet makes an emptyDir with fsGroup: `drwxrwsrwx root 1000`."""
    import yaml

    spec = yaml.safe_load((CLUSTER / "client.yaml").read_text())["spec"]
    work = sandbox / "emptydir"
    work.mkdir()
    os.chown(work, 0, 1000)
    work.chmod(0o2777)
    subprocess.run([CLUSTER / "certificates.sh", sandbox / "made"], check=True, capture_output=True)
    subprocess.run(["chmod", "-R", "a+rX", sandbox], check=True)

    def run(part: dict[str, Any], **more: str) -> Run:
        sources = {"work": work, "certificates": sandbox / "made/client"}
        mounts = [bind(sources[one["name"]] / one.get("subPath", ""), one["mountPath"]) for one in part["volumeMounts"]]
        env = {one["name"]: one.get("value", "from-a-secret") for one in part.get("env", ())}
        rights = Rights(capabilities=(), covers_proc=True, user=1000)
        cwd = part.get("workingDir", "/")
        return container.run(*part["command"], env=env | more, mounts=mounts, cwd=cwd, rights=rights, readonly=True)

    for part in spec["initContainers"]:
        run(part).succeeded()
    (work / "source").mkdir()
    (work / "source/Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    [part] = spec["containers"]
    assert "cannot be reached" in run(part, BUILDKIT_HOST="tcp://127.0.0.1:1").ended_with(5).stderr


def test_an_ordinary_user_is_told_of_a_covered_proc(
    container: Container, volumes: Callable[[int], list[Mount]]
) -> None:
    result = container.run("build", cwd="/work", mounts=volumes(1000), rights=DOCKER_USER).ended_with(5)
    assert result.stderr.count("error:") == 1
    assert "parts of /proc are covered" in result.stderr
    assert "systempaths=unconfined" in result.stderr
    assert "--addr ADDRESS" in result.stderr

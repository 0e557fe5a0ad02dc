"""How the task image comes about, and what can be made from it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.emulation import cpu_of
from support.apart import WITH_ARM64
from support.foreign import EMULATOR, FOREIGN
from support.fresh_env import ROOT, Wheelhouse
from support.task_image import make_image, unpack_image
from taskimage.__main__ import fill_context, revision
from taskimage.base import debian_base
from taskimage.target import DEBIAN, choose_image_target

if TYPE_CHECKING:
    from support.hub import DockerHub
    from support.programs import ProgramRunner
    from support.task_image import TaskImage

pytestmark = pytest.mark.e2e

EXAMPLE = ROOT / "examples" / "plugins" / "acr"


def config_of(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        member = tar.extractfile("manifest.json")
        assert member
        return str(json.load(member)[0]["Config"])


@pytest.fixture(scope="module")
def example_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Wheelhouse(tmp_path_factory.mktemp("wheels")).build(EXAMPLE)


def test_the_revision_is_the_commit_and_says_where_files_are_others(tmp_path: Path) -> None:
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example")
    assert revision(tmp_path) == ""
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").touch()
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    subprocess.run([*git, "tag", "-a", "-m", "one", "v1"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert revision(tmp_path) == head
    (tmp_path / "file").write_text("other")
    assert revision(tmp_path) == f"{head}-dirty"


@pytest.mark.long
def test_made_again_with_nothing_cached_it_is_the_same(task_image: TaskImage, sandbox: Path) -> None:
    again = sandbox / "again.tar"
    make_image(again, env={"OCIBUILD_STATE_DIR": str(sandbox / "state")})
    assert config_of(again) == config_of(task_image.archive)
    assert again.read_bytes() == task_image.archive.read_bytes()


def test_an_image_from_it_gets_one_more_plugin_with_pip(
    task_image: TaskImage, example_wheel: Path, run: ProgramRunner, sandbox: Path
) -> None:
    (sandbox / example_wheel.name).write_bytes(example_wheel.read_bytes())
    dockerfile = (
        f"ARG TASK\nFROM ${{TASK}}\nCOPY {example_wheel.name} /\nRUN pip install --no-index /{example_wheel.name}\n"
    )
    (sandbox / "Dockerfile").write_text(f"{dockerfile}RUN ocibuild plugins show acr && build --version\n")
    result = run("build", ".", "--image-arg", f"TASK={task_image.archive}", "--progress", "plain", cwd=sandbox)
    assert "(ocibuild-acr 1.0.0)" in result.succeeded().stdout


@pytest.mark.long
def test_the_wheels_fit_the_base_and_ours_are_named_shortly(example_wheel: Path, sandbox: Path) -> None:
    target = choose_image_target(machine="amd64", base="python:3.13-slim-bookworm", python="")
    context = sandbox / "context"
    plugins = fill_context(context, target, f"gcr,{example_wheel}")
    assert plugins == f"gcr,{example_wheel.name}"
    wheels = {path.name.split("-")[0] for path in (context / "wheels").glob("*.whl")}
    assert {"ocibuild_core", "ocibuild_buildkit", "ocibuild_gcr", "ocibuild_acr", "google_auth", "pip"} <= wheels
    assert not {"ocibuild_ecr", "boto3", "keyring", "cyclonedx_python_lib"} & wheels
    assert any("cp313" in path.name for path in (context / "wheels").glob("pyyaml-*.whl"))
    labels = json.loads((context / "labels.json").read_text())
    assert labels["io.github.ocibuild.plugin.acr"] == "ocibuild-acr 1.0.0, hook API 1"
    assert "ARG BASE=python:3.13-slim-bookworm\n" in (context / "Dockerfile").read_text()


PYTHON_IMAGE = "library/python:3.11-slim-bookworm"
# What Python's own image is to us: Debian with a Python in /usr/local, without git, ssh, newuidmap and the emulator.
LIKE_PYTHON = """ARG BASE
FROM ${BASE}
RUN dpkg --purge git openssh-client uidmap ca-certificates ocibuild-no-perl qemu-user-static
RUN rm /etc/dpkg/dpkg.cfg.d/*
RUN ln -s /usr/bin/python3 /usr/local/bin/python3
"""


@pytest.mark.long
def test_it_is_made_on_python_s_image_with_another_s_plugin(
    docker_hub: DockerHub, example_wheel: Path, run: ProgramRunner, sandbox: Path
) -> None:
    base = debian_base(
        choose_image_target(machine=platform.machine(), base=DEBIAN, python=""), env=os.environ, now=time.time()
    )
    (sandbox / "Dockerfile").write_text(LIKE_PYTHON)
    output = f"registry,name={docker_hub.address}/{PYTHON_IMAGE},insecure=true"
    run("build", ".", "--image-arg", f"BASE={base}", "--output", output, cwd=sandbox, seconds=600).succeeded()

    archive = sandbox / "image.tar"
    env = {"BUILDKIT_EXTRA_CONFIG": docker_hub.buildkitd_toml(), "OCIBUILD_STATE_DIR": str(sandbox / "state")}
    make_image(archive, "--base=python:3.11-slim-bookworm", f"--plugins=gcr,{example_wheel}", env=env)

    with tarfile.open(archive) as tar:
        config = tar.extractfile(config_of(archive))
        assert config
        labels = json.load(config)["config"]["Labels"]
    plugins = [key.rpartition(".")[2] for key in sorted(labels) if ".plugin." in key]
    assert plugins == ["acr", "core", "gcr"]
    root = unpack_image(archive, sandbox / "rootfs").rootfs
    assert [path.name for path in (root / "usr/bin").glob("qemu-*")] == [f"qemu-{cpu_of(FOREIGN)}-static"]
    assert [path.name for path in (root / "opt/ocibuild/libexec/ocibuild").iterdir()] == [EMULATOR]
    assert list((root / "etc/dpkg/dpkg.cfg.d").iterdir()) == []


@pytest.mark.long
@pytest.mark.needs_root
def test_it_is_made_for_arm64_where_the_kernel_runs_its_programs(sandbox: Path) -> None:
    """Handlers of binfmt_misc are registered in a user namespace of their own, so that nobody else sees them."""
    archive = sandbox / "arm64.tar"
    make_image(archive, "--machine=arm64", command=WITH_ARM64, env={"OCIBUILD_STATE_DIR": str(sandbox / "state")})
    with tarfile.open(archive) as tar:
        config = tar.extractfile(config_of(archive))
        assert config
        assert json.load(config)["architecture"] == "arm64"

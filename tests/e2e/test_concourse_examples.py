"""The task files of `examples/concourse`, each run as a Concourse worker runs it, and what they make looked at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.concourse import EXAMPLES, ConcourseTask
from support.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.hub import DockerHub
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e

NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/task.yml"))


@pytest.fixture
def machine(docker_hub: DockerHub) -> dict[str, str]:
    """What the worker adds: a docker.io of the tests' own."""
    return {"BUILDKIT_EXTRA_CONFIG": docker_hub.buildkitd_toml()}


@pytest.mark.parametrize("name", NAMES)
def test_a_task_file_is_what_concourse_takes(name: str) -> None:
    """The keys are those of https://concourse-ci.org/docs/tasks/ (TaskConfig)."""
    import yaml

    text = (EXAMPLES / name / "task.yml").read_text()
    config = yaml.safe_load(text)
    assert config.keys() <= {"platform", "image_resource", "inputs", "outputs", "caches", "params", "run"}
    assert config["platform"] == "linux"
    assert config["run"] == {"path": "build"}
    assert {"image"} <= {entry["name"] for entry in config["outputs"]} or "OUTPUTS" in config["params"]
    assert all(isinstance(value, str) for value in config["params"].values())
    assert text.startswith("# ")


def as_task(run: ProgramRunner, task: ConcourseTask, machine: dict[str, str], config: dict[str, Any]) -> None:
    """The same by `task`: its JSON in place of the environment."""
    for path in (task.directory("image"), task.work / "test"):
        if path.exists():
            shutil.rmtree(path)
            path.mkdir()
    config = {"buildkit_extra_config": machine["BUILDKIT_EXTRA_CONFIG"], **config}
    request = {"response_path": "response", "config": config}
    run("ocibuild", "task", cwd=task.work, stdin=json.dumps(request)).succeeded()
    assert json.loads((task.work / "response").read_text()) == {"outputs": ["image", "cache"]}


def test_several_targets_with_labels(run: ProgramRunner, sandbox: Path, machine: dict[str, str]) -> None:
    task = ConcourseTask("several-targets", sandbox / "work", {"revision": "0123abc"})

    def check() -> None:
        labels = {
            "org.opencontainers.image.title": "greeter",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.vendor": "Example, Inc.",
        }
        images = {name: read_image(task.work / name / "image.tar") for name in ("image", "test")}
        for name, image in images.items():
            assert image.config["config"]["Labels"] == labels
            assert image.files["etc/revision"] == b"revision 0123abc\n"
            assert (task.work / name / "digest").read_text() == image.config_digest
        assert images["image"].config["config"]["Entrypoint"] == ["/usr/bin/greet"]
        assert "grep" in images["test"].config["config"]["Entrypoint"][-1]

    task.run(run, machine).succeeded()
    check()
    as_task(
        run,
        task,
        machine,
        {
            "context": "source",
            "target": "app",
            "additional_targets": ["test"],
            "labels_file": "source/labels",
            "labels": ["org.opencontainers.image.vendor=Example, Inc."],
            "build_args": ["revision=0123abc"],
        },
    )
    check()


def test_a_base_image_by_arg(run: ProgramRunner, sandbox: Path, machine: dict[str, str]) -> None:
    task = ConcourseTask("base-image-by-arg", sandbox / "work")
    fetched = sandbox / "fetched"
    fetched.mkdir()
    (fetched / "Dockerfile").write_text("FROM scratch\nCOPY base /etc/base\n")
    (fetched / "base").write_text("of the input\n")
    archive = task.directory("base") / "image.tar"
    run("build", "-o", f"oci,dest={archive}", ".", cwd=fetched).succeeded()

    def check() -> None:
        files = read_image(task.directory("image") / "image.tar").files
        assert files == {"etc/base": b"of the input\n", "etc/service.conf": b"listen = 8080\n"}

    task.run(run, machine).succeeded()
    check()
    as_task(run, task, machine, {"context": "source", "image_args": ["base_image=base/image.tar"]})
    check()


def test_several_platforms_with_a_cache(run: ProgramRunner, sandbox: Path, machine: dict[str, str]) -> None:
    task = ConcourseTask("multi-platform", sandbox / "work")

    def architectures() -> list[str]:
        layout = task.directory("image") / "image"
        (outer,) = json.loads((layout / "index.json").read_bytes())["manifests"]
        inner = json.loads((layout / "blobs" / outer["digest"].replace(":", "/")).read_bytes())
        return [one["platform"]["architecture"] for one in inner["manifests"]]

    first = task.run(run, {**machine, "OCIBUILD_STATE_DIR": str(sandbox / "one")}).succeeded()
    assert "compiling for arm64" in first.stdout
    assert architectures() == ["amd64", "arm64"]

    again = task.run(run, {**machine, "OCIBUILD_STATE_DIR": str(sandbox / "two")}).succeeded()
    assert "CACHED" in again.stdout
    assert "compiling for arm64\n" not in again.stdout

    (task.directory("source") / "program.src").write_text("another program\n")
    changed = task.run(run, {**machine, "OCIBUILD_STATE_DIR": str(sandbox / "three")}).succeeded()
    assert "using what was compiled for arm64" in changed.stdout
    assert architectures() == ["amd64", "arm64"]


def test_secrets_and_ssh(
    run: ProgramRunner, sandbox: Path, machine: dict[str, str], fresh_secret: Callable[[], str]
) -> None:
    task = ConcourseTask("secrets-and-ssh", sandbox / "work", {"package_token": fresh_secret()})
    keys = task.directory("keys")
    (keys / "npmrc").write_text(f"registry=https://packages.example\n_authToken={fresh_secret()}\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / "id_ed25519")], check=True)

    # The runner searches the log, the outputs and the engine's state for both.
    task.run(run, machine, may_hold_secrets=(keys,)).succeeded()

    files = read_image(task.directory("image") / "image.tar").files
    assert (files["app/packages"], files["app/repository"]) == (b"packages installed\n", b"repository cloned\n")
    assert not any(b"_authToken" in content for content in files.values())
    without = {name: value for name, value in task.params.items() if name != "BUILDKIT_SECRETTEXT_token"}
    result = run("build", "--no-cache", cwd=task.work, env={**without, **machine}, may_hold_secrets=[keys])
    assert "/run/secrets/token" in result.ended_with(1).stdout + result.stderr


def test_unpacked_for_a_following_task(run: ProgramRunner, sandbox: Path, machine: dict[str, str]) -> None:
    task = ConcourseTask("unpack-for-a-task", sandbox / "work")
    image = task.directory("image")

    def check() -> None:
        metadata = json.loads((image / "metadata.json").read_bytes())
        assert metadata["user"] == "app"
        assert "GREETING=hello" in metadata["env"]
        said = task.run_in_rootfs(run, image / "rootfs", image / "metadata.json", "/usr/bin/self-test").succeeded()
        assert said.stdout == f"hello from {1000 if os.geteuid() == 0 else 0}\n"

    task.run(run, machine).succeeded()
    check()
    as_task(run, task, machine, {"unpack_rootfs": True})
    check()

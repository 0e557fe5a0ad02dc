"""What users of the Concourse task rely on, driven from outside through `build` and `ocibuild task` alike.

The behaviours are those that the test suites of https://github.com/concourse/oci-build-task assert.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_testkit.registry import own_platform
from support.images import read_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.hub import DockerHub
    from support.images import Image
    from support.programs import ProgramRunner, Run

pytestmark = pytest.mark.e2e

Param = str | bool | list[str] | dict[str, str]

# How each key of the request is called in the environment.
PARAMS = {"add_hosts": "BUILDKIT_ADD_HOSTS", "secret_text": "BUILDKIT_SECRETTEXT_secret"}


class Pipeline:
    """A working directory as Concourse gives it, and one of the two programs that build in it."""

    def __init__(self, run: ProgramRunner, directory: Path, hub: DockerHub, program: str) -> None:
        self._run = run
        self._hub = hub
        self._program = program
        self.directory = directory
        (directory / "image").mkdir(parents=True)

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    def build(self, **params: Param) -> Run:
        """Build with these params, which have the names of the request."""
        toml = self._hub.buildkitd_toml()
        if self._program == "task":
            config = {"buildkit_extra_config": toml, **params}
            request = {"response_path": str(self.directory / "response"), "config": config}
            return self._run("ocibuild", "task", cwd=self.directory, stdin=json.dumps(request))
        env = {"BUILDKIT_EXTRA_CONFIG": toml}
        for name, value in params.items():
            env |= _variables(name, value)
        return self._run("build", cwd=self.directory, env=env)

    def image(self, directory: str = "image") -> Image:
        image = read_image(self.directory / directory / "image.tar")
        assert (self.directory / directory / "digest").read_text() == image.config_digest
        return image

    @property
    def yes(self) -> Param:
        """True, as the program takes it."""
        return True if self._program == "task" else "true"

    def unpacked(self, directory: str = "image") -> dict[str, bytes]:
        """The files of the root file system, by path."""
        root = self.directory / directory / "rootfs"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def metadata(self, directory: str = "image") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / directory / "metadata.json").read_text())
        return found

    def labels(self, directory: str = "image") -> dict[str, str] | None:
        found: dict[str, str] | None = self.image(directory).config["config"].get("Labels")
        return found


def _variables(name: str, value: Param) -> Mapping[str, str]:
    if isinstance(value, dict):
        return {f"BUILDKIT_SECRET_{key}": path for key, path in value.items()}
    text = ",".join(value) if isinstance(value, list) else str(value)
    return {PARAMS.get(name, name.upper()): text}


@pytest.fixture(params=["build", "task"])
def pipeline(request: pytest.FixtureRequest, run: ProgramRunner, sandbox: Path, docker_hub: DockerHub) -> Pipeline:
    return Pipeline(run, sandbox / "work", docker_hub, request.param)


def test_a_basic_build(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    pipeline.build().succeeded()
    assert list(pipeline.image().files) == ["Dockerfile"]


def test_without_an_output_directory_nothing_is_written(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    (pipeline.directory / "image").rmdir()
    pipeline.build().succeeded()
    assert {path.name for path in pipeline.directory.iterdir()} <= {"Dockerfile", "response"}


def test_the_path_of_the_dockerfile(pipeline: Pipeline) -> None:
    pipeline.write("a/b/Hello.Dockerfile", "FROM scratch\nCOPY f /\n")
    pipeline.write("a/f", "x")
    pipeline.build(context="a", dockerfile="a/b/Hello.Dockerfile").succeeded()
    assert pipeline.image().files == {"f": b"x"}


TARGETS = "FROM scratch AS working-target\nLABEL of=working\nFROM scratch AS final\nLABEL of=final\n"


def test_a_target(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", TARGETS)
    pipeline.build(target="working-target").succeeded()
    assert pipeline.labels() == {"of": "working"}


def test_a_target_from_a_file(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", TARGETS)
    pipeline.build(target_file=pipeline.write("t", "working-target\n")).succeeded()
    assert pipeline.labels() == {"of": "working"}


ARGS = "FROM scratch\nARG some_arg\nARG some_other_arg\nLABEL a=$some_arg b=$some_other_arg\n"


@pytest.mark.parametrize(
    ("args", "file", "labels"),
    [
        (["some_arg=x", "some_other_arg=y z"], None, {"a": "x", "b": "y z"}),
        (None, ("args", "some_arg=x\nsome_other_arg=y=z\n"), {"a": "x", "b": "y=z"}),
        (["some_arg=list"], ("args", "some_other_arg=file\n"), {"a": "list", "b": "file"}),
        (["some_arg=list"], ("args", "some_arg=file\n"), {"a": "file", "b": ""}),
        (None, ("args.yml", "some_arg: 1.10\nsome_other_arg: yes\n"), {"a": "1.10", "b": "yes"}),
        (None, ("args.yaml", "some_arg: |\n  two\n  lines\n"), {"a": "two\nlines\n", "b": ""}),
    ],
)
def test_build_args(
    args: list[str] | None, file: tuple[str, str] | None, labels: dict[str, str], pipeline: Pipeline
) -> None:
    pipeline.write("Dockerfile", ARGS)
    params: dict[str, Param] = {"build_args": args} if args else {}
    if file:
        params["build_args_file"] = pipeline.write(*file)
    pipeline.build(**params).succeeded()
    assert pipeline.labels() == labels


@pytest.mark.parametrize(
    ("own", "file", "labels"),
    [
        (["some_label=x"], None, {"some_label": "x"}),
        (None, "some_label=x\nother=y\n", {"some_label": "x", "other": "y"}),
        (["some_label=x"], "other=y\n", {"some_label": "x", "other": "y"}),
    ],
)
@pytest.mark.parametrize("of_dockerfile", [{}, {"of": "dockerfile"}])
def test_labels_are_exactly_these(
    own: list[str] | None, file: str | None, labels: dict[str, str], of_dockerfile: dict[str, str], pipeline: Pipeline
) -> None:
    lines = "".join(f"LABEL {key}={value}\n" for key, value in of_dockerfile.items())
    pipeline.write("Dockerfile", f"FROM scratch\n{lines}")
    params: dict[str, Param] = {"labels": own} if own else {}
    if file:
        params["labels_file"] = pipeline.write("labels", file)
    pipeline.build(**params).succeeded()
    assert pipeline.labels() == {**labels, **of_dockerfile}


UNPACKED = "FROM scratch\nCOPY Dockerfile /etc/file\nENV PATH=/darkness BA=nana\nUSER banana\n"


def test_the_root_file_system_with_environment_and_user(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", UNPACKED)
    pipeline.build(unpack_rootfs=pipeline.yes).succeeded()
    assert pipeline.unpacked() == {"etc/file": UNPACKED.encode()}
    assert (pipeline.directory / "image" / "metadata.json").read_text() == (
        '{"env":["PATH=/darkness","BA=nana"],"user":"banana"}\n'
    )


def test_a_secret_from_a_file(pipeline: Pipeline) -> None:
    step = 'RUN --mount=type=secret,id=secret test "$(cat /run/secrets/secret)" = "hello-world"\n'
    pipeline.write("Dockerfile", f"FROM busybox\n{step}")
    pipeline.build().ended_with(1)
    pipeline.build(buildkit_secrets={"secret": pipeline.write("secret", "hello-world")}).succeeded()


def test_a_secret_from_a_text(run: ProgramRunner, sandbox: Path, docker_hub: DockerHub) -> None:
    """A request has no key for it."""
    pipeline = Pipeline(run, sandbox / "work", docker_hub, "build")
    step = 'RUN --mount=type=secret,id=secret test "$(cat /run/secrets/secret)" = "hello-world"\n'
    pipeline.write("Dockerfile", f"FROM busybox\n{step}")
    pipeline.build().ended_with(1)
    pipeline.build(secret_text="hello-world").succeeded()


def test_an_ssh_key(pipeline: Pipeline) -> None:
    key = pipeline.directory.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    pipeline.write("Dockerfile", 'FROM busybox\nRUN --mount=type=ssh,id=my_key test -S "$SSH_AUTH_SOCK"\n')
    pipeline.build().ended_with(1)
    pipeline.build(buildkit_ssh=f"my_key={key}").succeeded()


def test_mirrors(pipeline: Pipeline, docker_hub: DockerHub) -> None:
    pipeline.write("Dockerfile", "FROM alpine:3.20\n")
    insecure = docker_hub.buildkitd_toml().partition("\n")[2].partition("\n")[2]
    pipeline.build(buildkit_extra_config=insecure, registry_mirrors=[docker_hub.address]).succeeded()
    image = pipeline.image()
    assert b"stand-in for Alpine" in image.files["etc/os-release"]
    _, index = docker_hub.client().manifest("library/alpine", "3.20")
    own = [one for one in json.loads(index)["manifests"] if one["platform"]["architecture"] == own_platform()[6:]]
    _, manifest = docker_hub.client().manifest("library/alpine", own[0]["digest"])
    config = json.loads(docker_hub.client().blob("library/alpine", json.loads(manifest)["config"]["digest"]))
    assert image.layers == config["rootfs"]["diff_ids"]


@pytest.mark.parametrize("form", ["archive", "layout"])
@pytest.mark.parametrize("name", ["base_image", "BASE_IMAGE"])
def test_an_image_arg_becomes_the_base(name: str, form: str, pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /base\n")
    pipeline.build().succeeded()
    base = pipeline.image()
    (pipeline.directory / "image" / "image.tar").rename(pipeline.directory / "base.tar")
    if form == "layout":
        (pipeline.directory / "base").mkdir()
        subprocess.run(["tar", "-xf", "base.tar", "-C", "base"], cwd=pipeline.directory, check=True)
    path = {"archive": "base.tar", "layout": "base"}[form]
    pipeline.write("Dockerfile", f"ARG {name}\nFROM ${{{name}}}\nCOPY Dockerfile /mine\n")
    pipeline.build(image_args=[f"{name}={path}"]).succeeded()
    image = pipeline.image()
    assert image.layers[:-1] == base.layers
    assert sorted(image.files) == ["base", "mine"]


def test_an_image_arg_is_unpacked_with_what_is_built_on_it(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /base\nENV OF=base\n")
    pipeline.build().succeeded()
    (pipeline.directory / "image" / "image.tar").rename(pipeline.directory / "base.tar")
    pipeline.write("Dockerfile", "ARG base_image\nFROM ${base_image}\nCOPY Dockerfile /mine\n")
    pipeline.build(image_args=["base_image=base.tar"], unpack_rootfs=pipeline.yes).succeeded()
    assert sorted(pipeline.unpacked()) == ["base", "mine"]
    assert any(one == "OF=base" for one in pipeline.metadata()["env"])


def test_several_targets_are_unpacked_each(pipeline: Pipeline) -> None:
    pipeline.write(
        "Dockerfile", "FROM scratch AS first\nCOPY Dockerfile /first\nUSER one\nFROM scratch\nCOPY Dockerfile /last\n"
    )
    (pipeline.directory / "first").mkdir()
    pipeline.build(additional_targets=["first"], unpack_rootfs=pipeline.yes).succeeded()
    assert (list(pipeline.unpacked("first")), list(pipeline.unpacked())) == (["first"], ["last"])
    assert (pipeline.metadata("first")["user"], pipeline.metadata()["user"]) == ("one", "")
    assert pipeline.image("first").config_digest != pipeline.image().config_digest


def test_a_target_without_a_directory_is_built_and_not_kept(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", TARGETS)
    pipeline.build(additional_targets=["working-target"], unpack_rootfs=pipeline.yes).succeeded()
    assert pipeline.labels() == {"of": "final"}
    assert not (pipeline.directory / "working-target").exists()


def test_several_targets(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", TARGETS)
    (pipeline.directory / "working-target").mkdir()
    pipeline.build(additional_targets=["working-target"], labels=["all=1"]).succeeded()
    assert pipeline.labels("working-target") == {"of": "working", "all": "1"}
    assert pipeline.labels() == {"of": "final", "all": "1"}


def test_hosts(pipeline: Pipeline) -> None:
    pipeline.write(
        "Dockerfile", "FROM busybox\nRUN grep -q '1.2.3.4.*test-host' /etc/hosts && cat /etc/hosts > /seen\n"
    )
    pipeline.build(add_hosts="test-host=1.2.3.4").succeeded()
    assert b"1.2.3.4" in pipeline.image().files["seen"]


def test_one_platform(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    pipeline.build(image_platform="linux/arm64").succeeded()
    assert pipeline.image().config["architecture"] == "arm64"


def test_two_platforms_make_a_layout_of_exactly_these(pipeline: Pipeline) -> None:
    pipeline.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
    pipeline.build(image_platform="linux/arm64,linux/amd64").succeeded()
    layout = pipeline.directory / "image" / "image"

    def blob(digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes())
        return found

    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifests = blob(entry["digest"])["manifests"]
    assert [manifest["platform"]["architecture"] for manifest in manifests] == ["arm64", "amd64"]
    assert (pipeline.directory / "image" / "digest").read_text() == entry["digest"]

"""Archives that are made from the files of an engine of our own: as BuildKit itself makes them, and never less."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_core.content_store import NotStoredError, write_archive
from ocibuild_core.export_records import BuildOutput
from support.images import read_image
from support.shared_engine import shared_engine

if TYPE_CHECKING:
    from pathlib import Path

    from support.hub import DockerHub
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e

_CREATED = "org.opencontainers.image.created"


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM busybox\nCOPY Dockerfile /d/\nENV A=1\nRUN touch /x\n")
    return directory


def members(archive: Path) -> list[tuple[Any, ...]]:
    """All that is in a tar file, the time of the export aside, which BuildKit notes in the index."""
    found = []
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            content: Any = stream.read() if stream else b""
            if member.name == "index.json":
                content = json.loads(content)
                for manifest in content["manifests"]:
                    manifest.get("annotations", {}).pop(_CREATED, None)
                    if not manifest.get("annotations", True):
                        del manifest["annotations"]
            found.append((member.name, member.type, member.mode, member.mtime, member.uid, content))
    return found


NAMES = ("-t", "app", "-t", "team/app:1", "-t", "r.example:5000/library/app:2")


@pytest.mark.parametrize("names", [(), NAMES[:2], NAMES], ids=["no name", "one name", "three names"])
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OUTPUT_OCI": "true"},
        {"SOURCE_DATE_EPOCH": "1700000000"},
        {"IMAGE_PLATFORM": "linux/amd64,linux/arm64"},
        {"PROVENANCE": "true"},
    ],
)
def test_the_archive_is_the_one_that_buildkit_sends(
    env: dict[str, str], names: tuple[str, ...], work: Path, run: ProgramRunner, docker_hub: DockerHub
) -> None:
    if "IMAGE_PLATFORM" in env:
        (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /d/\n")  # no step runs: no emulation
    (work.parent / "engine").mkdir()
    with shared_engine(work.parent / "engine", docker_hub.buildkitd_toml()) as address:
        sent = run(
            "build", "--addr", address, "--output", output(env, "sent.tar"), *names, ".", env=env, cwd=work
        ).succeeded()
    own = ("--state-dir", str(work.parent / "engine" / "state"), "--output", output(env, "made.tar"))
    toml = {"BUILDKIT_EXTRA_CONFIG": docker_hub.buildkitd_toml()}
    for _ in range(20):
        made = run("build", *own, *names, ".", env={**env, **toml}, cwd=work).succeeded()
        if "another build is using the cache" not in made.stderr:  # its keeper may still be at work
            break
    assert "sending tarball" in sent.stdout
    if "PROVENANCE" not in env:  # it tells of the time of its build
        assert members(work / "made.tar") == members(work / "sent.tar")
    assert "sending tarball" not in made.stdout


def output(env: dict[str, str], name: str) -> str:
    return f"docker,dest={name}" if env.keys() <= {"SOURCE_DATE_EPOCH"} else f"oci,dest={name}"


def test_layers_that_no_step_needed_are_in_the_archive_all_the_same(
    work: Path, run: ProgramRunner, docker_hub: DockerHub
) -> None:
    (work / "Dockerfile").write_text("FROM busybox\nLABEL a=b\n")
    result = run("build", cwd=work, env={"BUILDKIT_EXTRA_CONFIG": docker_hub.buildkitd_toml()}).succeeded()
    assert "sending tarball" in result.stdout
    assert "bin/busybox" in read_image(work / "image" / "image.tar").files


@pytest.mark.parametrize("fault", ["nothing said", "no such blob", "another size"])
def test_what_is_not_whole_in_the_store_is_not_taken(fault: str, tmp_path: Path) -> None:
    (tmp_path / "sha256").mkdir()
    (tmp_path / "sha256" / "abc").write_text('{"config": {"digest": "sha256:def", "size": 3}, "layers": []}')
    (tmp_path / "sha256" / ("else" if fault == "no such blob" else "def")).write_text("{}")
    size = (tmp_path / "sha256" / "abc").stat().st_size
    metadata = {"containerimage.descriptor": {"mediaType": "x", "digest": "sha256:abc", "size": size}}
    with pytest.raises(NotStoredError):
        write_archive(
            tmp_path, {} if fault == "nothing said" else metadata, BuildOutput(type="docker"), tmp_path / "image.tar"
        )
    assert not (tmp_path / "image.tar").exists()

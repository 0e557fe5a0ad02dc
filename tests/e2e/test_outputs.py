"""What comes out of a build, driven from outside: OCI, digests, metadata, tags, loads, pushes, attestations."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_testkit.registry import Content, NoAuth, PasswordAuth, RegistryServer, build_image, busybox_files
from support.programs import PROGRAMS, ProgramRunner
from support.shared_engine import shared_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_testkit.registry_fixtures import RegistryFactory

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with a Dockerfile that needs nobody, and `image/`."""
    directory = sandbox / "work"
    (directory / "image").mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nLABEL a=b\n")
    return directory


def member(archive: Path, name: str) -> Any:  # noqa: ANN401  # JSON
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile(name))  # type: ignore[arg-type]


def blob(layout: Path, digest: str) -> Any:  # noqa: ANN401  # JSON
    content = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
    assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    return json.loads(content)


def files_in(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_output_oci_makes_archive_layout_and_the_manifests_digest(work: Path, run: ProgramRunner) -> None:
    run("build", cwd=work).succeeded()
    assert member(work / "image" / "image.tar", "manifest.json")
    without = (work / "image" / "digest").read_text()
    run("build", env={"OUTPUTOCI": "true"}, cwd=work).succeeded()
    assert sorted(path.name for path in (work / "image").iterdir()) == ["digest", "image", "image.tar"]
    with tarfile.open(work / "image" / "image.tar") as archive:
        in_archive = {one.name: archive.extractfile(one).read() for one in archive if one.isreg()}  # type: ignore[union-attr]
    assert "manifest.json" not in in_archive
    assert files_in(work / "image" / "image") == in_archive
    (listed,) = json.loads(in_archive["index.json"])["manifests"]
    assert (work / "image" / "digest").read_text() == listed["digest"]
    manifest = blob(work / "image" / "image", listed["digest"])
    assert manifest["config"]["digest"] == without
    inspected = subprocess.run(
        ["skopeo", "inspect", f"oci:{work / 'image' / 'image'}"], check=True, capture_output=True, text=True
    )
    assert json.loads(inspected.stdout)["Labels"] == {"a": "b"}


def test_a_layout_is_replaced_whole(work: Path, run: ProgramRunner) -> None:
    env = {"OUTPUT_OCI": "1"}
    run("build", env=env, cwd=work).succeeded()
    before = files_in(work / "image" / "image")
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /other\n")
    run("build", env=env, cwd=work).succeeded()
    after = files_in(work / "image" / "image")
    assert before.keys() & after.keys() == {"index.json", "oci-layout"}


def test_several_platforms_make_an_index_of_exactly_those(work: Path, run: ProgramRunner) -> None:
    platforms = ["linux/arm64", "linux/amd64"]
    run("build", env={"IMAGE_PLATFORM": ",".join(platforms)}, cwd=work).succeeded()
    layout = work / "image" / "image"
    (outer,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert (work / "image" / "digest").read_text() == outer["digest"]
    inner = blob(layout, outer["digest"])["manifests"]
    assert [f"{one['platform']['os']}/{one['platform']['architecture']}" for one in inner] == platforms


def test_the_oci_exporter_writes_where_it_is_told(work: Path, run: ProgramRunner) -> None:
    run(
        "build", "-o", "oci,dest=a.tar", "-o", "type=oci,tar=false,dest=lay", "-o", "digest,dest=d", ".", cwd=work
    ).succeeded()
    (listed,) = member(work / "a.tar", "index.json")["manifests"]
    assert (work / "d").read_text() == listed["digest"]
    assert blob(work / "lay", listed["digest"])
    assert files_in(work / "image") == {}


@pytest.mark.parametrize("output_oci", ["false", "true"])
def test_digests_are_each_artifacts_own(output_oci: str, work: Path, run: ProgramRunner) -> None:
    outputs = ("-o", "docker,dest=a.tar", "-o", "digest,dest=c", "-o", "manifest-digest,dest=m")
    run("build", *outputs, ".", cwd=work, env={"OUTPUT_OCI": output_oci}).succeeded()
    config = member(work / "a.tar", "manifest.json")[0]["Config"]
    assert (work / "c").read_text() == config.removeprefix("blobs/").replace("/", ":")
    assert (work / "m").read_text() == member(work / "a.tar", "index.json")["manifests"][0]["digest"]


def test_short_flags_write_digest_and_metadata(work: Path, run: ProgramRunner) -> None:
    run("build", "--iidfile", "id", "--metadata-file", "m.json", ".", cwd=work).succeeded()
    assert (work / "id").read_text() == (work / "image" / "digest").read_text()
    metadata = json.loads((work / "m.json").read_bytes())
    assert metadata["containerimage.config.digest"] == (work / "id").read_text()


def test_tags_are_in_the_archive(work: Path, run: ProgramRunner) -> None:
    run("build", ".", cwd=work).succeeded()
    assert not member(work / "image" / "image.tar", "manifest.json")[0]["RepoTags"]
    run("build", "-t", "app:1", "--tag", "r.example/app", ".", cwd=work).succeeded()
    tags = member(work / "image" / "image.tar", "manifest.json")[0]["RepoTags"]
    assert tags == ["app:1", "r.example/app:latest"]


def test_load_hands_the_image_to_podman(work: Path, run: ProgramRunner, sandbox: Path) -> None:
    (work / "image").rmdir()
    storage = sandbox / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{sandbox}/g"\nrunroot = "{sandbox}/r"\n')
    env = {"CONTAINERS_STORAGE_CONF": str(storage)}
    tags = ["-t", "r.example/loaded:1", "-t", "short:2"]
    result = run("build", *tags, "-o", "load,program=podman", ".", env=env, cwd=work).succeeded()
    assert "r.example/loaded:1  loaded by" in result.stderr
    assert "localhost/short:2  loaded by" in result.stderr
    assert result.stderr.count("loaded by") == tags.count("-t")
    listed = run("podman", "image", "inspect", "r.example/loaded:1", env=env, cwd=work).succeeded()
    assert json.loads(listed.stdout)[0]["Labels"] == {"a": "b"}
    assert sorted(path.name for path in work.iterdir()) == ["Dockerfile"]


def test_load_without_a_name_says_by_which_id_podman_has_it(work: Path, run: ProgramRunner, sandbox: Path) -> None:
    (work / "image").rmdir()
    storage = sandbox / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{sandbox}/g"\nrunroot = "{sandbox}/r"\n')
    env = {"CONTAINERS_STORAGE_CONF": str(storage)}
    result = run("build", "-o", "load,program=podman", ".", env=env, cwd=work).succeeded()
    identity = next(line for line in result.stderr.splitlines() if "loaded by" in line).split()[0]
    listed = run("podman", "image", "inspect", identity, env=env, cwd=work).succeeded()
    assert json.loads(listed.stdout)[0]["Labels"] == {"a": "b"}


def test_load_takes_docker_first_and_says_what_docker_says(work: Path, run: ProgramRunner, sandbox: Path) -> None:
    (sandbox / "bin").mkdir()
    docker = sandbox / "bin" / "docker"
    docker.write_text(
        '#!/bin/sh\ncat > "$HOME/loaded.tar"; env > "$HOME/env"; test -z "$REFUSE" || { echo no room >&2; exit 1; }\n'
        'echo "$SAID"\n'
    )
    of_the_sources = work / "docker"
    of_the_sources.write_text('#!/bin/sh\ntouch "$HOME/led-astray"\n')
    for program in (docker, of_the_sources):
        program.chmod(0o755)
    path = f".:{sandbox / 'bin'}:{run.env()['PATH']}"  # the sources' own directory is no place for programs
    env = {"PATH": path, "PASS": "", "BUILDKIT_SECRETTEXT_x": "kept back"}
    run("build", "--load", "-t", "app", ".", env=env, cwd=work).succeeded()
    assert not (run.home / "led-astray").exists()
    assert member(run.home / "loaded.tar", "manifest.json")[0]["RepoTags"] == ["app:latest"]
    assert "kept back" not in (run.home / "env").read_text()
    said = {"SAID": "Loaded image ID: sha256:0123"}
    assert "sha256:0123  loaded by" in run("build", "--load", ".", env={**env, **said}, cwd=work).succeeded().stderr
    before = files_in(work / "image")
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /other\n")
    result = run("build", "--load", ".", env={**env, "REFUSE": "1"}, cwd=work).ended_with(6)
    assert "no room" in result.stderr
    assert "daemon" not in result.stderr
    assert files_in(work / "image") == before


@pytest.mark.parametrize(
    ("does", "says"),
    [
        (
            "echo Cannot connect to the Docker daemon at unix:///x. >&2; exit 1",
            "x.\n  do     start that program's daemon, or choose the other one: --output load,program=podman\n",
        ),
        ("kill -KILL $$", "docker load failed\n  why    it was ended by SIGKILL\n"),
        ("exit 3", "docker load failed\n  why    it ended with 3\n"),
    ],
)
def test_why_a_load_failed_and_what_helps(does: str, says: str, work: Path, run: ProgramRunner) -> None:
    docker = work.parent / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\ncat > /dev/null\n{does}\n")
    docker.chmod(0o755)
    result = run("build", "--load", ".", env={"PATH": f"{docker.parent}:{run.env()['PATH']}"}, cwd=work).ended_with(6)
    assert result.stderr.endswith(says)


@pytest.fixture
def two(registry_factory: RegistryFactory) -> tuple[RegistryServer, RegistryServer]:
    """Two registries on loopback, which BuildKit takes for ones without TLS."""
    return registry_factory(auth=NoAuth()), registry_factory(auth=NoAuth())


def test_push_reaches_every_name_in_every_registry(
    work: Path, run: ProgramRunner, two: tuple[RegistryServer, RegistryServer]
) -> None:
    names = [two[0].reference("a:1"), two[0].reference("a:2"), two[1].reference("b/c:3")]
    tags = [argument for name in names for argument in ("-t", name)]
    result = run("build", "--push", *tags, "--metadata-file", "m.json", ".", cwd=work).succeeded()
    digest = json.loads((work / "m.json").read_bytes())["containerimage.digest"]
    for server, repository, tag in ((two[0], "a", "1"), (two[0], "a", "2"), (two[1], "b/c", "3")):
        _, manifest = server.client().manifest(repository, tag)
        assert "sha256:" + hashlib.sha256(manifest).hexdigest() == digest
    assert all(f"{name}@{digest}  pushed" in result.stderr for name in names)
    assert (work / "image" / "image.tar").exists()


def test_a_digest_is_told_of_no_push_where_it_may_be_anothers(
    work: Path, run: ProgramRunner, two: tuple[RegistryServer, RegistryServer]
) -> None:
    names = [server.reference("a:1") for server in two]
    outputs = ["-o", f"registry,name={names[0]}", "-o", f"registry,name={names[1]},oci-mediatypes=false"]
    told = run("build", *outputs, "-o", "metadata,dest=m.json", ".", cwd=work).succeeded().stderr
    assert all(f"{name}  pushed" in told for name in names)
    assert json.loads((work / "m.json").read_bytes())["containerimage.digest"]
    same = ["-o", f"registry,name={names[0]}", "-o", f"registry,name={names[1]}"]
    assert run("build", *same, ".", cwd=work).succeeded().stderr.count("@sha256:") == len(names)


def test_push_by_digest_leaves_no_tag(work: Path, run: ProgramRunner, registry: RegistryServer) -> None:
    output = f"registry,name={registry.reference('by-digest')},push-by-digest=true"
    result = run("build", "-o", output, "-o", "metadata,dest=m.json", ".", cwd=work).succeeded()
    digest = json.loads((work / "m.json").read_bytes())["containerimage.digest"]
    assert registry.client().manifest("by-digest", digest)
    assert f"by-digest@{digest}  pushed" in result.stderr
    listing = subprocess.run(
        ["skopeo", "list-tags", "--tls-verify=false", f"docker://{registry.reference('by-digest')}"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert listing.returncode != 0 or not json.loads(listing.stdout)["Tags"]


def test_a_push_by_digest_with_a_tag_is_refused_before_the_build(work: Path, run: ProgramRunner) -> None:
    result = run("build", "-o", "registry,name=r.example/a:1,push-by-digest=true", ".", cwd=work).ended_with(2)
    assert "it has a tag" in result.stderr
    assert result.stdout == ""


def test_insecure_takes_any_certificate(work: Path, run: ProgramRunner, tls_registry: RegistryServer) -> None:
    assert isinstance(tls_registry.auth, PasswordAuth)
    env = {
        "LOGIN": "PASS",
        "PASS": f"alice:{tls_registry.auth.users['alice']}",
        "REG_URL": tls_registry.url,
        # What BuildKit takes for a registry without TLS, for it is on loopback, has TLS.
        "BUILDKIT_EXTRA_CONFIG": f'[registry."{tls_registry.address}"]\nhttp = false\n',
    }
    name = tls_registry.reference("insecure:1")
    refused = run("build", "-o", f"registry,name={name}", ".", env=env, cwd=work).ended_with(1)
    assert "certificate" in refused.stdout + refused.stderr
    run("build", "-o", f"registry,name={name},insecure=true", ".", env=env, cwd=work).succeeded()
    assert tls_registry.client().tags("insecure") == ("1",)


def test_provenance_is_there_only_when_asked_for(work: Path, run: ProgramRunner) -> None:
    env = {"OUTPUT_OCI": "true"}
    run("build", ".", env=env, cwd=work).succeeded()
    (listed,) = json.loads((work / "image" / "image" / "index.json").read_bytes())["manifests"]
    assert "manifests" not in blob(work / "image" / "image", listed["digest"])
    run("build", "--provenance", "mode=max", ".", env=env, cwd=work).succeeded()
    assert statements(work / "image" / "image") == ["https://slsa.dev/provenance/v1"]


@pytest.fixture(params=["our engine", "one elsewhere"])
def engine(request: pytest.FixtureRequest, sandbox: Path) -> Iterator[tuple[str, ...]]:
    """The arguments that lead to it."""
    if request.param == "our engine":
        yield ()
        return
    (sandbox / "engine").mkdir()
    with shared_engine(sandbox / "engine", "") as address:
        yield ("--addr", address)


def test_the_metadata_hold_the_provenance_that_was_attested(
    engine: tuple[str, ...], work: Path, run: ProgramRunner
) -> None:
    asked = ("--metadata-file", "m.json", "-o", "oci,dest=a.tar", *engine)
    run("build", *asked, ".", cwd=work).succeeded()
    assert not any("provenance" in key for key in json.loads((work / "m.json").read_bytes()))
    run("build", *asked, "--provenance", "mode=max", ".", cwd=work).succeeded()
    attested = provenance(work / "m.json")
    assert attested.keys() == {"buildx.build.provenance"}
    assert attested["buildx.build.provenance"]["buildDefinition"]["externalParameters"]["configSource"]
    platforms = ("--platform", "linux/amd64,linux/arm64")
    run("build", *asked, "--provenance", "true", *platforms, ".", cwd=work).succeeded()
    assert set(provenance(work / "m.json")) == {f"buildx.build.provenance/linux/{name}" for name in ("amd64", "arm64")}


def provenance(metadata: Path) -> dict[str, Any]:
    """What of a metadata file is provenance, by its key."""
    found: dict[str, Any] = json.loads(metadata.read_bytes())
    return {key: value for key, value in found.items() if key.startswith("buildx.build.provenance")}


def statements(layout: Path) -> list[str]:
    """The types of the attestations of a layout."""
    (listed,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    inner = blob(layout, listed["digest"])["manifests"]
    attested = [one for one in inner if one.get("annotations", {}).get("vnd.docker.reference.type")]
    layers = [layer for one in attested for layer in blob(layout, one["digest"])["layers"]]
    return [blob(layout, layer["digest"])["predicateType"] for layer in layers]


_SCANNER = """#!/bin/sh
# BuildKit's scanner protocol (docs/attestations/sbom-protocol.md): look at a directory, leave statements in another.
found=$(cd "$BUILDKIT_SCAN_SOURCE" && find . -type f | head -1)
printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",' \
  > "$BUILDKIT_SCAN_DESTINATION/scan.spdx.json"
printf '"predicate":{"spdxVersion":"SPDX-2.3","name":"%s"}}' "$found" >> "$BUILDKIT_SCAN_DESTINATION/scan.spdx.json"
"""


def test_an_sbom_is_made_by_the_scanner_that_was_named(
    work: Path, run: ProgramRunner, registry: RegistryServer
) -> None:
    files: dict[str, Content] = {**busybox_files(), "scan": _SCANNER}
    config = {"Entrypoint": ["/bin/busybox", "sh", "/scan"], "Env": ["PATH=/bin"]}
    registry.push("scanner:1", build_image(files, config=config))
    scanner = registry.reference("scanner:1")
    result = run("build", "--explain", "--sbom", f"generator={scanner}", ".", cwd=work).succeeded()
    assert registry.address in result.stdout
    run("build", "--sbom", f"generator={scanner}", ".", env={"OUTPUT_OCI": "true"}, cwd=work).succeeded()
    assert statements(work / "image" / "image") == ["https://spdx.dev/Document"]


def test_two_outputs_for_one_file_are_refused_before_the_build(work: Path, run: ProgramRunner) -> None:
    run("build", ".", cwd=work).succeeded()
    before = files_in(work / "image")
    result = run("build", "-o", "docker", "-o", "oci", ".", cwd=work).ended_with(2)
    assert "two outputs write" in result.stderr
    assert (result.stdout, files_in(work / "image")) == ("", before)


@pytest.fixture
def small_disk(work: Path) -> Iterator[Path]:
    """`image/` as a file system of 3 MB, with the outputs of an earlier build."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", work / "image"], check=True)
    yield work / "image"
    subprocess.run(["umount", work / "image"], check=True)


@pytest.mark.mounts
def test_a_full_disk_leaves_every_earlier_file(work: Path, run: ProgramRunner, small_disk: Path) -> None:
    env = {"OUTPUT_OCI": "true"}
    run("build", env=env, cwd=work).succeeded()
    before = files_in(small_disk)
    (work / "large").write_bytes(os.urandom(2_000_000))  # the archive fits, archive and layout together do not
    (work / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
    result = run("build", env=env, cwd=work).ended_with(6)
    assert "No space left" in result.stderr
    assert files_in(small_disk) == before
    assert sorted(path.name for path in small_disk.iterdir()) == ["digest", "image", "image.tar"]
    (work / "large").write_bytes(os.urandom(6_000_000))  # not even the archive fits
    for argv in ((), ("-o", "docker,compression=zstd,dest=image/image.tar")):  # made here, and sent by BuildKit
        told = run("build", *argv, env=env if not argv else {}, cwd=work).ended_with(6).stderr
        assert f"cannot write {small_disk}/image.tar\n  why    No space left on device: 3." in told.replace(
            "    no space", "    No space"
        )
        assert f"do     make room on the disk of {small_disk}, or write elsewhere: dest=PATH" in told
    assert files_in(small_disk) == before


@pytest.mark.mounts
def test_a_full_disk_below_the_engines_state_is_named(work: Path, run: ProgramRunner) -> None:
    state = work.parent / "state"
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", state], check=True)
    try:
        (work / "large").write_bytes(os.urandom(30_000_000))
        (work / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
        remedy = f"do     make room in {state}, or choose another place with --state-dir"
        with suppress(OSError), (state / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        assert remedy in run("build", "--state-dir", str(state), ".", cwd=work).ended_with(5).stderr
        (state / "filler").unlink()
        assert remedy in run("build", "--state-dir", str(state), ".", cwd=work).ended_with(1).stderr
    finally:
        subprocess.run(["umount", state], check=True)


def test_killed_while_exporting_every_earlier_file_is_as_it_was(work: Path, run: ProgramRunner) -> None:
    run("build", cwd=work).succeeded()
    before = files_in(work / "image")
    (work / "large").write_bytes(os.urandom(60_000_000))
    (work / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
    with subprocess.Popen(
        [PROGRAMS / "build"], cwd=work, env=run.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in work.parent.glob(".ocibuild-*/*/output")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert {name: content for name, content in files_in(work / "image").items() if ".ocibuild-" not in name} == before
    run("build", cwd=work).succeeded()
    assert sorted(path.name for path in (work / "image").iterdir()) == ["digest", "image.tar"]


def test_when_one_push_of_several_fails_each_reference_is_told(
    work: Path, run: ProgramRunner, registry: RegistryServer, tls_registry: RegistryServer
) -> None:
    run("build", ".", cwd=work).succeeded()
    before = files_in(work / "image")
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /other\n")
    good, refused, never = registry.reference("part:1"), tls_registry.reference("part:1"), registry.reference("part:2")
    env = {"REGISTRY_CA": f"{tls_registry.address}={tls_registry.ca_file}"}
    tags = [argument for name in (good, refused, never) for argument in ("-t", name)]
    result = run("build", "--push", *tags, ".", env=env, cwd=work).ended_with(3)
    assert f"{good}  pushed\n{refused}  not pushed\n{never}  not pushed\n" in result.stderr
    assert registry.client().tags("part") == ("1",)
    assert files_in(work / "image") == before


@pytest.mark.parametrize("progress", ["plain", "tty"])
def test_what_is_pushed_is_told_when_the_build_is_broken_off(
    work: Path, run: ProgramRunner, registry: RegistryServer, progress: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        good, stuck = registry.reference("early:1"), f"127.0.0.1:{silent.getsockname()[1]}/late:1"
        command = [str(PROGRAMS / "build"), "--progress", progress, "--push", "-t", good, "-t", stuck, "."]
        terminal, inner = os.openpty()
        with subprocess.Popen(command, cwd=work, env=run.env(), stdout=inner, stderr=inner, stdin=inner) as process:
            os.close(inner)
            silent.settimeout(60)
            with silent.accept()[0]:  # the second push begins when the first is done
                process.send_signal(signal.SIGTERM)
                shown = _all_of(terminal)
            assert process.wait(10) == 128 + signal.SIGTERM
    assert f"{good}  pushed\r\n{stuck}  not pushed\r\n" in shown
    assert registry.client().tags("early") == ("1",)


def _all_of(terminal: int) -> str:
    """What is written to a terminal until nobody has it open; the kernel ends it with an error."""
    text = b""
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            text += piece
    os.close(terminal)
    return text.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_pushed_is_told_when_the_build_is_broken_off_later(
    work: Path, run: ProgramRunner, registry: RegistryServer, number: signal.Signals
) -> None:
    name = registry.reference("before:2")
    program = work / "docker"
    program.write_text(f"#!/bin/sh\nkill -{number} $PPID\ncat > /dev/null\nsleep 60\n")
    program.chmod(0o755)
    env = {"PATH": f"{work}:{run.env()['PATH']}"}
    result = run("build", "-t", name, "--push", "--load", ".", env=env, cwd=work).ended_with(128 + number)
    assert result.stderr.count(f"{name}  pushed\n") == 1


@pytest.mark.parametrize("place", ["out", "out/cache", "link/out", "link/out/cache"])
def test_a_cache_that_an_output_would_replace_is_refused(work: Path, run: ProgramRunner, place: str) -> None:
    (work / "link").symlink_to(".")
    result = run("build", "-o", "oci,tar=false,dest=out", "--cache-to", f"type=local,dest={place}", ".", cwd=work)
    assert f"exports a cache to {work / place}, and an output replaces {work / 'out'}" in result.ended_with(2).stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("--iidfile", "cache/index.json"),
        ("-o", "oci,tar=false,dest=cache"),
        ("-o", "local,dest=cache"),
        ("-o", "docker,dest=link/below/image.tar"),
        ("-o", "oci,tar=false,dest=../work"),
        ("--additional-target", "cache"),
    ],
)
@pytest.mark.parametrize("is_link", [False, True])
def test_no_output_goes_where_the_cache_is_kept(
    argv: tuple[str, ...],
    is_link: bool,  # noqa: FBT001  # a case
    work: Path,
    run: ProgramRunner,
) -> None:
    (work / "Dockerfile").write_text("FROM scratch AS cache\nFROM scratch\n")
    (work / "kept").mkdir()
    (work / "cache").symlink_to("kept") if is_link else (work / "kept").rename(work / "cache")
    (work / "link").symlink_to("cache")
    result = run("build", *argv, ".", cwd=work).ended_with(2)
    assert f"the build's cache is kept in {work}/cache, which exists" in result.stderr
    assert not list((work / "cache").iterdir())


def test_without_a_cache_an_output_may_be_called_so(work: Path, run: ProgramRunner) -> None:
    run("build", "--iidfile", "cache", ".", cwd=work).succeeded()
    run("build", "--iidfile", "cache", ".", cwd=work).succeeded()
    assert (work / "cache").read_text().startswith("sha256:")


def test_what_is_pushed_is_told_when_a_later_output_fails(
    work: Path, run: ProgramRunner, registry: RegistryServer
) -> None:
    name = registry.reference("before:1")
    program = work / "docker"
    program.write_text("#!/bin/sh\ncat > /dev/null\nexit 1\n")
    program.chmod(0o755)
    env = {"PATH": f"{work}:{run.env()['PATH']}"}
    result = run("build", "-t", name, "--push", "--load", ".", env=env, cwd=work).ended_with(6)
    assert f"{name}  pushed\n" in result.stderr
    assert registry.client().tags("before") == ("1",)


@pytest.mark.parametrize(
    "output", [(), ("-o", "docker,dest=app.tar"), ("--iidfile", "id")], ids=["image", "file", "id"]
)
def test_outputs_inside_of_the_context_leave_the_copy_of_it_cached(
    output: tuple[str, ...], work: Path, run: ProgramRunner
) -> None:
    """Where they are made has another name each time."""
    (work / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    first = run("build", *output, ".", cwd=work).succeeded()
    assert "CACHED" not in first.stdout
    for made in ("image/image.tar", "image/digest", "app.tar", "id"):
        (work / made).unlink(missing_ok=True)
    assert "#4 CACHED" in run("build", *output, ".", cwd=work).succeeded().stdout


def test_an_image_that_goes_into_the_next_one_is_told(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    assert "what earlier builds wrote" not in run("build", ".", cwd=work).succeeded().stderr
    said = run("build", ".", cwd=work).succeeded().stderr
    assert "warning: image/image.tar, image/digest: what earlier builds wrote lies in the context" in said
    (work / ".dockerignore").write_text("image\n")
    assert "what earlier builds wrote" not in run("build", ".", cwd=work).succeeded().stderr

"""Outputs as docker buildx spells them: type=image, local, tar, and what image outputs can be told."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_testkit.registry import RegistryServer

if TYPE_CHECKING:
    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A directory with a Dockerfile that needs nobody."""
    directory = sandbox / "work"
    directory.mkdir()
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile d /d/\n")
    (directory / "d").mkdir()
    (directory / "d" / "f").write_text("x" * 1000)
    return directory


def blobs(archive: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and configuration of the one image in an archive."""
    with tarfile.open(archive) as tar:

        def read(name: str) -> Any:  # noqa: ANN401  # JSON
            return json.load(tar.extractfile(name))  # type: ignore[arg-type]

        (listed,) = read("index.json")["manifests"]
        manifest = read("blobs/" + listed["digest"].replace(":", "/"))
        return manifest, read("blobs/" + manifest["config"]["digest"].replace(":", "/"))


def layer_types(archive: Path) -> set[str]:
    return {layer["mediaType"].rpartition(".")[2] for layer in blobs(archive)[0]["layers"]}


def test_a_tar_and_a_directory_hold_the_root_file_system(work: Path, run: ProgramRunner) -> None:
    run("build", "-o", "type=tar,dest=t.tar", "-o", "type=local,dest=out", ".", cwd=work).succeeded()
    with tarfile.open(work / "t.tar") as tar:
        assert sorted(tar.getnames()) == ["d", "d/Dockerfile", "d/f"]
    assert (work / "out" / "d" / "f").read_text() == "x" * 1000
    (work / "d" / "f").write_text("new")
    run("build", "-o", "./out", ".", cwd=work).succeeded()
    assert (work / "out" / "d" / "f").read_text() == "new"


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("type=local,dest=d", "cannot replace {work}/d"),
        ("type=oci,tar=false,dest=d", "{work}/d is not empty and holds no OCI layout"),
        ("rootfs,dest=.", "cannot replace {work}/rootfs"),
        *((f"{name},dest=d", "cannot write {work}/d") for name in ("docker", "oci", "digest", "metadata", "tar")),
    ],
)
def test_what_no_build_made_stays_and_that_is_said_before_the_build(
    output: str, says: str, work: Path, run: ProgramRunner
) -> None:
    (work / "rootfs").mkdir()
    (work / "rootfs" / "f").touch()
    result = run("build", "-o", output, ".", cwd=work).ended_with(6)
    assert says.format(work=work) in result.stderr
    assert result.stdout == ""
    assert [path.name for name in ("d", "rootfs") for path in (work / name).iterdir()] == ["f", "f"]


@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize("output", ["type=local,dest=rootfs", "type=oci,tar=false,dest=rootfs", "rootfs,dest=."])
def test_a_place_of_another_kind_is_told_before_the_build(
    output: str, kind: str, work: Path, run: ProgramRunner
) -> None:
    place = work / "rootfs"
    place.symlink_to("d") if kind == "link" else place.write_text("mine")
    result = run("build", "-o", output, ".", cwd=work).ended_with(6)
    what = "symbolic link" if kind == "link" else "file"
    assert f"cannot write {place}\n  why    it is a {what}, and a directory is to go there\n" in result.stderr
    assert result.stdout == ""
    assert os.path.lexists(place)


def test_a_directory_in_the_place_of_metadata_is_told_before_the_build(work: Path, run: ProgramRunner) -> None:
    (work / "metadata.json").mkdir()
    result = run("build", "-o", "rootfs,dest=.", ".", cwd=work).ended_with(6)
    assert f"cannot write {work}/metadata.json\n  why    it is a directory" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("umask", ["077", "002"])
def test_everybody_may_read_what_is_written_whatever_the_umask(umask: str, work: Path, run: ProgramRunner) -> None:
    (work / "image").mkdir()
    outputs = ("-o", "oci", "-o", "rootfs", "-o", "digest", "-o", "type=local,dest=image/tree,platform-split=true")
    command = ("build", "--platform", "linux/amd64", *outputs, ".")
    run("sh", "-c", f'umask {umask}; exec "$@"', "sh", *command, cwd=work).succeeded()
    found = [path.stat() for path in (work / "image").rglob("*")]
    assert {(stat.S_ISDIR(one.st_mode), stat.S_IMODE(one.st_mode)) for one in found} == {(True, 0o755), (False, 0o644)}


def test_a_failed_build_leaves_no_new_directories(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    run("build", "-o", "docker,dest=new/dir/x.tar", ".", cwd=work).ended_with(1)
    assert not (work / "new").exists()


def test_a_directory_has_one_for_each_of_several_platforms(work: Path, run: ProgramRunner) -> None:
    run("build", "--platform", "linux/amd64,linux/arm64", "-o", "type=local,dest=out", ".", cwd=work).succeeded()
    assert sorted(path.name for path in (work / "out").iterdir()) == ["linux_amd64", "linux_arm64"]
    assert (work / "out" / "linux_arm64" / "d" / "f").exists()


def test_the_trees_of_several_platforms_may_be_put_together(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY Dockerfile d/hello-$TARGETARCH\n")
    argv = ("build", "--platform", "linux/amd64,linux/arm64", "--provenance", "true")
    run(*argv, "-o", "local,dest=out,platform-split=false,attestation-prefix=a-", ".", cwd=work).succeeded()
    assert sorted(path.name for path in (work / "out" / "d").iterdir()) == ["hello-amd64", "hello-arm64"]
    assert sorted(path.name for path in (work / "out").iterdir()) == [
        "a-provenance.linux_amd64.json",
        "a-provenance.linux_arm64.json",
        "d",
    ]
    (work / "Dockerfile").write_text("FROM scratch\nCOPY d/f /d/f\n")
    result = run(*argv, "-o", "local,dest=out,platform-split=false", ".", cwd=work).ended_with(6)
    assert "two platforms have f" in result.stderr
    assert (work / "out" / "d" / "hello-arm64").exists()


def test_one_platform_may_have_a_directory_of_its_own(work: Path, run: ProgramRunner) -> None:
    split = ("build", "-o", "local,dest=out,platform-split=true", ".")
    run(*split, "--platform", "linux/arm64", cwd=work).succeeded()
    assert [path.name for path in (work / "out").iterdir()] == ["linux_arm64"]
    assert "name them: --platform" in run(*split, cwd=work).ended_with(2).stderr


@pytest.mark.parametrize("platforms", ["linux/amd64", "linux/amd64,linux/arm64"])
def test_what_was_attested_lies_in_the_tree_where_buildkit_puts_it(
    platforms: str, work: Path, run: ProgramRunner
) -> None:
    outputs = ("-o", "local,dest=out,attestation-prefix=of-", "-o", "tar,dest=t.tar,attestation-prefix=of-")
    run("build", *outputs, "--provenance", "mode=max", "--platform", platforms, ".", cwd=work).succeeded()
    with tarfile.open(work / "t.tar") as tar:
        expected = sorted(member.name for member in tar if member.isfile())
    made = sorted(str(path.relative_to(work / "out")) for path in (work / "out").rglob("*") if path.is_file())
    assert made == expected
    (first, *_) = (work / "out").rglob("of-provenance.json")
    assert json.loads(first.read_bytes())["predicateType"].startswith("https://slsa.dev/provenance/")


def test_a_file_of_the_image_is_no_attestation(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile provenance.json\n")
    argv = ("build", "--provenance", "true", "-o")
    result = run(*argv, "local,dest=out", ".", cwd=work).ended_with(6)
    assert "the image has such a file\n  do     give it another name: attestation-prefix=" in result.stderr
    result = run(*argv, "local,dest=out,attestation-prefix=../", ".", cwd=work).ended_with(6)
    assert "would lie in a directory" in result.stderr
    assert not (work / "provenance.json").exists()


@pytest.mark.parametrize("output", ["type=tar", "type=local"])
def test_without_a_destination_it_is_asked_for(output: str, work: Path, run: ProgramRunner) -> None:
    result = run("build", "-o", output, ".", cwd=work).ended_with(2)
    assert "has no destination" in result.stderr


@pytest.mark.parametrize(
    ("argv", "lost"),
    [
        (("-o", "docker,dest=Dockerfile"), "Dockerfile"),
        (("--iidfile", "link"), "Dockerfile"),
        (("--metadata-file", ".dockerignore"), ".dockerignore"),
        (("-o", "digest,dest=ocibuild.yml"), "the settings in "),
        (("-o", "digest,dest=arguments", "--config", "named.yml"), "arguments, which the build reads"),
        (("-o", "digest,dest=it", "--secret", "id=it"), "the secret 'it'"),
        (("-o", "digest,dest=arguments", "--secret", "id=x,src=arguments"), "the secret 'x'"),
        (("-o", "."), "the context"),
        (("-o", "..", "--file", "Dockerfile", "d"), "the context"),
    ],
)
def test_what_the_build_is_made_from_is_replaced_by_no_output(
    argv: tuple[str, ...], lost: str, work: Path, run: ProgramRunner
) -> None:
    for name in (".dockerignore", "ocibuild.yml", "arguments", "it"):
        (work / name).touch()
    (work / "named.yml").write_text("build-args-file: arguments\n")
    (work / "link").symlink_to("Dockerfile")
    before = {path: path.read_bytes() for path in work.iterdir() if path.is_file()}
    result = run("build", *argv, cwd=work).ended_with(2)
    assert f"it would replace {lost}" in result.stderr
    assert result.stdout == ""
    assert {path: path.read_bytes() for path in work.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("-o", "-", "cannot go to stdout"),
        ("-o", "type=tar,dest=-", "cannot go to stdout"),
        ("-o", "type=docker,dest=-", "cannot go to stdout"),
        ("--iidfile", "-", "cannot go to stdout"),
        ("-o", "docker,dest=pipe", "it is a pipe"),
        ("--metadata-file", "pipe", "it is a pipe"),
    ],
)
def test_what_no_output_can_replace_is_said_before_the_build(
    flag: str, value: str, says: str, work: Path, run: ProgramRunner
) -> None:
    os.mkfifo(work / "pipe")
    before = sorted(path.name for path in work.iterdir())
    result = run("build", flag, value, ".", cwd=work).ended_with(2)
    assert says in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in work.iterdir()) == before
    assert (work / "pipe").is_fifo()


def test_an_image_is_pushed_when_told_so(work: Path, run: ProgramRunner, registry: RegistryServer) -> None:
    name = registry.reference("image:1")
    result = run("build", "-o", f"type=image,name={name}", ".", cwd=work).succeeded()
    assert "in the engine's cache alone" in result.stderr
    assert registry.client().tags("image") == ()
    run(
        "build", "-o", f"type=image,name={name},push=true,compression=zstd,force-compression=true", ".", cwd=work
    ).succeeded()
    assert registry.client().tags("image") == ("1",)
    _, manifest = registry.client().manifest("image", "1")
    assert "tar+zstd" in json.loads(manifest)["layers"][0]["mediaType"]


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_a_name_is_that_of_the_image_in_the_archive(kind: str, work: Path, run: ProgramRunner) -> None:
    outputs = ("-o", f'type={kind},dest=a.tar,"name=app,r.example/app:2"', "-o", "digest,dest=digest")
    run("build", *outputs, "--tag", "other:1", ".", cwd=work).succeeded()
    assert names_in(work / "a.tar") == ["docker.io/library/app:latest", "r.example/app:2"]
    refused = run("build", "-o", f"{kind},dest=a.tar,name=a@sha256:{'0' * 64}", ".", cwd=work).ended_with(2)
    assert "cannot be given a digest" in refused.stderr


def names_in(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        listed = json.load(tar.extractfile("index.json"))["manifests"]  # type: ignore[arg-type]
    return sorted(each["annotations"]["io.containerd.image.name"] for each in listed)


def test_an_output_has_annotations_of_its_own(work: Path, run: ProgramRunner, registry: RegistryServer) -> None:
    name = registry.reference("annotated:1")
    told = '"annotation.of=this, and more",annotation-manifest-descriptor.place=index'
    run(
        *("build", "-o", f"type=oci,dest=a.tar,{told}", "-o", "type=oci,dest=b.tar"),
        *("-o", f"registry,name={name},annotation-manifest.of=push", "--annotation", "all=1", "."),
        cwd=work,
    ).succeeded()
    assert blobs(work / "a.tar")[0]["annotations"] == {"of": "this, and more", "all": "1"}
    assert blobs(work / "b.tar")[0]["annotations"] == {"all": "1"}
    _, manifest = registry.client().manifest("annotated", "1")
    assert json.loads(manifest)["annotations"] == {"of": "push", "all": "1"}
    refused = run("build", "-o", "oci,dest=a.tar,annotation=of", ".", cwd=work).ended_with(2)
    assert "the annotation 'of' has no value" in refused.stderr


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("image,name=app,store=true", "type=image,name=docker.io/library/app:latest,store=true"),
        ("image,unpack=true,dangling-name-prefix=x", "type=image,unpack=true,dangling-name-prefix=x"),
        ("oci,dest=a.tar,oci-artifact=true", "oci-artifact=true"),
    ],
)
def test_what_an_engine_makes_of_an_image_is_told_to_it(output: str, told: str, work: Path, run: ProgramRunner) -> None:
    assert told in run("build", "-o", output, "--print", ".", cwd=work).succeeded().stdout
    run("build", "-o", output, ".", cwd=work).succeeded()


def test_a_variable_holds_outputs_with_their_options(work: Path, run: ProgramRunner, registry: RegistryServer) -> None:
    one, two, three = (registry.reference(f"image:{number}") for number in (1, 2, 3))
    pushes = f'registry,name={one},compression=zstd,{{registry,"name={two},{three}"}}'

    run("build", ".", env={"OUTPUTS": f"docker,dest=a.tar,{pushes},digest,dest=digest"}, cwd=work).succeeded()

    assert registry.client().tags("image") == ("1", "2", "3")
    assert tarfile.is_tarfile(work / "a.tar")
    assert (work / "digest").read_text().startswith("sha256:")


@pytest.mark.parametrize(
    ("outputs", "code", "says"),
    [
        ("dest=a.tar", 2, "OUTPUTS 'dest=a.tar': no exporter is named\n  do     write OUTPUTS docker,dest=image.tar"),
        ("docker,", 2, "OUTPUTS '': no exporter is named"),
        ("docker,dest=a.tar,digests", 4, "no exporter 'digests' is installed; did you mean 'digest'?"),
    ],
)
def test_a_variable_that_names_no_output_is_told(
    outputs: str, code: int, says: str, work: Path, run: ProgramRunner
) -> None:
    assert says in run("build", ".", env={"OUTPUTS": outputs}, cwd=work).ended_with(code).stderr


def test_a_bare_word_that_is_no_exporter_may_have_been_a_directory(work: Path, run: ProgramRunner) -> None:
    assert "--output ./out" in run("build", "-o", "out", ".", cwd=work).ended_with(4).stderr


def test_compression(work: Path, run: ProgramRunner) -> None:
    run("build", "-o", "oci,dest=plain.tar", ".", cwd=work).succeeded()
    assert layer_types(work / "plain.tar") == {"tar+gzip"}
    told = "compression=zstd,compression-level=22,force-compression=true"
    run("build", "-o", f"type=oci,dest=z.tar,{told}", "-o", "digest,dest=z.digest", ".", cwd=work).succeeded()
    assert layer_types(work / "z.tar") == {"tar+zstd"}
    # The digest is of the archive that is kept, not of another one made beside it.
    with tarfile.open(work / "z.tar") as tar:
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
    assert (work / "z.digest").read_text() == index["manifests"][0]["digest"]
    run("build", "-o", "docker,dest=u.tar,compression=uncompressed,force-compression=true", ".", cwd=work).succeeded()
    assert layer_types(work / "u.tar") == {"tar"}


def test_media_types(work: Path, run: ProgramRunner) -> None:
    outputs = ("-o", "docker,dest=d.tar,oci-mediatypes=false", "-o", "type=docker,dest=o.tar")
    run("build", *outputs, ".", cwd=work).succeeded()
    assert blobs(work / "d.tar")[0]["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert blobs(work / "o.tar")[0]["mediaType"] == "application/vnd.oci.image.manifest.v1+json"


def test_rewritten_timestamps(work: Path, run: ProgramRunner) -> None:
    env = {"SOURCE_DATE_EPOCH": "1000000000"}

    def newest(archive: Path) -> int:
        manifest, _ = blobs(archive)
        with tarfile.open(archive) as outer:
            name = "blobs/" + manifest["layers"][-1]["digest"].replace(":", "/")
            with tarfile.open(fileobj=outer.extractfile(name)) as layer:
                return int(max(member.mtime for member in layer))

    run("build", "-o", "oci,dest=kept.tar,rewrite-timestamp=false", ".", cwd=work, env=env).succeeded()
    run("build", "-o", "oci,dest=rewritten.tar,rewrite-timestamp=true", ".", cwd=work, env=env).succeeded()
    assert newest(work / "kept.tar") > 1_000_000_000
    assert newest(work / "rewritten.tar") == 1_000_000_000


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("compression=brotli", "use one of gzip, zstd"),
        ("compression-level=high", "not a whole number"),
        ("compression-level=10", "no such level of gzip\n  do     use 0 to 9"),
        ("compression=estargz,compression-level=-1", "no such level of estargz"),
        ("compression=zstd,compression-level=23", "no such level of zstd\n  do     use 0 to 22"),
    ],
)
def test_what_buildkit_would_not_understand_is_refused_before_it(
    attribute: str, says: str, work: Path, run: ProgramRunner
) -> None:
    result = run("build", "-o", f"oci,dest=x.tar,{attribute}", ".", cwd=work).ended_with(2)
    assert says in result.stderr


def test_what_is_asked_for_twice_is_made_once(work: Path, run: ProgramRunner) -> None:
    (work / "Dockerfile").write_text("FROM scratch AS one\nLABEL of=one\nFROM scratch\nLABEL of=last\n")
    for name in ("one", "image"):
        (work / name).mkdir()
    env = {"ADDITIONAL_TARGETS": "one,one"}
    result = run("build", "--iidfile", "image/digest", ".", env=env, cwd=work).succeeded()
    assert result.stderr.count("image/digest  ") == result.stderr.count("one/digest  ") == 1


def test_tags_pushes_and_outputs_belong_to_the_last_of_several_targets(
    work: Path, run: ProgramRunner, registry: RegistryServer
) -> None:
    (work / "Dockerfile").write_text("FROM scratch AS first\nLABEL of=first\nFROM scratch\nLABEL of=last\n")
    for name in ("first", "image"):
        (work / name).mkdir()
    name = registry.reference("several:1")
    argv = ("--additional-target", "first", "-t", name, "--push", "--label", "all=1", ".")
    run("build", *argv, cwd=work).succeeded()
    assert blobs(work / "first" / "image.tar")[1]["config"]["Labels"] == {"of": "first", "all": "1"}
    assert blobs(work / "image" / "image.tar")[1]["config"]["Labels"] == {"of": "last", "all": "1"}
    tags = {}
    for directory in ("first", "image"):
        with tarfile.open(work / directory / "image.tar") as tar:
            tags[directory] = json.load(tar.extractfile("manifest.json"))[0]["RepoTags"]  # type: ignore[arg-type]
    assert tags == {"first": None, "image": [name]}
    _, manifest = registry.client().manifest("several", "1")
    config = registry.client().blob("several", json.loads(manifest)["config"]["digest"])
    assert json.loads(config)["config"]["Labels"]["of"] == "last"

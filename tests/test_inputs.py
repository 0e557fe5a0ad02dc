from __future__ import annotations

import csv
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.csv_fields import join_fields, split_fields
from ocibuild_core.dockerfile import first_runs
from ocibuild_core.emulation import _program, _runs, can_run
from ocibuild_core.errors import UsageError
from ocibuild_core.image_args import image_arguments, image_references
from ocibuild_core.image_files import prepare_images
from ocibuild_core.inputs import (
    annotation_attributes,
    chosen_platforms,
    entitlements,
    input_arguments,
    input_options,
    is_git_context,
    is_remote_context,
    secret_variables,
)
from ocibuild_core.lint import WarningCount
from ocibuild_core.publish import Staging
from ocibuild_core.settings.model import BuildSettings
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import CommandLine
from ocibuild_testkit.registry import own_platform

FIELDS = st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), min_size=2)


def settle(**flags: object) -> BuildSettings:
    return resolve([CommandLine(flags, {})])


@given(FIELDS)
def test_fields_survive_their_way_through_csv(fields: list[str]) -> None:
    line = join_fields(fields)
    (read,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    assert read == fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("id=a,src=b", "id=a,src=b"),
        ("id=a,source=b", "id=a,src=b"),
        ("id=a,env=B", "id=a,env=B"),
        ("id=a", "id=a"),
        ("type=env,id=a", "id=a,env=a"),
        ("type=env,id=a,src=B", "id=a,env=B"),
        ('id=a,"src=b,c"', 'id=a,"src=b,c"'),
    ],
)
def test_a_secret_is_spelt_as_in_buildx(text: str, fields: str) -> None:
    assert input_arguments(settle(secrets=(text,))) == ["--secret", fields]


@pytest.mark.parametrize("text", ["", "src=a", "id=a,what=b", "id=a,type=other", '"id=a'])
def test_a_malformed_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError, match="--secret"):
        secret_variables(settle(secrets=(text,)))


@pytest.mark.parametrize(("text", "size"), [("1024", "1024"), ("64m", "67108864"), ("1Gb", "1073741824")])
def test_sizes(text: str, size: str) -> None:
    assert input_options(settle(shm_size=text))["shm-size"] == size


@pytest.mark.parametrize("text", ["much", "9" * 20, "9" * 19 + "g", "9" * 5000])
def test_a_size_that_no_machine_has_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        input_options(settle(shm_size=text))


def test_a_build_argument_counts_more_than_the_date_of_the_environment() -> None:
    both = settle(source_date_epoch="1", build_args=("SOURCE_DATE_EPOCH=2",))
    assert "build-arg:SOURCE_DATE_EPOCH" not in input_options(both)


def test_the_hosts_network_includes_the_permission_for_it() -> None:
    assert entitlements(settle(network="host", allow=("security.insecure",))) == ("security.insecure", "network.host")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a=b", "annotation.a"),
        ("index:a=b", "annotation-index.a"),
        ("manifest[linux/amd64]:a=b", "annotation-manifest[linux/amd64].a"),
        ("org:a=b", "annotation.org:a"),
    ],
)
def test_annotations_name_what_they_annotate(text: str, name: str) -> None:
    settings = settle(annotations=(text,))
    assert annotation_attributes(settings, "oci") == {name: "b"}
    assert annotation_attributes(settings, "tar") == {}


def test_the_platform_local_is_this_machines() -> None:
    assert chosen_platforms(settle(platforms=("local,linux/s390x", own_platform()))) == (own_platform(), "linux/s390x")


def test_one_annotation_may_name_several_parts_of_the_image() -> None:
    settings = settle(annotations=("index,manifest[linux/amd64],index-descriptor:a=b", "index,other:c=d"))
    assert annotation_attributes(settings, "image") == {
        "annotation-index.a": "b",
        "annotation-manifest[linux/amd64].a": "b",
        "annotation-index-descriptor.a": "b",
        "annotation.index,other:c": "d",
    }


@pytest.mark.parametrize(
    ("context", "is_remote", "is_git"),
    [
        (".", False, False),
        ("a/b.git", False, False),
        ("https://x.test/a.tgz", True, False),
        ("https://x.test/a.git", True, True),
        ("https://x.test/a.git#main:sub", True, True),
        ("git@x.test:a/b.git", True, True),
        ("ssh://git@x.test/a", True, True),
        ("github.com/a/b", True, True),
    ],
)
def test_contexts_elsewhere(context: str, *, is_remote: bool, is_git: bool) -> None:
    assert (is_remote_context(context), is_git_context(context)) == (is_remote, is_git)


@pytest.mark.parametrize(
    ("dockerfile", "lines"),
    [
        ("FROM a\nRUN x\n", {"t": 2}),
        ("FROM a\nCOPY x /\n", {}),
        ("FROM --platform=$BUILDPLATFORM a AS b\nRUN x\nFROM scratch\nCOPY --from=b x /\n", {"b": 2}),
        ("FROM --platform=$BUILDPLATFORM a AS b\nFROM b\nRUN x\n", {"b": 3}),
        ("FROM --platform=$TARGETPLATFORM a\nRUN x\nRUN y\n", {"t": 2}),
        ("FROM --platform=linux/$TARGETARCH a\nRUN x\n", {"linux/arch": 2}),
        ("FROM --platform=c a AS b\nRUN x\nFROM d\nRUN y\nCOPY --from=b x /\n", {"c": 2, "t": 4}),
        ("FROM --platform=${NONE:?} a\nRUN x\n", {}),
        ("FROM a AS unneeded\nRUN x\nFROM scratch\n", {}),
        ("FROM a AS a\nRUN x\nFROM a\n", {"t": 2}),
    ],
)
def test_the_platforms_that_steps_run_on(dockerfile: str, lines: dict[str, int]) -> None:
    variables = {"TARGETPLATFORM": "t", "BUILDPLATFORM": "b", "TARGETARCH": "arch"}
    assert first_runs(dockerfile, platform_args=variables) == lines


def test_a_stage_that_a_context_stands_for_runs_nothing() -> None:
    dockerfile = "FROM a AS base\nRUN x\nFROM base\n"
    assert first_runs(dockerfile, platform_args={"TARGETPLATFORM": "t"}) == {"t": 2}
    assert first_runs(dockerfile, platform_args={"TARGETPLATFORM": "t"}, contexts=["base"]) == {}


def test_this_machine_runs_its_own_programs() -> None:
    own = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    # By trying, not by name: the program itself must be in order.
    assert _runs(_program(own))
    assert can_run(own, "")
    assert not _runs(_program(own).replace(b"\x7fELF", b"nope"))


def test_an_emulator_of_buildkits_own_counts(tmp_path: Path) -> None:
    emulator = tmp_path / "buildkit-qemu-riscv64"
    emulator.write_text("")
    emulator.chmod(0o755)
    assert can_run("riscv64", str(tmp_path))


def test_stages_to_run_again_may_stand_in_one_text() -> None:
    assert input_options(settle(no_cache_filter=("a,b", "c")))["no-cache"] == "a,b,c"


def test_a_warning_is_counted_once_wherever_the_output_is_cut() -> None:
    output = b"WARNING: a\nno WARNING: b\nWARNING: c\n"
    for size in range(1, len(output)):
        seen: list[bytes] = []
        count = WarningCount(seen.append)
        for start in range(0, len(output), size):
            count.take(output[start : start + size])
        assert (count.found, b"".join(seen)) == (2, output)


def test_every_image_has_a_reference_of_its_own_that_nobody_can_serve() -> None:
    references = image_references(settle(image_args=("Base_Image=a", "BASE-image=b", "ß=c")))
    assert len(set(references.values())) == 3
    for reference in references.values():
        assert reference.startswith("image-arg.invalid/")
        assert reference == reference.lower()


def archive(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


def docker_manifest(*layers: str) -> bytes:
    return json.dumps([{"Config": "c", "Layers": layers}]).encode()


@pytest.mark.parametrize(
    ("files", "links", "why"),
    [
        ({"x": b""}, {}, "index.json is missing"),
        ({"manifest.json": b"[]"}, {}, "0 images"),
        ({"manifest.json": b"nonsense"}, {}, "Expecting value"),
        ({"manifest.json": docker_manifest("l"), "c": b"{}"}, {}, "l is missing"),
        ({"manifest.json": docker_manifest("l"), "c": b"{}"}, {"l": "l"}, "a link to itself"),
        ({"manifest.json": docker_manifest("l"), "c": b"{}"}, {"l": "../../etc/passwd"}, "etc/passwd is missing"),
        ({"index.json": b'{"manifests": []}'}, {}, "names no manifest"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:../x"}]}'}, {}, "is missing"),
        ({"index.json": b"{}", "blobs/sha256/" + "0" * 64: b"x"}, {}, "is damaged"),
    ],
)
def test_a_hostile_or_damaged_archive_is_refused(
    files: dict[str, bytes], links: dict[str, str], why: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "image.tar", files, links)
    with Staging() as staging, pytest.raises(UsageError, match=why) as error:
        prepare_images(settle(image_args=(f"a={path}",)), staging, tmp_path)
    assert "is no image" in str(error.value)


def test_a_good_archive_becomes_a_layout_that_the_client_is_told_of(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tar", {"manifest.json": docker_manifest("l"), "c": b"{}", "l": b"layer"})
    with Staging() as staging:
        (image,) = prepare_images(settle(image_args=(f"a={path}",)), staging, tmp_path)
        blobs = image.layout / "blobs" / "sha256"
        manifest = json.loads((blobs / image.digest.removeprefix("sha256:")).read_bytes())
        assert (blobs / manifest["layers"][0]["digest"].removeprefix("sha256:")).read_bytes() == b"layer"
        assert image_arguments([image])[-1] == f"build-arg:a={image.reference}"
    assert not image.layout.exists()


def tagged_layout(place: Path, *digests: str) -> Path:
    """A layout whose index names these, each under a tag of its own."""
    (place / "blobs" / "sha256").mkdir(parents=True)
    manifests = []
    for number, digest in enumerate(digests):
        (place / "blobs" / "sha256" / digest.removeprefix("sha256:")).touch()
        named = {"org.opencontainers.image.ref.name": str(number)}
        manifests.append({"digest": digest, "size": 0, "annotations": named})
    (place / "index.json").write_text(json.dumps({"manifests": manifests}))
    return place


def test_an_image_with_several_tags_is_one(tmp_path: Path) -> None:
    one, other = ("sha256:" + letter * 64 for letter in "ab")
    twice, both = tagged_layout(tmp_path / "twice", one, one), tagged_layout(tmp_path / "both", one, other)
    with Staging() as staging:
        (image,) = prepare_images(settle(image_args=(f"a={twice}",)), staging, tmp_path)
        assert image.digest == one
        with pytest.raises(UsageError, match="several manifests without saying"):
            prepare_images(settle(image_args=(f"a={both}",)), staging, tmp_path)
    assert input_arguments(settle(build_contexts=(f"a=oci-layout://{twice}",)))[-1].endswith(f"@{one}")
    with pytest.raises(UsageError, match="has no image 'latest'"):
        input_arguments(settle(build_contexts=(f"a=oci-layout://{both}",)))


def test_split_fields_names_who_asked() -> None:
    assert split_fields('a,"b,c"', "-o") == ["a", "b,c"]
    with pytest.raises(UsageError, match="-o: unbalanced quotes"):
        split_fields('"a', "-o")

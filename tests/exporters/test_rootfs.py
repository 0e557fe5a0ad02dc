from __future__ import annotations

import logging
from pathlib import Path

import pytest
from ocibuild_core.errors import ExportError, UsageError
from ocibuild_core.export_records import ExportRequest, ExportResults
from ocibuild_core.exporters.archive import main_archive
from ocibuild_core.exporters.rootfs import RootfsExporter, metadata_text
from ocibuild_core.mount_points import MARKER
from ocibuild_core.options import OptionValues
from support.tars import archive, directory, file, layer


def request(place: Path, *platforms: str, dest: Path | None = None, platform: str | None = None) -> ExportRequest:
    return ExportRequest(
        options=OptionValues({"dest": dest, "platform": platform}),
        directory=place / "image",
        target=None,
        platforms=platforms,
        output_oci=len(platforms) > 1,
        log=logging.getLogger("test"),
    )


def finish(asked: ExportRequest, place: Path) -> list[tuple[str, object]]:
    made = place / "image.tar"
    made.write_bytes(archive([layer(directory(b"etc"), file(b"etc/motd", b"hello"))], {"User": "app"}))
    (place / "staging").mkdir(exist_ok=True)
    results = ExportResults(staging=place / "staging", files={main_archive(asked): made}, metadata={})
    artifacts = RootfsExporter().finish(asked, results)
    assert all(artifact.source for artifact in artifacts)
    return [(str(artifact.destination), artifact.source) for artifact in artifacts]


def test_both_go_to_the_output_directory_or_to_the_one_that_is_named(tmp_path: Path) -> None:
    planned = RootfsExporter().plan(request(tmp_path)).destinations
    assert planned == (tmp_path / "image" / "rootfs", tmp_path / "image" / "metadata.json")
    named = RootfsExporter().plan(request(tmp_path, dest=tmp_path / "out")).destinations
    assert named == (tmp_path / "out" / "rootfs", tmp_path / "out" / "metadata.json")


def test_the_sign_that_it_is_ours_is_published_first(tmp_path: Path) -> None:
    (metadata, written), (rootfs, tree) = finish(request(tmp_path), tmp_path)
    assert isinstance(written, Path)
    assert isinstance(tree, Path)
    assert (metadata, rootfs) == (f"{tmp_path}/image/metadata.json", f"{tmp_path}/image/rootfs")
    assert written.read_text() == '{"env":null,"user":"app"}\n'
    assert (tree / "etc" / "motd").read_text() == "hello"


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, '{"env":null,"user":""}'),
        ({"config": None}, '{"env":null,"user":""}'),
        ({"config": {"Env": []}}, '{"env":[],"user":""}'),
        (
            {"config": {"Env": ["PATH=/darkness", "BA=nana"], "User": "banana"}},
            '{"env":["PATH=/darkness","BA=nana"],"user":"banana"}',
        ),
        # Each as Go's json.Encoder writes it.
        ({"config": {"Env": ["A=<&>"]}}, '{"env":["A=\\u003c\\u0026\\u003e"],"user":""}'),
        ({"config": {"Env": ["A=\u2028\u2029"]}}, '{"env":["A=\\u2028\\u2029"],"user":""}'),
        ({"config": {"Env": ['A="\\\t\n\r\x01\x7f/ü€😀']}}, '{"env":["A=\\"\\\\\\t\\n\\r\\u0001\x7f/ü€😀"],"user":""}'),
        ({"config": {"Env": ["A=\ud800"]}}, '{"env":["A=\ufffd"],"user":""}'),
    ],
)
def test_environment_and_user_are_written_as_go_does(config: dict[str, object], text: str) -> None:
    assert metadata_text(config) == text + "\n"


@pytest.mark.parametrize("section", [[], "x", {"Env": "A=1"}, {"Env": [1]}, {"User": 0}])
def test_a_configuration_of_another_form_is_an_error(section: object) -> None:
    with pytest.raises(ExportError, match="environment and user"):
        metadata_text({"config": section})


def test_several_platforms_ask_which_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which platform of linux/amd64, linux/arm64") as error:
        RootfsExporter().plan(request(tmp_path, "linux/amd64", "linux/arm64"))
    assert "rootfs,platform=linux/amd64 or ROOTFS_PLATFORM" in str(error.value)
    for chosen in ("linux/arm64", "arm64", "linux/arm64/v8", "linux/aarch64"):
        RootfsExporter().plan(request(tmp_path, "linux/amd64", "linux/arm64", platform=chosen))
    with pytest.raises(UsageError, match="linux/386 is not built"):
        RootfsExporter().plan(request(tmp_path, "linux/amd64", platform="linux/386"))
    RootfsExporter().plan(request(tmp_path, "linux/arm64"))


def test_a_directory_that_no_build_made_is_not_replaced(tmp_path: Path) -> None:
    rootfs, metadata = tmp_path / "image" / "rootfs", tmp_path / "image" / "metadata.json"
    rootfs.mkdir(parents=True)
    finish(request(tmp_path), tmp_path)  # an empty one holds nothing to lose
    (rootfs / "source.c").write_text("mine")
    for foreign in (None, "[]", "{}", '{"name": "package"}', "no JSON"):
        if foreign:
            metadata.write_text(foreign)
        with pytest.raises(ExportError, match="cannot replace") as error:
            finish(request(tmp_path), tmp_path)
        assert "rootfs,dest=DIRECTORY" in str(error.value)


@pytest.mark.parametrize("foreign", ["", "{}", '{"name": "package"}', '{"env": null, "user": "", "mine": 1}'])
def test_metadata_that_no_build_wrote_are_not_replaced(tmp_path: Path, foreign: str) -> None:
    metadata = tmp_path / "image" / "metadata.json"
    metadata.parent.mkdir()
    metadata.write_text(foreign)
    for _ in range(2):
        with pytest.raises(ExportError, match=f"cannot replace {metadata}"):
            RootfsExporter().check(request(tmp_path))
        (tmp_path / "image" / "rootfs").mkdir(exist_ok=True)
    metadata.write_text('{"env":["A=1"],"user":"app"}\n')
    RootfsExporter().check(request(tmp_path))


def test_a_link_in_the_metadatas_place_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "metadata.json").symlink_to("nowhere")
    with pytest.raises(ExportError, match=r"cannot replace .*/metadata\.json"):
        RootfsExporter().check(request(tmp_path))


def test_a_directory_that_a_build_made_is_replaced_also_an_unfinished_one(tmp_path: Path) -> None:
    rootfs = tmp_path / "image" / "rootfs"
    rootfs.mkdir(parents=True)
    (rootfs / "old").write_text("")
    (rootfs / MARKER).touch()
    finish(request(tmp_path), tmp_path)
    (rootfs / MARKER).unlink()
    (tmp_path / "image" / "metadata.json").write_text('{"env":null,"user":""}\n')
    (tmp_path / "staging" / "rootfs").rename(tmp_path / "gone")
    finish(request(tmp_path), tmp_path)

"""An OCI archive as a directory: nothing but the files of a layout, nowhere but inside."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.layout import unpack_layout
from ocibuild_testkit.contracts.archives import example_image, write_output


def made(path: Path, *members: tarfile.TarInfo, content: bytes = b"{}") -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def test_every_file_of_the_archive_is_there(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    write_output("oci", example_image(), archive)
    unpack_layout(archive, tmp_path / "layout")
    with tarfile.open(archive) as tar:
        expected = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    found = {str(path.relative_to(tmp_path / "layout")): path for path in (tmp_path / "layout").rglob("*")}
    assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == expected


@pytest.mark.parametrize("umask", [0o077, 0o002])
def test_everybody_may_read_it_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    archive = tmp_path / "a.tar"
    write_output("oci", example_image(), archive)
    before = os.umask(umask)
    try:
        unpack_layout(archive, tmp_path / "layout")
    finally:
        os.umask(before)
    made = (tmp_path / "layout", *(tmp_path / "layout").rglob("*"))
    assert {(path.is_dir(), path.stat().st_mode & 0o777) for path in made} == {(True, 0o755), (False, 0o644)}


@pytest.mark.parametrize(
    "name", ["../index.json", "/index.json", "blobs/sha256/../../x", "blobs/sha256", "index.json/x", "x", "blobs//a"]
)
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").mkdir()
    archive = made(tmp_path / "a.tar", tarfile.TarInfo("index.json"), tarfile.TarInfo(name))
    with pytest.raises(ExportError, match="is no file of an OCI layout"):
        unpack_layout(archive, tmp_path / "x" / "layout")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "x"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_other_kinds_are_refused(tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("blobs/sha256/abc")
    link.type, link.linkname = kind, "../../../victim"
    with pytest.raises(ExportError, match="is no file of an OCI layout"):
        unpack_layout(made(tmp_path / "a.tar", link), tmp_path / "layout")


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    archive = made(tmp_path / "a.tar", tarfile.TarInfo("index.json"), tarfile.TarInfo("index.json"))
    with pytest.raises(ExportError, match="File exists"):
        unpack_layout(archive, tmp_path / "layout")


def test_an_archive_without_an_index_is_none(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no index\.json"):
        unpack_layout(made(tmp_path / "a.tar", tarfile.TarInfo("oci-layout")), tmp_path / "layout")

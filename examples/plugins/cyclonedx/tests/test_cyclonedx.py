from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from ocibuild_core.plugin import Exporter, ExportError, ExportRequest, UsageError
from ocibuild_testkit.broker import option_values
from ocibuild_testkit.contracts import ExporterContract

from ocibuild_cyclonedx.document import write_document
from ocibuild_cyclonedx.exporter import CycloneDXExporter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DPKG = """Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: GNU Bourne Again SHell
 Package: not-a-field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: libstdc++6
Status: hold ok installed
Architecture: amd64
Version: 1:12.2.0-14
"""
APK = "C:Q1abc=\nP:busybox\nV:1.36.1-r29\nA:x86_64\nF:bin\nR:busybox\n\nP:musl\nV:1.2.5-r0\nA:x86_64\n"
DEBIAN = 'ID=debian\nVERSION_ID="12"\n'


class TestContract(ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        return CycloneDXExporter()


def archive(path: Path, *layers: Mapping[str, str | None]) -> Path:
    """A docker archive of gzipped layers; a value of None is a directory, a key with `.wh.` a whiteout."""
    blobs = [gzip.compress(_tar({name: content for name, content in layer.items()}), mtime=0) for layer in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    names = [f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}" for blob in (config, *blobs)]
    manifest = json.dumps([{"Config": names[0], "Layers": names[1:]}])
    path.write_bytes(_tar({**dict(zip(names, (config, *blobs), strict=True)), "manifest.json": manifest}))
    return path


def _tar(files: Mapping[str, str | bytes | None]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            raw = content.encode() if isinstance(content, str) else content or b""
            info.size = len(raw)
            if content is None:
                info.type = tarfile.SYMTYPE
                info.linkname = "elsewhere"
            tar.addfile(info, io.BytesIO(raw))
    return target.getvalue()


def purls(tmp_path: Path, *layers: Mapping[str, str | None]) -> list[str]:
    write_document(archive(tmp_path / "image.tar", *layers), tmp_path / "out.json")
    document: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    return [component["purl"] for component in document["components"]]


def test_debians_packages(tmp_path: Path) -> None:
    assert purls(tmp_path, {"etc/os-release": DEBIAN, "var/lib/dpkg/status": DPKG}) == [
        "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14?arch=amd64&distro=debian-12",
    ]


def test_alpines_packages(tmp_path: Path) -> None:
    assert purls(tmp_path, {"./lib/apk/db/installed": APK}) == [
        "pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64",
        "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64",
    ]


def test_distroless_has_a_file_for_each_package(tmp_path: Path) -> None:
    part = "Package: tzdata\nVersion: 2024a\nArchitecture: all\n"
    files = {"var/lib/dpkg/status.d/tzdata": part, "var/lib/dpkg/status.d/tzdata.md5sums": "Package: no\n"}
    assert purls(tmp_path, files) == ["pkg:deb/debian/tzdata@2024a?arch=all"]


@pytest.mark.parametrize(
    "upper",
    [
        {"var/lib/dpkg/.wh.status": ""},
        {"var/lib/dpkg/.wh..wh..opq": ""},
        {"var/.wh.lib": ""},
        {".wh.var": ""},
        {".wh..wh..opq": ""},
        {"var/lib/dpkg/status": None},
        {"var/lib/dpkg": None},
        {"var/lib/dpkg/status": ""},
    ],
    ids=["file", "opaque", "parent", "top", "opaque root", "symlink", "symlinked directory", "emptied"],
)
def test_what_an_upper_layer_takes_away_is_not_listed(tmp_path: Path, upper: Mapping[str, str | None]) -> None:
    assert purls(tmp_path, {"var/lib/dpkg/status": DPKG}, upper) == []


def test_upper_layer_wins_and_keeps_what_it_brings_beside_a_whiteout(tmp_path: Path) -> None:
    new = "Package: new\nVersion: 2\nArchitecture: all\n"
    upper = {"var/lib/dpkg/status": new, "var/lib/dpkg/.wh..wh..opq": ""}
    assert purls(tmp_path, {"var/lib/dpkg/status": DPKG}, upper) == ["pkg:deb/debian/new@2?arch=all"]


def test_same_image_gives_the_same_bytes(tmp_path: Path) -> None:
    source = archive(tmp_path / "image.tar", {"var/lib/dpkg/status": DPKG})
    for name in ("first", "second"):
        assert write_document(source, tmp_path / name) == 2
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    document = json.loads((tmp_path / "first").read_text())
    assert document["serialNumber"].startswith("urn:uuid:")
    assert document["metadata"]["component"]["name"].startswith("sha256:")


def test_archive_of_another_form_is_an_export_error(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(_tar({"manifest.json": "[{}]"}))
    with pytest.raises(ExportError, match=r"cannot read the packages out of image\.tar"):
        write_document(tmp_path / "image.tar", tmp_path / "out")


@pytest.mark.parametrize("name", ["../sbom.json", "/etc/passwd", "a/b", ""])
def test_file_must_be_a_name(tmp_path: Path, name: str) -> None:
    exporter = CycloneDXExporter()
    request = ExportRequest(
        options=option_values(exporter.options, {"file": name}),
        directory=tmp_path,
        target=None,
        platforms=(),
        output_oci=False,
        log=logging.getLogger("test"),
    )
    with pytest.raises(UsageError, match="a file name is expected"):
        exporter.plan(request)
